#include "quant/type.h"

#include <iterator>

#include "base/error.h"
#include "quant/blocks.h"
#include "quant/codec.h"
#include "quant/nf4_panel.h"

namespace slm::quant {
namespace {

constexpr TypeTraits kTypes[] = {
    {Type::kF32, "F32", 1, 4, DecodeF32, EncodeF32, EncodeWeighted<Type::kF32>},
    {Type::kF16, "F16", 1, 2, DecodeF16, EncodeF16, EncodeWeighted<Type::kF16>},
    {Type::kQ4_0, "Q4_0", kBlockSize, sizeof(BlockQ4_0), DecodeQ4_0, EncodeQ4_0,
     EncodeWeighted<Type::kQ4_0>},
    {Type::kQ4_1, "Q4_1", kBlockSize, sizeof(BlockQ4_1), DecodeQ4_1, EncodeQ4_1,
     EncodeWeighted<Type::kQ4_1>},
    {Type::kQ5_0, "Q5_0", kBlockSize, sizeof(BlockQ5_0), DecodeQ5_0, EncodeQ5_0,
     EncodeWeighted<Type::kQ5_0>},
    {Type::kQ5_1, "Q5_1", kBlockSize, sizeof(BlockQ5_1), DecodeQ5_1, EncodeQ5_1,
     EncodeWeighted<Type::kQ5_1>},
    {Type::kQ8_0, "Q8_0", kBlockSize, sizeof(BlockQ8_0), DecodeQ8_0, EncodeQ8_0,
     EncodeWeighted<Type::kQ8_0>},
    {Type::kQ2_K, "Q2_K", kSuperBlockSize, sizeof(BlockQ2_K), DecodeQ2_K, nullptr,
     EncodeWeighted<Type::kQ2_K>},
    {Type::kQ3_K, "Q3_K", kSuperBlockSize, sizeof(BlockQ3_K), DecodeQ3_K, nullptr,
     EncodeWeighted<Type::kQ3_K>},
    {Type::kQ4_K, "Q4_K", kSuperBlockSize, sizeof(BlockQ4_K), DecodeQ4_K, nullptr,
     EncodeWeighted<Type::kQ4_K>},
    {Type::kQ5_K, "Q5_K", kSuperBlockSize, sizeof(BlockQ5_K), DecodeQ5_K, nullptr,
     EncodeWeighted<Type::kQ5_K>},
    {Type::kQ6_K, "Q6_K", kSuperBlockSize, sizeof(BlockQ6_K), DecodeQ6_K, nullptr,
     EncodeWeighted<Type::kQ6_K>},
    {Type::kIQ4_NL, "IQ4_NL", kBlockSize, sizeof(BlockIQ4_NL), DecodeIQ4_NL, nullptr,
     EncodeWeighted<Type::kIQ4_NL>},
    {Type::kIQ4_XS, "IQ4_XS", kSuperBlockSize, sizeof(BlockIQ4_XS), DecodeIQ4_XS, nullptr,
     EncodeWeighted<Type::kIQ4_XS>},
    {Type::kBF16, "BF16", 1, 2, DecodeBF16, EncodeBF16, EncodeWeighted<Type::kBF16>},
    {Type::kNF4, "NF4", kNf4Block, kBlockNf4Bytes, DecodeNf4Blocks, EncodeNf4Blocks,
     EncodeNf4BlocksWeighted},
};

// By id, as in GGML's enum ggml_type, those that it has withdrawn included.
constexpr const char* kGgmlNames[] = {
    "F32",   "F16",        "Q4_0",       "Q4_1",       "Q4_2",     "Q4_3",     "Q5_0",
    "Q5_1",  "Q8_0",       "Q8_1",       "Q2_K",       "Q3_K",     "Q4_K",     "Q5_K",
    "Q6_K",  "Q8_K",       "IQ2_XXS",    "IQ2_XS",     "IQ3_XXS",  "IQ1_S",    "IQ4_NL",
    "IQ3_S", "IQ2_S",      "IQ4_XS",     "I8",         "I16",      "I32",      "I64",
    "F64",   "IQ1_M",      "BF16",       "Q4_0_4_4",   "Q4_0_4_8", "Q4_0_8_8", "TQ1_0",
    "TQ2_0", "IQ4_NL_4_4", "IQ4_NL_4_8", "IQ4_NL_8_8", "MXFP4",    "NVFP4",    "Q1_0",
    "Q2_0",
};
static_assert(std::size(kGgmlNames) == 43);

char Upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

bool EqualInAnyCase(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (Upper(a[i]) != Upper(b[i])) return false;
  }
  return true;
}

}  // namespace

const TypeTraits* FindType(uint32_t ggml_id) {
  for (const TypeTraits& traits : kTypes) {
    if (static_cast<uint32_t>(traits.type) == ggml_id) return &traits;
  }
  return nullptr;
}

const TypeTraits* FindTypeByName(std::string_view name) {
  for (const TypeTraits& traits : kTypes) {
    if (EqualInAnyCase(traits.name, name)) return &traits;
  }
  return nullptr;
}

const TypeTraits& Traits(Type type) {
  const TypeTraits* traits = FindType(static_cast<uint32_t>(type));
  SLM_CHECK(traits != nullptr);
  return *traits;
}

std::span<const TypeTraits> AllTypes() { return std::span(kTypes).first(std::size(kTypes) - 1); }

const char* GgmlTypeName(uint32_t ggml_id) {
  return ggml_id < std::size(kGgmlNames) ? kGgmlNames[ggml_id] : nullptr;
}

}  // namespace slm::quant
