#include "compress/calibration.h"

#include <algorithm>

#include "base/error.h"
#include "model/tensor_table.h"

namespace slm::compress {
namespace {

class GramObserver : public engine::InputObserver {
 public:
  GramObserver(engine::Runtime* runtime, LayerGrams* grams) : runtime_(*runtime), grams_(*grams) {}

  void OnInput(int64_t, std::span<const model::Slot> readers, int64_t rows, int64_t k,
               const float* x) override {
    auto group = std::find_if(grams_.begin(), grams_.end(), [&](const GroupGram& g) {
      return g.readers.front() == readers.front();
    });
    if (group == grams_.end())
      group = grams_.insert(group, {{readers.begin(), readers.end()}, Gram(k)});
    group->gram.Add(x, rows, runtime_.kernels(), runtime_.pool());
  }

 private:
  engine::Runtime& runtime_;
  LayerGrams& grams_;
};

}  // namespace

Calibration::Calibration(std::shared_ptr<const engine::Model> model,
                         std::vector<std::vector<int32_t>> sequences)
    : model_(std::move(model)),
      sequences_(std::move(sequences)),
      session_(model_, {.context = engine::Executor::kMaxRows,
                        .k_type = kernels::KvType::kF32,
                        .v_type = kernels::KvType::kF32,
                        .is_by_layer = true}),
      executor_(model_) {
  for (const std::vector<int32_t>& tokens : sequences_) {
    SLM_CHECK(!tokens.empty() && static_cast<int64_t>(tokens.size()) <= engine::Executor::kMaxRows);
    tokens_ += static_cast<int64_t>(tokens.size());
  }
  Embed(model_->weights().token_embd);
}

void Calibration::Embed(const ops::PlainRows& table) {
  rows_.clear();
  for (const std::vector<int32_t>& tokens : sequences_) {
    rows_.emplace_back(tokens.size() * static_cast<size_t>(model_->hparams().d_model));
    executor_.Embed(table, tokens, rows_.back().data());
  }
}

LayerGrams Calibration::Measure(int64_t layer, const model::LayerWeights& weights) {
  LayerGrams grams;
  GramObserver observer(model_->runtime(), &grams);
  executor_.set_observer(&observer);
  Run(layer, weights, true);
  executor_.set_observer(nullptr);
  CheckFinite(grams, layer);
  return grams;
}

void Calibration::Advance(int64_t layer, const model::LayerWeights& weights) {
  Run(layer, weights, false);
}

Gram Calibration::MeasureOutput() {
  LayerGrams grams;
  GramObserver observer(model_->runtime(), &grams);
  executor_.set_observer(&observer);
  for (size_t i = 0; i < sequences_.size(); ++i) {
    const engine::BatchItem item = {&session_, sequences_[i],
                                    static_cast<int64_t>(sequences_[i].size())};
    executor_.RunOutput(item, model_->weights().output, rows_[i].data(), nullptr);
  }
  executor_.set_observer(nullptr);
  SLM_CHECK(grams.size() == 1);
  CheckFinite(grams, 0);
  return std::move(grams.front().gram);
}

void Calibration::CheckFinite(const LayerGrams& grams, int64_t layer) {
  for (const GroupGram& group : grams)
    if (!group.gram.IsFinite())
      throw Error(Code::kBadInput,
                  "tensor {}: what it is multiplied with is not finite, so there is nothing to "
                  "measure: weights before it are broken or too large",
                  model::TensorName(
                      model::TensorTable()[static_cast<size_t>(group.readers.front())], layer));
}

void Calibration::Run(int64_t layer, const model::LayerWeights& weights, bool keeps_rows) {
  std::vector<float> copy;
  for (size_t i = 0; i < sequences_.size(); ++i) {
    float* rows = rows_[i].data();
    if (keeps_rows) {
      copy = rows_[i];
      rows = copy.data();
    }
    const engine::BatchItem item = {&session_, sequences_[i], 0};
    executor_.RunLayer({&item, 1}, layer, weights, rows);
  }
}

}  // namespace slm::compress
