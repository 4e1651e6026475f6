#include "engine/lora.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"
#include "engine/layer_trace.h"

namespace slm::engine {
namespace {

using model::LoraMatrix;
using model::Slot;

size_t Pad(int64_t n) { return static_cast<size_t>(PadRow(n)); }

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

// |row|^2 of all rows of the file's tensor that an adapter changes.
model::Vector RowSquares(const Model& model, const LoraMatrix& lora) {
  model::Vector squares;
  for (const Product& product : ProductsOf(model.weights(), lora)) {
    const int64_t rows = product.matrix->rows();
    const auto first = static_cast<int64_t>(squares.size());
    squares.resize(static_cast<size_t>(first + rows));
    model.runtime()->pool()->ParallelFor(rows, [&](int64_t row, int) {
      thread_local std::vector<float> w;
      w.resize(static_cast<size_t>(lora.in));
      product.matrix->DecodeRow(row, w.data());
      double sum = 0;
      for (const float value : w) sum += static_cast<double>(value) * static_cast<double>(value);
      squares[static_cast<size_t>(first + row)] = static_cast<float>(sum);
    });
  }
  return squares;
}

// |W + s B A| of every row: with b the row of s B it is |w|^2 + 2 b . (A w) + b (A A^T) b^T.
model::Vector RowNorms(const Model& model, const LoraMatrix& lora, float scale,
                       const model::Vector& squares) {
  const auto rank = static_cast<size_t>(lora.rank), in = static_cast<size_t>(lora.in);
  std::vector<double> aa(rank * rank);
  for (size_t r = 0; r < rank; ++r)
    for (size_t q = 0; q <= r; ++q) {
      double sum = 0;
      for (size_t i = 0; i < in; ++i)
        sum += static_cast<double>(lora.a[r * in + i]) * static_cast<double>(lora.a[q * in + i]);
      aa[r * rank + q] = aa[q * rank + r] = sum;
    }
  model::Vector norms(squares.size());
  size_t first = 0;
  for (const Product& product : ProductsOf(model.weights(), lora)) {
    const size_t rows = static_cast<size_t>(product.matrix->rows()), stride = Pad(lora.out);
    model::Vector aw(rank * stride);  // A W^T
    ops::Input input;
    input.rows = lora.rank;
    input.k = lora.in;
    input.f32 = const_cast<float*>(lora.a.data());
    input.precision = ops::Precision::kFloats;
    const ops::Product op = {product.matrix, nullptr, aw.data(), static_cast<int64_t>(stride)};
    model.runtime()->backend()->MatMul(input, {&op, 1});
    for (size_t row = 0; row < rows; ++row) {
      const float* b = &lora.b[(first + row) * rank];
      double sum = static_cast<double>(squares[first + row]);
      for (size_t r = 0; r < rank; ++r) {
        double of_r = 2 * static_cast<double>(aw[r * stride + row]);
        for (size_t q = 0; q < rank; ++q)
          of_r += static_cast<double>(scale * b[q]) * aa[r * rank + q];
        sum += static_cast<double>(scale * b[r]) * of_r;
      }
      norms[first + row] = static_cast<float>(std::sqrt(std::max(sum, 0.0)));
    }
    first += rows;
  }
  return norms;
}

class Binder {
 public:
  // `norms` of DoRA's rows, else empty.
  Binder(const Model& model, const LoraMatrix& lora, float scale, const model::Vector& norms)
      : model_(model), lora_(lora), scale_(scale * lora.scale), norms_(norms) {}

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
      if (!lora_.magnitude.empty()) FillFactors(product, first, &part);
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

  void FillFactors(const Product& product, int64_t first, LowRank::Part* part) const {
    const int64_t rows = product.matrix->rows();
    part->factor.resize(Pad(rows));
    part->offset.resize(Pad(rows));
    for (int64_t row = 0; row < rows; ++row) {
      const auto at = static_cast<size_t>(row), of_all = static_cast<size_t>(first + row);
      const double factor =
          static_cast<double>(lora_.magnitude[of_all]) / static_cast<double>(norms_[of_all]);
      part->factor[at] = static_cast<float>(factor);
      if (!product.bias->empty())
        part->offset[at] =
            static_cast<float>(static_cast<double>((*product.bias)[at]) * (1 - factor));
    }
  }

  const Model& model_;
  const LoraMatrix& lora_;
  const float scale_;
  const model::Vector& norms_;
};

}  // namespace

Lora::Lora(const Model& model, const model::Lora& lora, float scale)
    : by_slot_(model::SlotIndex(model.hparams().layers, {})) {
  for (const LoraMatrix& matrix : lora.matrices) {
    model::Vector norms;
    if (!matrix.magnitude.empty())
      norms = RowNorms(model, matrix, scale * matrix.scale, RowSquares(model, matrix));
    by_slot_[model::SlotIndex(matrix.layer, matrix.slot)] =
        Binder(model, matrix, scale, norms).Bind();
  }
}

const LowRank* Lora::Find(int64_t layer, Slot slot) const {
  return by_slot_[model::SlotIndex(layer, slot)].get();
}

ChangingLora::ChangingLora(const Model& model, const model::Lora& values)
    : model_(model), values_(values), lora_(new Lora) {
  lora_->by_slot_.resize(model::SlotIndex(model.hparams().layers, {}));
  for (const LoraMatrix& matrix : values.matrices)
    squares_.push_back(matrix.magnitude.empty() ? model::Vector() : RowSquares(model, matrix));
  norms_.resize(squares_.size());
  Update();
}

void ChangingLora::Update() {
  layer_ = -1;
  for (size_t i = 0; i < squares_.size(); ++i)
    if (!squares_[i].empty())
      norms_[i] = RowNorms(model_, values_.matrices[i], values_.matrices[i].scale, squares_[i]);
}

uint64_t ChangingLora::LayerBytes() const {
  std::map<int64_t, uint64_t> bytes;
  for (const LoraMatrix& matrix : values_.matrices)
    bytes[matrix.layer] +=
        Pad(matrix.rank) * static_cast<uint64_t>(matrix.in + matrix.out) * sizeof(float);
  uint64_t most = 0;
  for (const auto& [layer, size] : bytes) most = std::max(most, size);
  return most;
}

void ChangingLora::HoldLayer(int64_t layer) {
  if (layer == layer_) return;
  layer_ = layer;
  for (std::unique_ptr<const LowRank>& low : lora_->by_slot_) low.reset();
  for (size_t i = 0; i < norms_.size(); ++i) {
    const LoraMatrix& matrix = values_.matrices[i];
    if (matrix.layer == layer && matrix.slot != Slot::kOutput)
      lora_->by_slot_[model::SlotIndex(layer, matrix.slot)] =
          Binder(model_, matrix, 1.0f, norms_[i]).Bind();
  }
}

}  // namespace slm::engine
