// All weights of a model in training: matrices, norms, biases, the embedding and the output. Of
//   y = W x + b, norm(x) * w: dW = dy x^T, db = dy, dw = dy x / rms(x)
// over the rows of a sample, and of the embedding the rows that occurred. Where the output is the
// embedding, both add to one gradient. Norms and biases do not decay, as in transformers' Trainer.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <vector>

#include "engine/float_model.h"
#include "train/trained_weights.h"

namespace slm::train {

class TrainedModel : public TrainedWeights {
 public:
  explicit TrainedModel(std::shared_ptr<engine::FloatModel> model);

  // Numbers such as a gradient's in the place of the model's, which they must outlive.
  format::GgufFile Shape(std::span<const float> numbers) const;

  std::vector<Piece> pieces() override;
  void Update() override { model_->model()->Rebind(); }
  nlohmann::ordered_json Identity() const override;
  int64_t first_layer() const override { return -1; }
  void Run(const Group& group, std::span<const SampleRows> samples, ops::Precision precision,
           GradientSum* gradient_sum) override;
  uint64_t BytesFor(int64_t rows) const override;
  void RunNorm(const Norm& norm, std::span<const SampleRows> samples,
               GradientSum* gradient_sum) override;
  void RunEmbedding(std::span<const SampleRows> samples, const float* dx, int64_t stride) override;
  void Finish(std::span<const Sample* const> samples, std::span<const int> owners, Ranks* ranks,
              std::span<float> gradient) override;

 private:
  struct Place {
    model::Slot slot{};
    size_t tensor = 0;  // of the file
    int64_t at = 0;     // its first number
    int64_t rows = 0, size = 0;
  };
  static constexpr size_t kNone = ~size_t{0};
  const Place* Find(int64_t layer, model::Slot slot) const;  // nullptr: the file has none
  // fill(sample, to) adds a sample's rows to what its rows before made, or, of its first, sets it.
  template <class Fill>
  void Add(const Place& place, std::span<const SampleRows> samples, GradientSum* gradient_sum,
           const Fill& fill);

  std::shared_ptr<engine::FloatModel> model_;
  ops::Gradients* gradients_;
  std::vector<Place> places_;
  std::vector<size_t> by_slot_;             // [layers][slots]: index of the place
  std::vector<std::vector<float>> values_;  // by slot: of a sample that is added to another's
  std::vector<float> ones_;
  std::map<int64_t, std::vector<float>> embedding_;  // by sample of the step: [T, D], derivatives
};

}  // namespace slm::train
