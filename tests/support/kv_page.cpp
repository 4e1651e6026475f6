#include "support/kv_page.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/half.h"

namespace slm::testing {
namespace {

using kernels::kPagePositions;
using kernels::KvType;

constexpr int64_t kBlock = 32;      // elements along Dh that share a scale
constexpr int64_t kReadAhead = 16;  // elements past the end of V that may be read

size_t Size(int64_t elements, KvType type) {
  const size_t bytes = type == KvType::kF32 ? 4 : type == KvType::kF16 ? 2 : 1;
  return static_cast<size_t>(elements) * bytes;
}

template <class T>
T At(const std::vector<uint8_t>& bytes, int64_t index) {
  T x;
  std::memcpy(&x, bytes.data() + static_cast<size_t>(index) * sizeof x, sizeof x);
  return x;
}

float Element(KvType type, const std::vector<uint8_t>& plane, const std::vector<uint8_t>& scales,
              int64_t index, int64_t scale) {
  switch (type) {
    case KvType::kF32:
      return At<float>(plane, index);
    case KvType::kF16:
      return HalfToFloat(At<uint16_t>(plane, index));
    case KvType::kQ8_0:
      return HalfToFloat(At<uint16_t>(scales, scale)) *
             static_cast<float>(At<int8_t>(plane, index));
  }
  return 0;
}

}  // namespace

const char* NameOf(KvType type) {
  return type == KvType::kF32 ? "f32" : type == KvType::kF16 ? "f16" : "q8_0";
}

std::vector<float> RoundToKv(KvType type, const std::vector<float>& x) {
  std::vector<float> out = x;
  if (type == KvType::kF16)
    for (float& v : out) v = HalfToFloat(FloatToHalf(v));
  if (type != KvType::kQ8_0) return out;
  for (size_t begin = 0; begin < x.size(); begin += kBlock) {
    const size_t end = std::min(x.size(), begin + kBlock);
    float largest = 0;
    for (size_t i = begin; i < end; ++i) largest = std::max(largest, std::fabs(x[i]));
    const float d = largest / 127;
    const float stored = HalfToFloat(FloatToHalf(d));
    for (size_t i = begin; i < end; ++i)
      out[i] = d > 1e-30f ? stored * std::nearbyint(x[i] * (1 / d)) : 0.0f;
  }
  return out;
}

KvPageBuffer::KvPageBuffer(KvType k_type, KvType v_type, int64_t head_dim, uint8_t fill)
    : k_type_(k_type), v_type_(v_type), head_dim_(head_dim) {
  const int64_t n = kPagePositions * head_dim;
  const auto scales = static_cast<size_t>((head_dim + kBlock - 1) / kBlock * kPagePositions * 2);
  k_.assign(Size(n, k_type), fill);
  v_.assign(Size(n + kReadAhead, v_type), fill);
  k_scales_.assign(scales, fill);  // in every type: the planes of the others must stay untouched
  v_scales_.assign(scales, fill);
}

kernels::KvPage KvPageBuffer::page() {
  return {k_type_, v_type_, k_.data(), k_scales_.data(), v_.data(), v_scales_.data()};
}

float KvPageBuffer::K(int position, int64_t d) const {
  return Element(k_type_, k_, k_scales_, d * kPagePositions + position,
                 d / kBlock * kPagePositions + position);
}

float KvPageBuffer::V(int position, int64_t d) const {
  return Element(v_type_, v_, v_scales_, position * head_dim_ + d,
                 d / kBlock * kPagePositions + position);
}

}  // namespace slm::testing
