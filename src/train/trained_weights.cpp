#include "train/trained_weights.h"

namespace slm::train {

void TrainedWeights::RunInput(ops::Gradients* gradients, const Group& group, int64_t rows,
                              ops::Precision precision) {
  if (!group.dx) return;
  std::vector<ops::ProductGradient> products;
  for (const Product& product : group.products)
    products.push_back({product.matrix, product.dout, product.stride});
  gradients->MatMul(products, rows, group.k, precision, false, group.dx_stride, group.dx);
}

}  // namespace slm::train
