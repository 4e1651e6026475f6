#include "train/backward.h"

#include <algorithm>

#include "base/error.h"

namespace slm::train {
namespace {

// Logits that are there at once.
constexpr int64_t kLogitBytes = int64_t{64} << 20;

}  // namespace

Backward::Backward(std::shared_ptr<const engine::Model> model, const model::Lora& values,
                   std::shared_ptr<const engine::Lora> bound, const ParameterLayout& layout,
                   const BackwardOptions& options)
    : model_(std::move(model)),
      backend_(model_->runtime()->backend()),
      options_(options),
      bound_(std::move(bound)),
      loras_(backend_, values, *bound_, layout),
      executor_(model_),
      layer_gradient_(*model_, options.rows, options.longest) {
  const model::Hparams& h = model_->hparams();
  executor_.set_precision(options.precision);
  x_ = {options.rows, h.d_model};
  dx_ = {options.rows, layer_gradient_.stride()};
  const auto kept = static_cast<size_t>(options.keeps_activations ? h.layers : 1);
  for (size_t i = 0; i < kept; ++i)
    traces_.emplace_back(h, options.rows, layer_gradient_.NeedsOutputs(loras_));
  for (int64_t layer = 0; layer < h.layers; ++layer) inputs_.emplace_back(options.rows, h.d_model);
  const int64_t stride = engine::RowStride(h.vocab);
  const int64_t rows = std::clamp<int64_t>(kLogitBytes / 4 / stride, 16,
                                           std::min(options.rows, engine::Executor::kMaxRows));
  chosen_ = {rows, h.d_model};
  dchosen_ = {rows, layer_gradient_.stride()};
  dnormed_ = {rows, layer_gradient_.stride()};
  logits_ = {rows, stride};
}

void Backward::Forward(std::span<const Sample* const> samples, bool keeps) {
  const model::Hparams& h = model_->hparams();
  items_.clear();
  rows_.clear();
  int64_t row = 0;
  // Sessions stay where they are while items point to them.
  while (sessions_.size() < samples.size())
    sessions_.emplace_back(model_, engine::SessionOptions{.context = options_.longest,
                                                          .k_type = kernels::KvType::kF32,
                                                          .v_type = kernels::KvType::kF32,
                                                          .loras = {bound_},
                                                          .is_by_layer = true});
  for (size_t s = 0; s < samples.size(); ++s) {
    const int64_t count = samples[s]->rows();
    SLM_CHECK(count > 0 && count <= options_.longest && row + count <= options_.rows);
    const std::span<const int32_t> ids = samples[s]->ids;
    items_.push_back({&sessions_[s], ids.first(static_cast<size_t>(count)), 0});
    executor_.Embed(items_.back().tokens, x_.data() + row * h.d_model);
    rows_.push_back({row, count});
    row += count;
  }
  for (int64_t layer = 0; layer < h.layers; ++layer) {
    const auto i = static_cast<size_t>(layer);
    if (keeps) inputs_[i].Copy(x_.data(), h.d_model, row, 0);
    executor_.RunLayer(items_, layer, model_->weights().layers[i], x_.data(),
                       keeps && options_.keeps_activations ? &traces_[i] : nullptr);
  }
}

std::vector<double> Backward::RunHead(std::span<const Sample* const> samples, float scale,
                                      bool wants_gradient) {
  const model::Hparams& h = model_->hparams();
  const ops::Matrix& output = model_->weights().output;
  const model::Vector& norm = model_->weights().output_norm;
  ops::Gradients* gradients = backend_->gradients();
  std::vector<Target> targets;
  for (size_t s = 0; s < samples.size(); ++s)
    for (int64_t t = 0; t < rows_[s].count; ++t) {
      const int32_t label = samples[s]->labels[static_cast<size_t>(t + 1)];
      if (label != kIgnored) targets.push_back({rows_[s].first + t, label, s});
    }
  if (wants_gradient) {
    const SampleRows& last = rows_.back();
    std::fill_n(dx_.data(), (last.first + last.count) * dx_.stride(), 0.0f);
  }
  std::vector<double> sums(samples.size());
  std::vector<int32_t> labels;
  std::vector<float> losses;
  const auto most = static_cast<size_t>(logits_.rows());
  for (size_t first = 0; first < targets.size(); first += most) {
    const auto chunk = std::span(targets).subspan(first, std::min(most, targets.size() - first));
    const auto rows = static_cast<int64_t>(chunk.size());
    labels.clear();
    for (size_t i = 0; i < chunk.size(); ++i) {
      labels.push_back(chunk[i].label);
      chosen_.Copy(x_.data() + chunk[i].row * h.d_model, h.d_model, 1, static_cast<int64_t>(i));
    }
    executor_.RunLogits(output, chosen_.data(), rows, logits_.stride(), logits_.data());
    losses.resize(chunk.size());
    gradients->Loss(
        {labels, h.vocab, logits_.stride(), h.final_softcap, scale, logits_.data(), losses.data()});
    for (size_t i = 0; i < chunk.size(); ++i)
      sums[chunk[i].sample] += static_cast<double>(losses[i]);
    if (!wants_gradient) continue;
    const ops::ProductGradient product = {&output, logits_.data(), logits_.stride()};
    gradients->MatMul({&product, 1}, rows, h.d_model, options_.precision, false, dnormed_.stride(),
                      dnormed_.data());
    gradients->Norm(chosen_.data(), h.d_model, norm.data(), h.eps, dnormed_.data(),
                    dnormed_.stride(), rows, h.d_model, false, dchosen_.data(), dchosen_.stride());
    for (size_t i = 0; i < chunk.size(); ++i)
      dx_.Copy(dchosen_.data() + static_cast<int64_t>(i) * dchosen_.stride(), dchosen_.stride(), 1,
               chunk[i].row);
  }
  return sums;
}

std::vector<double> Backward::Evaluate(std::span<const Sample* const> samples) {
  Forward(samples, false);
  return RunHead(samples, 1, false);
}

std::vector<double> Backward::Run(std::span<const Sample* const> samples, float scale,
                                  const GradientSink& sink) {
  const model::Hparams& h = model_->hparams();
  Forward(samples, true);
  const std::vector<double> losses = RunHead(samples, scale, true);
  for (int64_t layer = h.layers; layer-- > loras_.first_layer();) {
    const auto i = static_cast<size_t>(layer);
    engine::LayerTrace* trace = &traces_[options_.keeps_activations ? i : 0];
    if (!options_.keeps_activations) {
      x_.Copy(inputs_[i].data(), h.d_model, rows_.back().first + rows_.back().count, 0);
      executor_.RunLayer(items_, layer, model_->weights().layers[i], x_.data(), trace);
    }
    layer_gradient_.Run(layer, rows_, inputs_[i].data(), trace, options_.precision, &loras_, sink,
                        dx_.data());
  }
  return losses;
}

}  // namespace slm::train
