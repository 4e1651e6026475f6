#include "train/parameter_layout.h"

namespace slm::train {

ParameterLayout::ParameterLayout(const model::Lora& lora) {
  const auto take = [&](const std::vector<float>& values) {
    const int64_t at = size_;
    size_ += static_cast<int64_t>(values.size());
    return at;
  };
  for (const model::LoraMatrix& matrix : lora.matrices) {
    Place place;
    place.a = take(matrix.a);
    place.b = take(matrix.b);
    place.magnitude = take(matrix.magnitude);
    places_.push_back(place);
  }
}

}  // namespace slm::train
