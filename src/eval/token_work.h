// What tokens cost a model.
#pragma once

#include <map>

#include "engine/model.h"

namespace slm::eval {

struct TokenWork {
  double macs = 0;  // multiply-adds of a token through all layers, without attention
  std::map<quant::Type, double> macs_of;  // those with weights of each type
  double output_macs = 0;                 // and of its logits
  double bytes = 0;                       // of weights that a decoded token reads
};

// Weights as they are there; or as they will be, where kernels want panels that were not made yet.
TokenWork WorkOf(const engine::Model& model, bool will_be_packed = false);

}  // namespace slm::eval
