#include "compress/probe.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace slm::compress {
namespace {

// ln of the sum of exp(logits).
double LogSum(std::span<const float> logits) {
  const double max = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - max);
  return max + std::log(sum);
}

}  // namespace

Probe::Probe(std::shared_ptr<const engine::Model> model,
             std::vector<std::vector<int32_t>> sequences, int64_t scored)
    : model_(std::move(model)),
      sequences_(std::move(sequences)),
      scored_(scored),
      session_(model_, {.context = engine::Executor::kMaxRows}),
      executor_(model_) {
  Embed(model_->weights().token_embd, &rows_);
  Rows rows = rows_;
  for (int64_t layer = 0; layer < model_->hparams().layers; ++layer)
    RunLayer(layer, model_->weights().layers[static_cast<size_t>(layer)], &rows);
  for (size_t i = 0; i < sequences_.size(); ++i) {
    const auto keep = [&](size_t, int64_t, std::span<const float> logits) {
      const double log_sum = LogSum(logits);
      std::vector<float> probabilities(logits.size());
      double negative_entropy = 0;
      for (size_t id = 0; id < logits.size(); ++id) {
        const double log_p = static_cast<double>(logits[id]) - log_sum;
        const double p = std::exp(log_p);
        probabilities[id] = static_cast<float>(p);
        negative_entropy += static_cast<double>(probabilities[id]) * log_p;
      }
      base_.push_back(std::move(probabilities));
      negative_entropy_.push_back(negative_entropy);
    };
    executor_.RunOutput({&session_, sequences_[i], scored_}, model_->weights().output,
                        rows[i].data(), keep);
  }
}

void Probe::Embed(const ops::PlainRows& table, Rows* rows) {
  const auto d = static_cast<size_t>(model_->hparams().d_model);
  rows->clear();
  for (const std::vector<int32_t>& tokens : sequences_) {
    rows->emplace_back(tokens.size() * d);
    executor_.Embed(table, tokens, rows->back().data());
  }
}

void Probe::RunLayer(int64_t layer, const model::LayerWeights& weights, Rows* rows) {
  for (size_t i = 0; i < sequences_.size(); ++i) {
    const engine::BatchItem item = {&session_, sequences_[i], 0};
    executor_.RunLayer({&item, 1}, layer, weights, (*rows)[i].data());
  }
}

double Probe::DivergenceAt(size_t index, std::span<const float> logits) const {
  const std::vector<float>& p = base_[index];
  double cross = 0, total = 0;  // sum of p * logit; of p, which rounding keeps from being 1
  for (size_t id = 0; id < p.size(); ++id) {
    cross += static_cast<double>(p[id]) * static_cast<double>(logits[id]);
    total += static_cast<double>(p[id]);
  }
  return negative_entropy_[index] - (cross - total * LogSum(logits));
}

double Probe::Divergence(const ops::Matrix& output, const Rows& rows) {
  double sum = 0;
  size_t index = 0;
  for (size_t i = 0; i < sequences_.size(); ++i)
    executor_.RunOutput({&session_, sequences_[i], scored_}, output, rows[i].data(),
                        [&](size_t, int64_t, std::span<const float> logits) {
                          sum += DivergenceAt(index++, logits);
                        });
  return sum / static_cast<double>(index);
}

double Probe::MeasureModel(const std::shared_ptr<const engine::Model>& other) {
  SLM_CHECK(other->hparams().vocab == model_->hparams().vocab);
  engine::Session session(other, {.context = engine::Executor::kMaxRows});
  engine::Executor executor(other);
  double sum = 0;
  size_t index = 0;
  for (const std::vector<int32_t>& tokens : sequences_) {
    session.KeepPrefix({}, 0);
    const engine::BatchItem item = {&session, tokens, scored_};
    executor.Forward({&item, 1}, [&](size_t, int64_t, std::span<const float> logits) {
      sum += DivergenceAt(index++, logits);
    });
  }
  return sum / static_cast<double>(index);
}

double Probe::Measure(const model::LayerWeights& weights) {
  SLM_CHECK(layer_ < model_->hparams().layers);
  Rows rows = rows_;
  RunLayer(layer_, weights, &rows);
  for (int64_t layer = layer_ + 1; layer < model_->hparams().layers; ++layer)
    RunLayer(layer, model_->weights().layers[static_cast<size_t>(layer)], &rows);
  return Divergence(model_->weights().output, rows);
}

void Probe::Advance() {
  RunLayer(layer_, model_->weights().layers[static_cast<size_t>(layer_)], &rows_);
  ++layer_;
}

double Probe::MeasureEnds(const ops::PlainRows* embedding, const ops::Matrix* output) {
  SLM_CHECK(layer_ == 0);
  Rows rows = rows_;
  if (embedding) Embed(*embedding, &rows);
  for (int64_t layer = 0; layer < model_->hparams().layers; ++layer)
    RunLayer(layer, model_->weights().layers[static_cast<size_t>(layer)], &rows);
  return Divergence(output ? *output : model_->weights().output, rows);
}

}  // namespace slm::compress
