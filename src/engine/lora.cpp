#include "engine/lora.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace slm::engine {
namespace {

using model::LoraMatrix;
using model::Slot;

size_t Pad(int64_t n) { return static_cast<size_t>((n + 15) / 16 * 16); }

struct Product {
  const ops::Matrix* matrix;
  const model::Vector* bias;
};

// Those that read a tensor of the file, in the order of its rows.
std::vector<Product> ProductsOf(const model::Weights& weights, const LoraMatrix& lora) {
  static const model::Vector kNone;
  if (lora.slot == Slot::kOutput) return {{&weights.output, &kNone}};
  const model::LayerWeights& w = weights.layers[static_cast<size_t>(lora.layer)];
  switch (lora.slot) {
    case Slot::kAttnQ:
      return {{&w.q, &w.q_bias}};
    case Slot::kAttnK:
      return {{&w.k, &w.k_bias}};
    case Slot::kAttnV:
      return {{&w.v, &w.v_bias}};
    case Slot::kAttnQkv:
      return {{&w.q, &w.q_bias}, {&w.k, &w.k_bias}, {&w.v, &w.v_bias}};
    case Slot::kAttnOutput:
      return {{&w.output, &kNone}};
    case Slot::kFfnGate:
      return {{&w.gate, &kNone}};
    case Slot::kFfnUp:
      if (lora.out == w.up.rows()) return {{&w.up, &kNone}};
      return {{&w.gate, &kNone}, {&w.up, &kNone}};
    case Slot::kFfnDown:
      return {{&w.down, &kNone}};
    default:
      SLM_CHECK(false);
  }
}

class Binder {
 public:
  Binder(const Model& model, const LoraMatrix& lora, float scale)
      : model_(model), lora_(lora), scale_(scale * lora.scale) {}

  std::unique_ptr<const LowRank> Bind() {
    auto result = std::make_unique<LowRank>();
    const size_t rank = Pad(lora_.rank), in = static_cast<size_t>(lora_.in);
    model::Vector a(rank * in);
    std::copy(lora_.a.begin(), lora_.a.end(), a.begin());
    result->a = Make(std::move(a), lora_.in, &result->rows);
    int64_t first = 0;
    for (const Product& product : ProductsOf(model_.weights(), lora_)) {
      const int64_t rows = product.matrix->rows();
      LowRank::Part part;
      model::Vector b(static_cast<size_t>(rows) * rank);
      for (int64_t row = 0; row < rows; ++row)
        for (int64_t r = 0; r < lora_.rank; ++r)
          b[static_cast<size_t>(row) * rank + static_cast<size_t>(r)] =
              scale_ * lora_.b[static_cast<size_t>((first + row) * lora_.rank + r)];
      if (!lora_.magnitude.empty()) FillFactors(product, first, b, rank, &part);
      part.b = Make(std::move(b), static_cast<int64_t>(rank), &result->rows);
      result->parts.push_back(std::move(part));
      first += rows;
    }
    SLM_CHECK(first == lora_.out);
    return result;
  }

 private:
  ops::Matrix Make(model::Vector values, int64_t k, std::vector<model::Vector>* keep) const {
    const auto n = static_cast<int64_t>(values.size());
    const ops::PlainRows rows = {quant::Type::kF32, reinterpret_cast<const uint8_t*>(values.data()),
                                 n / k, k};
    ops::Matrix matrix = model_.runtime()->backend()->MakeMatrix(rows);
    if (!matrix.is_packed()) keep->push_back(std::move(values));
    return matrix;
  }

  // |W + scale B A| of every row, in double.
  void FillFactors(const Product& product, int64_t first, const model::Vector& b, size_t rank,
                   LowRank::Part* part) const {
    const int64_t rows = product.matrix->rows();
    part->factor.resize(Pad(rows));
    part->offset.resize(Pad(rows));
    model_.runtime()->pool()->ParallelFor(rows, [&](int64_t row, int) {
      thread_local std::vector<float> w;
      w.resize(static_cast<size_t>(lora_.in));
      product.matrix->DecodeRow(row, w.data());
      const float* low = b.data() + static_cast<size_t>(row) * rank;
      double sum = 0;
      for (int64_t i = 0; i < lora_.in; ++i) {
        auto value = static_cast<double>(w[static_cast<size_t>(i)]);
        for (int64_t r = 0; r < lora_.rank; ++r)
          value += static_cast<double>(low[r]) *
                   static_cast<double>(lora_.a[static_cast<size_t>(r * lora_.in + i)]);
        sum += value * value;
      }
      const auto at = static_cast<size_t>(row);
      const auto magnitude = static_cast<double>(lora_.magnitude[static_cast<size_t>(first + row)]);
      const double factor = magnitude / std::sqrt(sum);
      part->factor[at] = static_cast<float>(factor);
      if (!product.bias->empty())
        part->offset[at] =
            static_cast<float>(static_cast<double>((*product.bias)[at]) * (1 - factor));
    });
  }

  const Model& model_;
  const LoraMatrix& lora_;
  const float scale_;
};

size_t Index(int64_t layer, Slot slot) {
  return static_cast<size_t>(layer) * static_cast<size_t>(Slot::kCount) + static_cast<size_t>(slot);
}

}  // namespace

Lora::Lora(const Model& model, const model::Lora& lora, float scale)
    : by_slot_(Index(model.hparams().layers, {})) {
  Bind(model, lora, scale);
}

void Lora::Bind(const Model& model, const model::Lora& lora, float scale) {
  for (const LoraMatrix& matrix : lora.matrices)
    by_slot_[Index(matrix.layer, matrix.slot)] = Binder(model, matrix, scale).Bind();
}

const LowRank* Lora::Find(int64_t layer, Slot slot) const {
  return by_slot_[Index(layer, slot)].get();
}

}  // namespace slm::engine
