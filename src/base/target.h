// Regions of code for one instruction set. Per-file -m flags would put wide instructions into
// inline functions that other files share; a region does not. What is included inside a region must
// include nothing itself.
#pragma once

#if defined(__clang__)
#define SLM_PRAGMA(text) _Pragma(#text)
#define SLM_TARGET_BEGIN(isa) \
  SLM_PRAGMA(clang attribute push(__attribute__((target(isa))), apply_to = function))
#define SLM_TARGET_END SLM_PRAGMA(clang attribute pop)
#define SLM_UNROLL _Pragma("unroll")
#define SLM_NO_UNROLL _Pragma("nounroll")
#else
#define SLM_PRAGMA(text) _Pragma(#text)
#define SLM_TARGET_BEGIN(isa) SLM_PRAGMA(GCC push_options) SLM_PRAGMA(GCC target(isa))
#define SLM_TARGET_END SLM_PRAGMA(GCC pop_options)
#define SLM_UNROLL _Pragma("GCC unroll 16")
#define SLM_NO_UNROLL _Pragma("GCC unroll 1")
#endif

// For code that gains nothing from it and would take minutes to compile: lanes in arrays,
// sanitizers.
#if defined(SLM_NO_FORCED_INLINING)
#define SLM_INLINE inline
#define SLM_INLINED
#undef SLM_UNROLL
#define SLM_UNROLL
#else
#define SLM_INLINE inline SLM_INLINED
#define SLM_INLINED __attribute__((always_inline))  // behind the parameters of a lambda
#endif
