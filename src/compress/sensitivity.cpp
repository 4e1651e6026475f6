#include "compress/sensitivity.h"

#include <algorithm>

#include "base/error.h"
#include "base/progress.h"
#include "base/thread_pool.h"
#include "compress/encode_tensor.h"
#include "compress/recipe.h"
#include "kernels/table.h"

namespace slm::compress {
namespace {

using format::GgufTensor;

// Rows are alike enough for a sample to tell the error of a type.
constexpr int64_t kSampledElements = 1 << 20;

// Types for rows of 32 with an error small enough that divergences grow with it in proportion. The
// second is for weights that lie on the grid of the first: there is no error to measure then.
constexpr quant::Type kProbeTypes[] = {quant::Type::kQ4_0, quant::Type::kIQ4_NL};
constexpr double kLeastProbeError = 1e-4;  // of the weights' squares

// The least that a divergence counts as, nats: one that was measured as 0 or below is noise, and a
// tensor that costs nothing in any type would get the smallest.
constexpr double kLeastKld = 1e-6;

// Over a sample of rows, weighted as encoding weighs it.
struct Loss {
  double error = 0, square = 0;
  Loss& operator+=(const Loss& other) {
    error += other.error;
    square += other.square;
    return *this;
  }
};

class Measurer {
 public:
  Measurer(const std::shared_ptr<const engine::Model>& model, const Importance& importance,
           Probe* probe)
      : model_(*model),
        kernels_(model->runtime()->kernels()),
        pool_(model->runtime()->pool()),
        importance_(importance),
        probe_(*probe) {}

  // Fills in what the tensor costs.
  void Measure(TensorSensitivity* result) {
    const GgufTensor& tensor = *result->tensor;
    double probe_error = 0;
    for (const quant::Type type : kProbeTypes) {
      const Loss loss = LossOf(tensor, type);
      result->probe_type = type;
      probe_error = loss.error;
      if (loss.error > kLeastProbeError * loss.square) break;
    }
    result->probe_kld = std::max(ProbeKld(tensor, result->probe_type), kLeastKld);
    for (TypeOption& option : result->options)
      if (option.type != tensor.type && probe_error > 0)
        option.cost = result->probe_kld * LossOf(tensor, option.type).error / probe_error;
  }

 private:
  void Decode(const GgufTensor& tensor, int64_t first, int64_t count, float* out) const {
    quant::Traits(tensor.type)
        .decode(tensor.data.data() + static_cast<size_t>(first) * tensor.row_bytes(), out,
                count * tensor.dims[0]);
  }

  Loss LossOf(const GgufTensor& tensor, quant::Type type) const {
    const int64_t k = tensor.dims[0], rows = tensor.elements / k;
    const int64_t count = std::min(rows, std::max<int64_t>(1, kSampledElements / k));
    const std::span<const float> importance = importance_.Find(tensor.name);
    const quant::TypeTraits& traits = quant::Traits(type);
    std::vector<Loss> losses(static_cast<size_t>(count));
    pool_->ParallelFor(count, [&](int64_t i, int) {
      thread_local std::vector<float> row, rounded;
      thread_local std::vector<uint8_t> bytes;
      row.resize(static_cast<size_t>(k));
      rounded.resize(static_cast<size_t>(k));
      bytes.resize(static_cast<size_t>(k / traits.block_size) * traits.block_bytes);
      Decode(tensor, i * rows / count, 1, row.data());
      kernels_.encode[static_cast<size_t>(type)](
          row.data(), importance.empty() ? nullptr : importance.data(), bytes.data(), k);
      traits.decode(bytes.data(), rounded.data(), k);
      Loss& loss = losses[static_cast<size_t>(i)];
      for (size_t j = 0; j < row.size(); ++j) {
        const double weight = importance.empty() ? 1.0 : static_cast<double>(importance[j]);
        const double error = static_cast<double>(row[j] - rounded[j]);
        loss += {weight * error * error, weight * static_cast<double>(row[j] * row[j])};
      }
    });
    Loss sum;
    for (const Loss& loss : losses) sum += loss;
    return sum;
  }

