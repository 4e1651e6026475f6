// How kernels cut columns of activations into tiles that fit the registers.
#pragma once

#include <type_traits>

#include "base/target.h"

namespace slm::kernels {

// f(kSize, c) for as many tiles of kSize columns from column c on as there are, then of the smaller
// sizes; kSize is an integral_constant. The last size is 1.
template <int kSize, int... kSmaller, class F>
SLM_INLINE void ForTiles(int cols, const F& f, int c = 0) {
  for (; c + kSize <= cols; c += kSize) f(std::integral_constant<int, kSize>(), c);
  if constexpr (sizeof...(kSmaller) > 0) ForTiles<kSmaller...>(cols, f, c);
}

}  // namespace slm::kernels
