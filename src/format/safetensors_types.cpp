#include <cmath>
#include <cstring>

#include "base/half.h"
#include "format/safetensors_parse.h"

namespace slm::format {
namespace {

template <class Bits, class Convert>
void DecodeBits(const uint8_t* src, float* dst, int64_t n, Convert convert) {
  for (int64_t i = 0; i < n; ++i) {
    Bits bits;
    std::memcpy(&bits, src + static_cast<size_t>(i) * sizeof(Bits), sizeof(Bits));
    dst[i] = convert(bits);
  }
}

void DecodeF32(const uint8_t* src, float* dst, int64_t n) {
  std::memcpy(dst, src, static_cast<size_t>(n) * sizeof(float));
}

void DecodeF16(const uint8_t* src, float* dst, int64_t n) {
  DecodeBits<uint16_t>(src, dst, n, HalfToFloat);
}

void DecodeBF16(const uint8_t* src, float* dst, int64_t n) {
  DecodeBits<uint16_t>(src, dst, n, BfloatToFloat);
}

// OCP's E4M3 without infinities (float8_e4m3fn): bias 7, the largest value is 448, 0x7f and 0xff
// are NaN.
void DecodeF8E4M3(const uint8_t* src, float* dst, int64_t n) {
  static const auto table = [] {
    struct {
      float value[256];
    } t = {};
    for (int i = 0; i < 256; ++i) {
      const int exponent = i >> 3 & 15, mantissa = i & 7;
      const float magnitude = (i & 127) == 127 ? std::nanf("")
                              : exponent == 0
                                  ? std::ldexp(static_cast<float>(mantissa), -9)
                                  : std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
      t.value[i] = i & 128 ? -magnitude : magnitude;
    }
    return t;
  }();
  for (int64_t i = 0; i < n; ++i) dst[i] = table.value[src[i]];
}

// Every type of the format, https://github.com/huggingface/safetensors, Dtype in tensor.rs.
constexpr SafetensorsType kTypes[] = {
    {"F32", 32, DecodeF32},       {"F16", 16, DecodeF16},  {"BF16", 16, DecodeBF16},
    {"F8_E4M3", 8, DecodeF8E4M3}, {"F64", 64, nullptr},    {"F8_E5M2", 8, nullptr},
    {"F8_E8M0", 8, nullptr},      {"F6_E2M3", 6, nullptr}, {"F6_E3M2", 6, nullptr},
    {"F4", 4, nullptr},           {"C64", 64, nullptr},    {"BOOL", 8, nullptr},
    {"U8", 8, nullptr},           {"I8", 8, nullptr},      {"U16", 16, nullptr},
    {"I16", 16, nullptr},         {"U32", 32, nullptr},    {"I32", 32, nullptr},
    {"U64", 64, nullptr},         {"I64", 64, nullptr},
};

}  // namespace

const SafetensorsType* FindSafetensorsType(std::string_view name) {
  for (const SafetensorsType& type : kTypes) {
    if (type.name == name) return &type;
  }
  return nullptr;
}

}  // namespace slm::format
