// The specification of the encoders that search: encode_inl.h over the vector for any CPU.
#include "base/half.h"
#include "base/target.h"
#include "quant/codec.h"
#include "quant/packed.h"

namespace slm::quant {
namespace {

#include "base/simd_scalar.h"
//
#include "quant/encode_inl.h"

}  // namespace

template <Type kType>
void EncodeWeighted(const float* src, const float* importance, uint8_t* dst, int64_t n) {
  if constexpr (GridOf(kType).bits == 0)
    Traits(kType).encode(src, dst, n);
  else
    encoding::Encode<kType>(src, importance, dst, n);
}

template void EncodeWeighted<Type::kF32>(const float*, const float*, uint8_t*, int64_t);
template void EncodeWeighted<Type::kF16>(const float*, const float*, uint8_t*, int64_t);
template void EncodeWeighted<Type::kBF16>(const float*, const float*, uint8_t*, int64_t);
template void EncodeWeighted<Type::kQ4_0>(const float*, const float*, uint8_t*, int64_t);
template void EncodeWeighted<Type::kQ4_1>(const float*, const float*, uint8_t*, int64_t);
template void EncodeWeighted<Type::kQ5_0>(const float*, const float*, uint8_t*, int64_t);
template void EncodeWeighted<Type::kQ5_1>(const float*, const float*, uint8_t*, int64_t);
template void EncodeWeighted<Type::kQ8_0>(const float*, const float*, uint8_t*, int64_t);
template void EncodeWeighted<Type::kQ2_K>(const float*, const float*, uint8_t*, int64_t);
template void EncodeWeighted<Type::kQ3_K>(const float*, const float*, uint8_t*, int64_t);
template void EncodeWeighted<Type::kQ4_K>(const float*, const float*, uint8_t*, int64_t);
template void EncodeWeighted<Type::kQ5_K>(const float*, const float*, uint8_t*, int64_t);
template void EncodeWeighted<Type::kQ6_K>(const float*, const float*, uint8_t*, int64_t);
template void EncodeWeighted<Type::kIQ4_NL>(const float*, const float*, uint8_t*, int64_t);
template void EncodeWeighted<Type::kIQ4_XS>(const float*, const float*, uint8_t*, int64_t);

}  // namespace slm::quant
