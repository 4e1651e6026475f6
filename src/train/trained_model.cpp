#include "train/trained_model.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"

namespace slm::train {
namespace {

using model::Slot;

// Tables of rope are numbers of the model's making.
bool IsTrained(Slot slot) {
  return slot != Slot::kRopeFreqs && slot != Slot::kRopeFactorsLong &&
         slot != Slot::kRopeFactorsShort;
}

Slot BiasOf(Slot slot) {
  switch (slot) {
    case Slot::kAttnQ:
      return Slot::kAttnQBias;
    case Slot::kAttnK:
      return Slot::kAttnKBias;
    case Slot::kAttnV:
      return Slot::kAttnVBias;
    case Slot::kAttnQkv:
      return Slot::kAttnQkvBias;
    default:
      return Slot::kCount;
  }
}

}  // namespace

TrainedModel::TrainedModel(std::shared_ptr<engine::FloatModel> model)
    : model_(std::move(model)),
      gradients_(model_->model()->runtime()->backend()->gradients()),
      values_(static_cast<size_t>(Slot::kCount)) {
  const format::GgufFile& file = model_->model()->file();
  const int64_t layers = model_->model()->hparams().layers;
  int64_t size = 0;
  for (const model::TensorRow& row : model::TensorTable())
    for (int64_t layer = 0; IsTrained(row.slot) && layer < (row.is_layer ? layers : 1); ++layer) {
      const format::GgufTensor* tensor = file.Find(TensorName(row, layer));
      if (!tensor) continue;
      const size_t at = model::SlotIndex(layer, row.slot);
      if (by_slot_.size() <= at) by_slot_.resize(at + 1, kNone);
      by_slot_[at] = places_.size();
      places_.push_back({row.slot, static_cast<size_t>(tensor - file.tensors().data()), size,
                         tensor->elements / tensor->dims[0], tensor->elements});
      size += tensor->elements;
    }
}

const TrainedModel::Place* TrainedModel::Find(int64_t layer, Slot slot) const {
  const size_t at = model::SlotIndex(layer, slot);
  return at < by_slot_.size() && by_slot_[at] != kNone ? &places_[by_slot_[at]] : nullptr;
}

format::GgufFile TrainedModel::Shape(std::span<const float> numbers) const {
  const format::GgufFile& file = model_->model()->file();
  std::vector<format::GgufTensor> tensors = file.tensors();
  for (const Place& place : places_) {
    const auto of_tensor = numbers.subspan(static_cast<size_t>(place.at));
    tensors[place.tensor].data = {reinterpret_cast<const uint8_t*>(of_tensor.data()),
                                  tensors[place.tensor].bytes()};
  }
  return file.WithTensors(std::move(tensors));
}

std::vector<TrainedWeights::Piece> TrainedModel::pieces() {
  std::vector<Piece> pieces;
  for (const Place& place : places_) {
    const model::TensorRow& row = model::TensorTable()[static_cast<size_t>(place.slot)];
    pieces.push_back({model_->values(place.tensor), row.out != model::Dim::kNone});
  }
  return pieces;
}

nlohmann::ordered_json TrainedModel::Identity() const { return {{"adapter", "none"}}; }

template <class Fill>
void TrainedModel::Add(const Place& place, std::span<const SampleRows> samples,
                       GradientSum* gradient_sum, const Fill& fill) {
  const auto size = static_cast<size_t>(place.size);
  for (const SampleRows& sample : samples) {
    float* to = gradient_sum->Find(sample.sample, place.at);
    if (!to) {
      std::vector<float>& values = values_[static_cast<size_t>(place.slot)];
      values.resize(size);
      to = values.data();
    }
    fill(sample, to);
    if (sample.ends) gradient_sum->Add(sample.sample, place.at, {to, size});
  }
}

void TrainedModel::Run(const Group& group, std::span<const SampleRows> samples,
                       ops::Precision precision, GradientSum* gradient_sum) {
  RunInput(gradients_, group, RowsOf(samples), precision);
  for (const Tensor& tensor : group.tensors) {
    const Place* weight = Find(group.layer, tensor.slot);
    if (!weight && tensor.slot == Slot::kOutput) weight = Find(0, Slot::kTokenEmbd);
    if (!weight) continue;
    size_t begin = tensor.end;
    for (int64_t rows = 0; rows < weight->rows; rows += group.products[begin].matrix->rows())
      --begin;
    const auto products = group.products.subspan(begin, tensor.end - begin);
    Add(*weight, samples, gradient_sum, [&](const SampleRows& sample, float* to) {
      ops::OuterProduct op = {sample.count, 0, group.k};
      op.b = group.input + sample.first * group.k;
      op.b_stride = group.k;
      op.c_stride = group.k;
      op.adds = !sample.begins;
      for (const Product& product : products) {
        op.m = product.matrix->rows();
        op.a = product.dout + sample.first * product.stride;
        op.a_stride = product.stride;
        op.c = to;
        gradients_->Outer(op);
        to += op.m * op.n;
      }
    });
    const Place* bias = Find(group.layer, BiasOf(tensor.slot));
    if (!bias) continue;
    ones_.resize(std::max(ones_.size(), static_cast<size_t>(bias->size)), 1.0f);
    Add(*bias, samples, gradient_sum, [&](const SampleRows& sample, float* to) {
      for (const Product& product : products) {
        const int64_t n = product.matrix->rows();
        gradients_->SumProducts(sample.count, n, product.dout + sample.first * product.stride,
                                product.stride, ones_.data(), 0, nullptr, !sample.begins, to);
        to += n;
      }
    });
  }
}

uint64_t TrainedModel::BytesFor(int64_t rows) const {
  // Logits, whose rows are long, are of fewer of them at once.
  constexpr int64_t kMost = int64_t{8} << 20;
  uint64_t outer = 0, values = 0;
  std::vector<bool> is_counted(values_.size());
  for (const Place& place : places_) {
    outer = std::max(outer, gradients_->OuterBytes({.rows = std::min(rows, kMost / place.rows),
                                                    .m = place.rows,
                                                    .n = place.size / place.rows}));
    if (is_counted[static_cast<size_t>(place.slot)]) continue;
    is_counted[static_cast<size_t>(place.slot)] = true;
    values += static_cast<uint64_t>(place.size) * sizeof(float);
  }
  const int64_t d = model_->model()->hparams().d_model;
  return values + outer + static_cast<uint64_t>(rows * d) * sizeof(float);
}

void TrainedModel::RunNorm(const Norm& norm, std::span<const SampleRows> samples,
                           GradientSum* gradient_sum) {
  const Place* place = Find(norm.layer, norm.slot);
  SLM_CHECK(place);
  const float eps = model_->model()->hparams().eps;
  Add(*place, samples, gradient_sum, [&](const SampleRows& sample, float* to) {
    for (int64_t head = 0; head < norm.heads; ++head)
      gradients_->NormWeights(norm.x + sample.first * norm.x_stride + head * norm.n, norm.x_stride,
                              eps, norm.dout + sample.first * norm.dout_stride + head * norm.n,
                              norm.dout_stride, sample.count, norm.n, head > 0 || !sample.begins,
                              to);
  });
}

void TrainedModel::RunEmbedding(std::span<const SampleRows> samples, const float* dx,
                                int64_t stride) {
  const engine::Model& model = *model_->model();
  const int64_t d = model.hparams().d_model;
  const float scale = model::EmbeddingScale(model.family(), model.hparams());
  for (const SampleRows& sample : samples) {
    std::vector<float>& rows = embedding_[sample.sample];
    for (int64_t t = 0; t < sample.count; ++t)
      for (int64_t i = 0; i < d; ++i) rows.push_back(scale * dx[(sample.first + t) * stride + i]);
  }
}

void TrainedModel::Finish(std::span<const Sample* const> samples, std::span<const int> owners,
                          Ranks* ranks, std::span<float> gradient) {
  const auto d = static_cast<size_t>(model_->model()->hparams().d_model);
  const Place& table = *Find(0, Slot::kTokenEmbd);
  float* of_table = ranks->is_first() ? gradient.data() + table.at : nullptr;
  if (of_table && Find(0, Slot::kOutput)) std::fill_n(of_table, table.size, 0.0f);
  for (size_t s = 0; s < samples.size(); ++s) {
    const bool is_mine = owners[s] == ranks->rank();
    if (!is_mine && !of_table) continue;
    std::vector<float>& rows = embedding_[static_cast<int64_t>(s)];
    rows.resize(static_cast<size_t>(samples[s]->rows()) * d);
    if (!of_table) ranks->Send(0, BytesOf(std::span(rows)));
    if (!is_mine) ranks->Receive(owners[s], BytesOf(std::span(rows)));
    for (size_t t = 0; of_table && t < rows.size() / d; ++t) {
      float* to = of_table + samples[s]->ids[t] * static_cast<int64_t>(d);
      for (size_t i = 0; i < d; ++i) to[i] += rows[t * d + i];
    }
  }
  embedding_.clear();
}

}  // namespace slm::train
