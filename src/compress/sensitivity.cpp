#include "compress/sensitivity.h"

#include <algorithm>

#include "base/error.h"
#include "base/progress.h"
#include "base/thread_pool.h"
#include "compress/encode_tensor.h"
#include "compress/recipe.h"

namespace slm::compress {
namespace {

using format::GgufTensor;

// Rows are alike enough for a sample to tell the error of a type.
constexpr int64_t kSampledElements = 1 << 20;

class Measurer {
 public:
  Measurer(const std::shared_ptr<const engine::Model>& model, const Importance& importance,
           Probe* probe)
      : model_(*model),
        kernels_(model->runtime()->kernels()),
        pool_(model->runtime()->pool()),
        importance_(importance),
        probe_(*probe) {}

  TensorSensitivity Measure(const GgufTensor& tensor) {
    TensorSensitivity result = {&tensor, ProbeKld(tensor), {}};
    const double probe_error = Error(tensor, kProbeType);
    for (const quant::TypeTraits& traits : quant::AllTypes()) {
      const bool is_own = traits.type == tensor.type;
      if (!is_own && (traits.block_size == 1 || tensor.dims[0] % traits.block_size != 0)) continue;
      const double error = is_own ? 0 : Error(tensor, traits.type);
      const double cost = probe_error > 0 ? result.probe_kld * error / probe_error : 0;
      result.options.push_back(
          {traits.type,
           static_cast<uint64_t>(tensor.elements / traits.block_size) * traits.block_bytes, cost});
    }
    return result;
  }

 private:
  void Decode(const GgufTensor& tensor, int64_t first, int64_t count, float* out) const {
    quant::Traits(tensor.type)
        .decode(tensor.data.data() + static_cast<size_t>(first) * tensor.row_bytes(), out,
                count * tensor.dims[0]);
  }

  // Squared error of a sample of rows, weighted as encoding weighs it.
  double Error(const GgufTensor& tensor, quant::Type type) const {
    const int64_t k = tensor.dims[0], rows = tensor.elements / k;
    const int64_t count = std::min(rows, std::max<int64_t>(1, kSampledElements / k));
    const std::span<const float> importance = importance_.Find(tensor.name);
    const quant::TypeTraits& traits = quant::Traits(type);
    std::vector<double> errors(static_cast<size_t>(count));
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
      double sum = 0;
      for (size_t j = 0; j < row.size(); ++j) {
        const double error = static_cast<double>(row[j] - rounded[j]);
        sum += (importance.empty() ? 1.0 : static_cast<double>(importance[j])) * error * error;
      }
      errors[static_cast<size_t>(i)] = sum;
    });
    double sum = 0;
    for (const double error : errors) sum += error;
    return sum;
  }

  double ProbeKld(const GgufTensor& tensor) {
    GgufTensor replaced = tensor;
    replaced.type = kProbeType;
    std::vector<uint8_t> bytes;
    const RowSource source = {
        tensor.elements / tensor.dims[0], tensor.dims[0],
        [&](int64_t first, int64_t count, float* out) { Decode(tensor, first, count, out); }};
    EncodeTensor(source, kProbeType, importance_.Find(tensor.name), kernels_, pool_,
                 [&](std::span<const uint8_t> piece) {
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

std::vector<TensorSensitivity> MeasureSensitivities(
    const std::shared_ptr<const engine::Model>& model, const Importance& importance, Probe* probe,
    Progress* progress) {
  std::vector<const GgufTensor*> tensors;
  for (const GgufTensor& tensor : model->file().tensors())
    if (IsQuantized(tensor.name, tensor.num_dims) &&
        tensor.dims[0] % quant::Traits(kProbeType).block_size == 0)
      tensors.push_back(&tensor);
  // The probe only goes forward: what is outside of layers comes first.
  std::stable_sort(tensors.begin(), tensors.end(), [](const GgufTensor* a, const GgufTensor* b) {
    return LayerOfTensor(a->name) < LayerOfTensor(b->name);
  });
  if (progress) progress->Start("measuring tensors", ProgressUnit::kCount, 0, tensors.size());
  Measurer measurer(model, importance, probe);
  std::vector<TensorSensitivity> result;
  for (const GgufTensor* tensor : tensors) {
    result.push_back(measurer.Measure(*tensor));
    if (progress) progress->Update(result.size());
  }
  if (progress) progress->Finish();
  return result;
}

}  // namespace slm::compress
