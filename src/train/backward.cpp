#include "train/backward.h"

#include <algorithm>

#include "base/error.h"
#include "base/random.h"

namespace slm::train {
namespace {

// Logits that are there at once, where memory is scarce and where it is not, and rows of gate and
// up where it is.
constexpr int64_t kLogitBytes = int64_t{32} << 20, kMoreLogitBytes = int64_t{128} << 20;
constexpr int64_t kGateBytes = int64_t{20} << 20;

const model::Vector kNoBias;

constexpr std::initializer_list<model::Slot> kAllSlots = {
    model::Slot::kAttnQ,      model::Slot::kAttnK,   model::Slot::kAttnV, model::Slot::kAttnQkv,
    model::Slot::kAttnOutput, model::Slot::kFfnGate, model::Slot::kFfnUp, model::Slot::kFfnDown};

// Each time the weights are decoded: not too few.
int64_t RowsAtOnce(const model::Hparams& h, const BackwardOptions& options) {
  const int64_t row_bytes = engine::GateRow(h).stride * static_cast<int64_t>(sizeof(float));
  const int64_t wanted = options.rows_at_once > 0 ? options.rows_at_once
                         : options.keeps_activations
                             ? options.rows
                             : std::max<int64_t>(192, kGateBytes / row_bytes / 16 * 16);
  return std::min(options.rows, wanted);
}

// Those of rows [first, first + count), which count from `first`.
std::vector<SampleRows> PartOf(std::span<const SampleRows> samples, int64_t first, int64_t count) {
  std::vector<SampleRows> parts;
  for (const SampleRows& sample : samples) {
    const int64_t begin = std::max(first, sample.first);
    const int64_t end = std::min(first + count, sample.first + sample.count);
    if (begin < end)
      parts.push_back({sample.sample, begin - first, end - begin, begin == sample.first,
                       end == sample.first + sample.count});
  }
  return parts;
}

}  // namespace

Backward::Backward(std::shared_ptr<const engine::Model> model, TrainedWeights* weights,
                   const BackwardOptions& options)
    : model_(std::move(model)),
      backend_(model_->runtime()->backend()),
      options_(options),
      weights_(weights),
      executor_(model_),
      layer_gradient_(*model_, options.rows, RowsAtOnce(model_->hparams(), options),
                      options.longest) {
  const model::Hparams& h = model_->hparams();
  executor_.set_precision(options.precision, options.serves_gates_and_logits);
  executor_.set_rows_at_once(RowsAtOnce(h, options));
  x_ = {options.rows, h.d_model};
  dx_ = {options.rows, layer_gradient_.stride()};
  const bool keeps_outputs = layer_gradient_.NeedsOutputs(*weights_);
  const auto kept = static_cast<size_t>(options.keeps_activations ? h.layers : 1);
  for (size_t i = 0; i < kept; ++i) {
    attention_.emplace_back(h, options.rows, keeps_outputs);
    feed_forward_.emplace_back(
        h, options.keeps_activations ? options.rows : executor_.rows_at_once(), keeps_outputs);
  }
  for (int64_t layer = 0; layer < h.layers; ++layer) inputs_.emplace_back(options.rows, h.d_model);
  const int64_t stride = engine::RowStride(h.vocab);
  const int64_t logit_bytes = options.keeps_activations ? kMoreLogitBytes : kLogitBytes;
  const int64_t rows = std::min(options.rows, std::max<int64_t>(16, logit_bytes / 4 / stride));
  chosen_ = {rows, h.d_model};
  normed_ = {rows, h.d_model};
  dchosen_ = {rows, layer_gradient_.stride()};
  dnormed_ = {rows, layer_gradient_.stride()};
  logits_ = {rows, stride};
}

uint64_t Backward::BytesFor(const BatchSize& batch) const {
  const model::Hparams& h = model_->hparams();
  const int64_t rows = batch.rows, at_once = std::min(rows, executor_.rows_at_once());
  const int64_t logits = std::min(batch.trained, logits_.rows());
  uint64_t bytes = x_.BytesFor(rows) + dx_.BytesFor(rows) + weights_->BytesFor(rows) +
                   layer_gradient_.BytesFor(rows, *weights_) +
                   executor_.BytesFor(std::max(at_once, logits));
  for (const engine::RowBuffer& input : inputs_) bytes += input.BytesFor(rows);
  for (const engine::AttentionTrace& trace : attention_) bytes += trace.BytesFor(rows);
  for (const engine::FeedForwardTrace& trace : feed_forward_) bytes += trace.BytesFor(rows);
  for (const engine::RowBuffer* buffer : {&chosen_, &dchosen_, &dnormed_, &logits_})
    bytes += buffer->BytesFor(logits);
  bytes += static_cast<uint64_t>(batch.samples) *
           engine::KvCache::BytesByLayer(h, kernels::KvType::kF32, kernels::KvType::kF32,
                                         rows / batch.samples);
  if (weights_->dropout()) {  // what it leaves of an input, and the derivative by that
    const uint64_t input =
        sizeof(float) * static_cast<uint64_t>(std::max(rows * h.d_model, at_once * h.ffn));
    bytes += 2 * input;
    if (weights_->ReadsOutput(kAllSlots))  // the rest of it, its words, and products with it
      bytes +=
          input + input / 2 +
          sizeof(float) * static_cast<uint64_t>(std::max(
                              rows * std::max(h.d_model, h.heads * h.head_dim), at_once * h.ffn));
  }
  const ops::Gradients* gradients = backend_->gradients();
  const int64_t longest = std::min(rows, options_.longest);
  bytes += gradients->AttentionBytes({.rows = longest,
                                      .heads = h.heads,
                                      .kv_heads = h.kv_heads,
                                      .head_dim = h.head_dim,
                                      .softcap = h.attn_softcap});
  const auto product = [&](int64_t of_rows, int64_t numbers) {
    return gradients->MatMulBytes(of_rows, numbers, options_.precision);
  };
  return bytes + std::max({product(logits, h.vocab), product(at_once, 2 * h.ffn),
                           product(rows, engine::AttentionRow(h).stride)});
}

void Backward::Forward(std::span<const Sample* const> samples, int64_t first, bool keeps) {
  const model::Hparams& h = model_->hparams();
  items_.clear();
  rows_.clear();
  int64_t row = 0;
  // Sessions stay where they are while items point to them.
  while (sessions_.size() < samples.size())
    sessions_.emplace_back(model_, engine::SessionOptions{.context = options_.longest,
                                                          .k_type = kernels::KvType::kF32,
                                                          .v_type = kernels::KvType::kF32,
                                                          .loras = weights_->loras(),
                                                          .is_by_layer = true});
  for (size_t s = 0; s < samples.size(); ++s) {
    const int64_t count = samples[s]->rows();
    SLM_CHECK(count > 0 && count <= options_.longest && row + count <= options_.rows);
    const std::span<const int32_t> ids = samples[s]->ids;
    items_.push_back({&sessions_[s], ids.first(static_cast<size_t>(count)), 0});
    executor_.Embed(items_.back().tokens, x_.data() + row * h.d_model);
    rows_.push_back({first + static_cast<int64_t>(s), row, count});
    row += count;
  }
  for (int64_t layer = 0; layer < h.layers; ++layer) {
    const auto i = static_cast<size_t>(layer);
    if (keeps) inputs_[i].Copy(x_.data(), h.d_model, row, 0);
    weights_->HoldLayer(layer);
    engine::LayerTraces traces;
    if (keeps && options_.keeps_activations) traces = {&attention_[i], &feed_forward_[i]};
    executor_.RunLayer(items_, layer, model_->weights().layers[i], x_.data(), traces);
  }
}

std::vector<double> Backward::RunHead(std::span<const Sample* const> samples, float scale,
                                      GradientSum* gradient_sum) {
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
  if (gradient_sum) {
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
    if (!gradient_sum) continue;
    // Of the samples whose tokens these are.
    std::vector<SampleRows> parts;
    for (size_t i = 0; i < chunk.size(); ++i) {
      const int64_t sample = rows_[chunk[i].sample].sample;
      if (parts.empty() || parts.back().sample != sample) {
        const bool begins = first + i == 0 || targets[first + i - 1].sample != chunk[i].sample;
        parts.push_back({sample, static_cast<int64_t>(i), 0, begins, false});
      }
      ++parts.back().count;
      const size_t next = first + i + 1;
      parts.back().ends = next == targets.size() || targets[next].sample != chunk[i].sample;
    }
    backend_->Norm(chosen_.data(), norm.data(), h.eps, {rows, h.d_model, {}, normed_.data()});
    const TrainedWeights::Product product = {&output, &kNoBias, logits_.data(), nullptr,
                                             logits_.stride()};
    const TrainedWeights::Tensor tensor = {model::Slot::kOutput, 1};
    weights_->Run({0,
                   normed_.data(),
                   h.d_model,
                   {&product, 1},
                   {&tensor, 1},
                   dnormed_.data(),
                   dnormed_.stride()},
                  parts, options_.precision, gradient_sum);
    weights_->RunNorm({0, model::Slot::kOutputNorm, chosen_.data(), dnormed_.data(), h.d_model,
                       dnormed_.stride(), h.d_model},
                      parts, gradient_sum);
    gradients->Norm(chosen_.data(), h.d_model, norm.data(), h.eps, dnormed_.data(),
                    dnormed_.stride(), rows, h.d_model, false, dchosen_.data(), dchosen_.stride());
    for (size_t i = 0; i < chunk.size(); ++i)
      dx_.Copy(dchosen_.data() + static_cast<int64_t>(i) * dchosen_.stride(), dchosen_.stride(), 1,
               chunk[i].row);
  }
  return sums;
}

std::vector<double> Backward::Evaluate(std::span<const Sample* const> samples) {
  executor_.set_dropout(nullptr);
  Forward(samples, 0, false);
  return RunHead(samples, 1, nullptr);
}

void Backward::SeedRows(int64_t first, int64_t count) {
  if (engine::Dropout* dropout = weights_->dropout())
    dropout->set_seeds(
        std::span(row_seeds_).subspan(static_cast<size_t>(first), static_cast<size_t>(count)));
}

void Backward::RunLayer(int64_t layer, GradientSum* gradient_sum) {
  const model::Hparams& h = model_->hparams();
  const model::LayerWeights& weights = model_->weights().layers[static_cast<size_t>(layer)];
  const bool is_kept = options_.keeps_activations;
  const int64_t rows = rows_.back().first + rows_.back().count;
  const float* x = inputs_[static_cast<size_t>(layer)].data();
  engine::AttentionTrace* attention = &attention_[is_kept ? static_cast<size_t>(layer) : 0];
  engine::FeedForwardTrace* feed_forward = &feed_forward_[is_kept ? static_cast<size_t>(layer) : 0];
  weights_->HoldLayer(layer);
  SeedRows(0, rows);
  if (!is_kept) {
    x_.Copy(x, h.d_model, rows, 0);
    executor_.RunAttention(items_, layer, weights, x_.data(), attention);
  }
  for (int64_t first = 0; first < rows; first += executor_.rows_at_once()) {
    const int64_t count = std::min(executor_.rows_at_once(), rows - first);
    SeedRows(first, count);
    const float* middle = attention->middle.data() + first * h.d_model;
    if (!is_kept)
      executor_.RunFeedForward(&sessions_.front(), count, layer, weights, middle, feed_forward);
    const std::vector<SampleRows> parts = PartOf(rows_, first, count);
    layer_gradient_.RunFeedForward({layer, parts, options_.precision, weights_, gradient_sum,
                                    dx_.data() + first * dx_.stride()},
                                   middle, feed_forward, is_kept ? first : 0);
  }
  SeedRows(0, rows);
  layer_gradient_.RunAttention(
      {layer, rows_, options_.precision, weights_, gradient_sum, dx_.data()}, x, *attention);
}

std::vector<double> Backward::Run(std::span<const Sample* const> samples, int64_t first,
                                  std::span<const uint64_t> seeds, float scale,
                                  GradientSum* gradient_sum) {
  if (engine::Dropout* dropout = weights_->dropout()) {
    row_seeds_.clear();
    for (size_t s = 0; s < samples.size(); ++s)
      for (int64_t t = 0; t < samples[s]->rows(); ++t)
        row_seeds_.push_back(RandomBits(seeds[s], static_cast<uint64_t>(t)));
    dropout->set_seeds(row_seeds_);
    executor_.set_dropout(dropout);
  }
  Forward(samples, first, true);
  std::vector<double> losses = RunHead(samples, scale, gradient_sum);
  const int64_t first_layer = std::max<int64_t>(0, weights_->first_layer());
  for (int64_t layer = model_->hparams().layers; layer-- > first_layer;)
    RunLayer(layer, gradient_sum);
  if (weights_->first_layer() < 0) weights_->RunEmbedding(rows_, dx_.data(), dx_.stride());
  return losses;
}

}  // namespace slm::train
