// Random tensors in every type: valid blocks with moderate scales, so that products stay finite.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "quant/type.h"

namespace slm::testing {

// `rows` rows of k elements as they lie in a file; weights of about `size` in magnitude.
std::vector<uint8_t> RandomRows(quant::Type type, int64_t rows, int64_t k, std::mt19937& rng,
                                float size = 1.0f);

std::vector<float> RandomFloats(size_t n, std::mt19937& rng, float size = 1.0f);

}  // namespace slm::testing
