// What a token costs.
#pragma once

#include <cstdint>
#include <span>

namespace slm::eval {

// -ln of the softmax at `target`, in double.
double CrossEntropy(std::span<const float> logits, int32_t target);

}  // namespace slm::eval