  double ProbeKld(const GgufTensor& tensor, quant::Type type) {
    GgufTensor replaced = tensor;
    replaced.type = type;
    std::vector<uint8_t> bytes;
    const format::TensorSource source = {
        tensor.name,
        {tensor.dims[0], tensor.dims[1]},
        [&](int64_t first, int64_t count, float* out) { Decode(tensor, first, count, out); }};
    EncodeTensor(source, TargetOf(type, tensor.dims[0], importance_.Find(tensor.name), kernels_),
                 pool_, [&](std::span<const uint8_t> piece) {
                   bytes.insert(bytes.end(), piece.begin(), piece.end());
                 });
    replaced.data = bytes;
    const int64_t layer = LayerOfTensor(tensor.name);
    if (layer < 0) return EndKld(replaced);
    while (probe_.layer() < layer) probe_.Advance();
    return probe_.Measure(model::BindLayer(
        model_.file(), model_.hparams(), model_.family(), model_.runtime()->backend(), layer,
        [&](const std::string& name) { return name == tensor.name ? &replaced : nullptr; }));
  }

  double EndKld(const GgufTensor& tensor) {
    const ops::PlainRows rows = {tensor.type, tensor.data.data(), tensor.dims[1], tensor.dims[0]};
    const bool is_output = tensor.name == "output.weight";
    const bool is_tied = model_.file().Find("output.weight") == nullptr;
    if (!is_output && !is_tied) return probe_.MeasureEnds(&rows, nullptr);
    const ops::Matrix output = model_.runtime()->backend()->MakeMatrix(rows);
    return probe_.MeasureEnds(is_output ? nullptr : &rows, &output);
  }

  const engine::Model& model_;
  const kernels::KernelTable& kernels_;
  ThreadPool* pool_;
  const Importance& importance_;
  Probe& probe_;
};

}  // namespace

std::vector<TensorSensitivity> TypesToChooseFrom(const format::GgufFile& file) {
  std::vector<TensorSensitivity> result;
  for (const GgufTensor& tensor : file.tensors()) {
    const int64_t k = tensor.dims[0];
    if (!IsQuantized(tensor.name, tensor.num_dims) ||
        k % quant::Traits(kProbeTypes[0]).block_size != 0)
      continue;
    result.emplace_back().tensor = &tensor;
    for (const quant::TypeTraits& traits : quant::AllTypes()) {
      const bool is_half = tensor.type == quant::Type::kF32 && traits.type == quant::Type::kBF16;
      if (traits.type != tensor.type && !is_half && traits.block_size == 1) continue;
      if (k % traits.block_size != 0) continue;
      const auto blocks = static_cast<uint64_t>(tensor.elements / traits.block_size);
      result.back().options.push_back({traits.type, blocks * traits.block_bytes, 0});
    }
  }
  // The probe only goes forward: what is outside of layers comes first.
  std::stable_sort(result.begin(), result.end(), [](const auto& a, const auto& b) {
    return LayerOfTensor(a.tensor->name) < LayerOfTensor(b.tensor->name);
  });
  return result;
}

std::vector<TensorSensitivity> MeasureSensitivities(
    const std::shared_ptr<const engine::Model>& model, const Importance& importance, Probe* probe,
    Progress* progress) {
  std::vector<TensorSensitivity> result = TypesToChooseFrom(model->file());
  if (progress) progress->Start("measuring tensors", ProgressUnit::kCount, 0, result.size());
  Measurer measurer(model, importance, probe);
  uint64_t done = 0;
  for (TensorSensitivity& sensitivity : result) {
    measurer.Measure(&sensitivity);
    if (progress) progress->Update(++done);
  }
  if (progress) progress->Finish();
  return result;
}

}  // namespace slm::compress
