// Where an adapter's numbers stand in one vector of floats: that of its gradient and of the
// optimizer's moments.
#pragma once

#include <cstdint>
#include <vector>

#include "model/lora.h"

namespace slm::train {

class ParameterLayout {
 public:
  // The matrices in their order; of each a, b, magnitude.
  explicit ParameterLayout(const model::Lora& lora);

  struct Place {
    int64_t a = 0, b = 0, magnitude = 0;
  };
  int64_t size() const { return size_; }
  const Place& place(size_t matrix) const { return places_[matrix]; }

 private:
  std::vector<Place> places_;
  int64_t size_ = 0;
};

}  // namespace slm::train
