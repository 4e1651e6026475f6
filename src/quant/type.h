// The tensor types of GGUF: ids, names, block geometry, scalar decoding and encoding.
// The scalar functions are the specification of each format; src/kernels is tested against them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace slm::quant {

// The types slm computes with. The numbers are GGML's and stand in files.
enum class Type : uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kIQ4_NL = 20,
  kIQ4_XS = 23,
  kBF16 = 30,
  // Not GGML's: the type of weights that are trained beside, as bitsandbytes rounds them
  // (quant/nf4_panel.h). Products are computed with it decoded.
  kNF4 = 1004,
};

struct TypeTraits {
  Type type;
  const char* name;    // GGML's spelling: "Q4_K"
  int64_t block_size;  // elements of one block; 1 for the float types
  size_t block_bytes;

  // `n` is a count of elements and a multiple of block_size; src holds n / block_size blocks, of
  // any alignment. Every bit pattern decodes to something: infinities and NaN in a scale give
  // infinities and NaN.
  void (*decode)(const uint8_t* src, float* dst, int64_t n);

  // The rounding of GGML's reference; nullptr where there is no encoder here. Values that are not
  // finite give some valid block, the same on every machine.
  void (*encode)(const float* src, uint8_t* dst, int64_t n);

  // Rounding that minimises sum of importance * (x - decoded x)^2 (docs/quantization.md); never
  // nullptr. `importance` holds n values >= 0, or is nullptr: equal ones, and for Q4_0, Q4_1, Q5_0,
  // Q5_1 and Q8_0 the reference rounding of `encode`. A block whose importance is all zero has
  // equal ones. What is not finite counts as 0, and the float types ignore importance. The table of
  // src/kernels has the same function, faster.
  void (*encode_weighted)(const float* src, const float* importance, uint8_t* dst, int64_t n);
};

// The traits of a type id from a file, or nullptr when slm does not support it.
const TypeTraits* FindType(uint32_t ggml_id);

// By name, in any case: "Q4_K", "q4_k". nullptr when unknown or not supported.
const TypeTraits* FindTypeByName(std::string_view name);

const TypeTraits& Traits(Type type);

// Every supported type of GGML, by ascending id: all but NF4.
std::span<const TypeTraits> AllTypes();

// The name of any id that GGML has given out, supported here or not; nullptr for others.
const char* GgmlTypeName(uint32_t ggml_id);

}  // namespace slm::quant
