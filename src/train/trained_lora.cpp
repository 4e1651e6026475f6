#include "train/trained_lora.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/hash.h"
#include "engine/layer_trace.h"

namespace slm::train {
namespace {

using engine::LowRank;
using model::LoraMatrix;
using model::Slot;

// product.out = from - product.out.
void SubtractFrom(const float* from, int64_t stride, int64_t rows, const ops::Product& product) {
  for (int64_t t = 0; t < rows; ++t)
    for (int64_t i = 0; i < product.matrix->rows(); ++i) {
      float& out = product.out[t * product.out_stride + i];
      out = from[t * stride + i] - out;
    }
}

void Grow(std::vector<float>* values, int64_t n) {
  if (static_cast<int64_t>(values->size()) < n) values->resize(static_cast<size_t>(n));
}

}  // namespace

TrainedLora::TrainedLora(std::shared_ptr<const engine::Model> model, model::Lora lora,
                         double dropout)
    : model_(std::move(model)),
      backend_(model_->runtime()->backend()),
      gradients_(backend_->gradients()),
      lora_(std::move(lora)),
      layout_(lora_),
      changing_(*model_, lora_),
      share_(dropout),
      sums_(static_cast<size_t>(Slot::kCount)) {
  if (dropout > 0) dropout_.emplace(dropout, model_->runtime());
  for (size_t i = 0; i < lora_.matrices.size(); ++i) {
    const LoraMatrix& matrix = lora_.matrices[i];
    if (matrix.slot == Slot::kOutput)
      throw Error(Code::kUnsupported, "{}: adapters of the output matrix are not trained",
                  lora_.path);
    const size_t at = model::SlotIndex(matrix.layer, matrix.slot);
    if (by_slot_.size() <= at) by_slot_.resize(at + 1, kNone);
    by_slot_[at] = i;
    first_layer_ = i == 0 ? matrix.layer : std::min(first_layer_, matrix.layer);
  }
}

model::Lora TrainedLora::Shape(std::span<const float> numbers) const {
  model::Lora result = lora_;
  for (LoraMatrix& matrix : result.matrices)
    for (std::vector<float>* part : {&matrix.a, &matrix.b, &matrix.magnitude}) {
      std::copy_n(numbers.begin(), part->size(), part->begin());
      numbers = numbers.subspan(part->size());
    }
  return result;
}

std::vector<TrainedWeights::Piece> TrainedLora::pieces() {
  std::vector<Piece> pieces;
  for (LoraMatrix& matrix : lora_.matrices)
    for (std::vector<float>* part : {&matrix.a, &matrix.b, &matrix.magnitude})
      if (!part->empty()) pieces.push_back({*part});
  return pieces;
}

nlohmann::ordered_json TrainedLora::Identity() const {
  uint64_t adapter = 0;
  for (const LoraMatrix& matrix : lora_.matrices) {
    const int64_t shape[] = {static_cast<int64_t>(matrix.slot), matrix.layer, matrix.rank,
                             static_cast<int64_t>(matrix.magnitude.size())};
    adapter = Hash64({reinterpret_cast<const uint8_t*>(shape), sizeof shape}, adapter);
    adapter = Hash64({reinterpret_cast<const uint8_t*>(&matrix.scale), 4}, adapter);
  }
  return {{"adapter", adapter}, {"dropout", share_}};
}

size_t TrainedLora::Find(int64_t layer, Slot slot) const {
  const size_t at = model::SlotIndex(layer, slot);
  return at < by_slot_.size() ? by_slot_[at] : kNone;
}

bool TrainedLora::ReadsOutput(int64_t layer, std::initializer_list<Slot> slots) const {
  return std::any_of(slots.begin(), slots.end(), [&](Slot slot) {
    const size_t i = Find(layer, slot);
    return i != kNone && !lora_.matrices[i].magnitude.empty();
  });
}

bool TrainedLora::ReadsOutput(std::initializer_list<Slot> slots) const {
  return std::any_of(lora_.matrices.begin(), lora_.matrices.end(),
                     [&](const LoraMatrix& m) { return ReadsOutput(m.layer, slots); });
}

uint64_t TrainedLora::BytesFor(int64_t rows) const {
  uint64_t sums = 0, turned = 0, outer = 0;
  int64_t rank = 0;
  for (const LoraMatrix& matrix : lora_.matrices) {
    if (matrix.layer == first_layer_) sums += matrix.a.size() + matrix.b.size();
    turned = std::max(turned, static_cast<uint64_t>(matrix.b.size()));
    rank = std::max(rank, engine::PadRow(matrix.rank));
    const ops::OuterProduct product = {
        .rows = rows, .m = matrix.rank, .n = std::max(matrix.in, matrix.out)};
    outer = std::max(outer, backend_->gradients()->OuterBytes(product));
  }
  return (sums + turned + static_cast<uint64_t>(2 * rank * rows)) * sizeof(float) + outer +
         changing_.LayerBytes();
}

void TrainedLora::Run(const Group& group, std::span<const SampleRows> samples,
                      ops::Precision precision, GradientSum* gradient_sum) {
  const auto run_magnitudes = [&](const Tensor& tensor) {
    RunMagnitudes(group, tensor, samples, precision, gradient_sum);
  };
  if (!dropout_) std::for_each(group.tensors.begin(), group.tensors.end(), run_magnitudes);
  RunInput(gradients_, group, RowsOf(samples), precision);
  if (dropout_ && group.dx) Grow(&ddropped_, RowsOf(samples) * group.dx_stride);
  for (const Tensor& tensor : group.tensors) {
    if (dropout_) run_magnitudes(tensor);
    RunTensor(group, tensor, samples, gradient_sum);
  }
}

void TrainedLora::RunMagnitudes(const Group& group, const Tensor& tensor,
                                std::span<const SampleRows> samples, ops::Precision precision,
                                GradientSum* gradient_sum) {
  const size_t index = Find(group.layer, tensor.slot);
  if (index == kNone || lora_.matrices[index].magnitude.empty()) return;
  const LoraMatrix& matrix = lora_.matrices[index];
  const LowRank& low = *changing_.lora()->Find(group.layer, tensor.slot);
  const auto products = group.products.first(tensor.end).last(low.parts.size());
  const int64_t rows = RowsOf(samples);
  std::vector<Product> dropped(products.begin(), products.end());  // of M x, without the rest
  std::vector<ops::Product> rests;
  if (dropout_) {
    std::vector<const ops::Matrix*> matrices;
    for (const Product& product : products) matrices.push_back(product.matrix);
    rests = dropout_->RunRest({group.layer, tensor.slot, 0, rows, group.k}, group.input, matrices,
                              precision);
    for (size_t i = 0; i < products.size(); ++i) {
      SubtractFrom(products[i].out, products[i].out_stride, rows, rests[i]);
      dropped[i].out = rests[i].out;
      dropped[i].out_stride = rests[i].out_stride;
    }
  }
  Grow(&zeros_, engine::PadRow(matrix.out));
  std::vector<float>& sum = sums_[static_cast<size_t>(tensor.slot)].magnitude;
  sum.resize(matrix.magnitude.size());
  for (const SampleRows& sample : samples) {
    int64_t first = 0;
    for (const Product& product : dropped) {
      const int64_t n = product.matrix->rows();
      gradients_->SumProducts(sample.count, n, product.dout + sample.first * product.stride,
                              product.stride, product.out + sample.first * product.out_stride,
                              product.out_stride,
                              product.bias->empty() ? nullptr : product.bias->data(),
                              !sample.begins, sum.data() + first);
      first += n;
    }
    if (!sample.ends) continue;
    for (size_t i = 0; i < sum.size(); ++i) sum[i] /= matrix.magnitude[i];
    gradient_sum->Add(sample.sample, layout_.place(index).magnitude, sum);
  }
  std::vector<ops::ProductGradient> changes;  // (factor - 1) dy
  for (size_t i = 0; i < products.size(); ++i) {
    const Product& product = products[i];
    const int64_t n = product.matrix->rows();
    for (int64_t t = 0; dropout_ && t < rows; ++t)
      std::copy_n(product.dout + t * product.stride, n, rests[i].out + t * rests[i].out_stride);
    backend_->MultiplyAdd(low.parts[i].factor.data(), zeros_.data(), rows, n, product.stride,
                          product.dout);
    if (!dropout_) continue;
    SubtractFrom(product.dout, product.stride, rows, rests[i]);
    changes.push_back({product.matrix, rests[i].out, rests[i].out_stride});
  }
  if (dropout_ && group.dx)
    gradients_->MatMul(changes, rows, group.k, precision, false, group.dx_stride, ddropped_.data());
}

void TrainedLora::RunTensor(const Group& group, const Tensor& tensor,
                            std::span<const SampleRows> samples, GradientSum* gradient_sum) {
  const size_t index = Find(group.layer, tensor.slot);
  if (index == kNone) return;
  const LoraMatrix& matrix = lora_.matrices[index];
  const LowRank& low = *changing_.lora()->Find(group.layer, tensor.slot);
  const auto products = group.products.first(tensor.end).last(low.parts.size());
  const int64_t rows = RowsOf(samples), stride = low.a.rows();
  Grow(&low_, rows * stride);
  Grow(&dlow_, rows * stride);
  const ops::Product down = {&low.a, nullptr, low_.data(), stride};
  const engine::Dropout::Rows read = {group.layer, tensor.slot, 0, rows, group.k};
  float* x = dropout_ ? dropout_->Apply(read, group.input) : const_cast<float*>(group.input);
  backend_->MatMul({rows, group.k, {}, x}, {&down, 1});
  std::vector<ops::ProductGradient> ups;
  for (size_t i = 0; i < products.size(); ++i)
    ups.push_back({&low.parts[i].b, products[i].dout, products[i].stride});
  gradients_->MatMul(ups, rows, stride, ops::Precision::kFloats, false, stride, dlow_.data());
  if (group.dx) {
    const ops::ProductGradient back = {&low.a, dlow_.data(), stride};
    const bool adds = !dropout_ || !matrix.magnitude.empty();
    gradients_->MatMul({&back, 1}, rows, group.k, ops::Precision::kFloats, adds, group.dx_stride,
                       dropout_ ? ddropped_.data() : group.dx);
    if (dropout_) dropout_->AddGradient(read, ddropped_.data(), group.dx_stride, group.dx);
  }

  Sum& sum = sums_[static_cast<size_t>(tensor.slot)];
  sum.a.resize(matrix.a.size());
  sum.b.resize(matrix.b.size());
  for (const SampleRows& sample : samples) {
    ops::OuterProduct op = {sample.count, matrix.rank, group.k};
    op.a = dlow_.data() + sample.first * stride;
    op.a_stride = stride;
    op.b = x + sample.first * group.k;
    op.b_stride = group.k;
    op.c = sum.a.data();
    op.c_stride = group.k;
    op.adds = !sample.begins;
    gradients_->Outer(op);
    // Of B the transpose.
    op.factor = matrix.scale;
    op.a = low_.data() + sample.first * stride;
    op.c_stride = matrix.out;
    op.c = sum.b.data();
    for (const Product& product : products) {
      op.n = product.matrix->rows();
      op.b = product.dout + sample.first * product.stride;
      op.b_stride = product.stride;
      gradients_->Outer(op);
      op.c += op.n;
    }
    if (!sample.ends) continue;
    gradient_sum->Add(sample.sample, layout_.place(index).a, sum.a);
    turned_.resize(sum.b.size());
    for (int64_t i = 0; i < matrix.out; ++i)
      for (int64_t r = 0; r < matrix.rank; ++r)
        turned_[static_cast<size_t>(i * matrix.rank + r)] =
            sum.b[static_cast<size_t>(r * matrix.out + i)];
    gradient_sum->Add(sample.sample, layout_.place(index).b, turned_);
  }
}

}  // namespace slm::train
