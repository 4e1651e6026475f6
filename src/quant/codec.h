// The functions behind TypeTraits::decode, encode and encode_weighted; callers go through the
// traits.
#pragma once

#include <cstdint>

#include "quant/type.h"

namespace slm::quant {

void DecodeF32(const uint8_t* src, float* dst, int64_t n);
void DecodeF16(const uint8_t* src, float* dst, int64_t n);
void DecodeBF16(const uint8_t* src, float* dst, int64_t n);
void DecodeQ4_0(const uint8_t* src, float* dst, int64_t n);
void DecodeQ4_1(const uint8_t* src, float* dst, int64_t n);
void DecodeQ5_0(const uint8_t* src, float* dst, int64_t n);
void DecodeQ5_1(const uint8_t* src, float* dst, int64_t n);
void DecodeQ8_0(const uint8_t* src, float* dst, int64_t n);
void DecodeQ2_K(const uint8_t* src, float* dst, int64_t n);
void DecodeQ3_K(const uint8_t* src, float* dst, int64_t n);
void DecodeQ4_K(const uint8_t* src, float* dst, int64_t n);
void DecodeQ5_K(const uint8_t* src, float* dst, int64_t n);
void DecodeQ6_K(const uint8_t* src, float* dst, int64_t n);
void DecodeIQ4_NL(const uint8_t* src, float* dst, int64_t n);
void DecodeIQ4_XS(const uint8_t* src, float* dst, int64_t n);

void EncodeF32(const float* src, uint8_t* dst, int64_t n);
void EncodeF16(const float* src, uint8_t* dst, int64_t n);
void EncodeBF16(const float* src, uint8_t* dst, int64_t n);
void EncodeQ4_0(const float* src, uint8_t* dst, int64_t n);
void EncodeQ4_1(const float* src, uint8_t* dst, int64_t n);
void EncodeQ5_0(const float* src, uint8_t* dst, int64_t n);
void EncodeQ5_1(const float* src, uint8_t* dst, int64_t n);
void EncodeQ8_0(const float* src, uint8_t* dst, int64_t n);

template <Type kType>
void EncodeWeighted(const float* src, const float* importance, uint8_t* dst, int64_t n);

}  // namespace slm::quant
