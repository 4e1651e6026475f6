// An adapter in training, and the backward pass of products with it beside them:
//   y = W x + s B (A x)
//   dx = W^T dy + A^T dh, dA = dh x^T, dB = s dy (A x)^T, with dh = s B^T dy
// and of DoRA, whose norms are constants of the step (Liu et al., arXiv 2402.09353, 4.3), so that
// dy is that of y times factor, and dm = dy y / m. B A is never formed.
//
// With dropout, of mask M, adapters have M x for x: dA = dh (M x)^T, and M is before A^T. DoRA is
// of M x too, as PEFT has it: y = W (x - M x) + factor (W + s B A) M x, so that
//   dx = W^T dy + M (W^T (factor - 1) dy + A^T dh)
// and dm is of the second term alone.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "train/parameter_layout.h"
#include "train/trained_weights.h"

namespace slm::train {

class TrainedLora : public TrainedWeights {
 public:
  // The matrices of the adapter have their numbers. `dropout` is engine::Dropout's share. Throws
  // kUnsupported where a matrix is of a slot that is not trained.
  TrainedLora(std::shared_ptr<const engine::Model> model, model::Lora lora, double dropout = 0);

  const model::Lora& lora() const { return lora_; }
  // Numbers such as a gradient's in the shape of the adapter.
  model::Lora Shape(std::span<const float> numbers) const;

  std::vector<Piece> pieces() override;
  void Update() override { changing_.Update(); }
  nlohmann::ordered_json Identity() const override;
  void HoldLayer(int64_t layer) override { changing_.HoldLayer(layer); }
  std::vector<std::shared_ptr<const engine::Lora>> loras() const override {
    return {changing_.lora()};
  }
  uint64_t BytesFor(int64_t rows) const override;
  engine::Dropout* dropout() override { return dropout_ ? &*dropout_ : nullptr; }
  int64_t first_layer() const override { return first_layer_; }
  bool ReadsOutput(int64_t layer, std::initializer_list<model::Slot> slots) const override;
  bool ReadsOutput(std::initializer_list<model::Slot> slots) const override;
  void Run(const Group& group, std::span<const SampleRows> samples, ops::Precision precision,
           GradientSum* gradient_sum) override;

 private:
  static constexpr size_t kNone = ~size_t{0};
  size_t Find(int64_t layer, model::Slot slot) const;
  void RunMagnitudes(const Group& group, const Tensor& tensor, std::span<const SampleRows> samples,
                     ops::Precision precision, GradientSum* gradient_sum);
  void RunTensor(const Group& group, const Tensor& tensor, std::span<const SampleRows> samples,
                 GradientSum* gradient_sum);

  std::shared_ptr<const engine::Model> model_;
  ops::Backend* backend_;
  ops::Gradients* gradients_;
  model::Lora lora_;
  const ParameterLayout layout_;
  engine::ChangingLora changing_;
  const double share_;
  std::optional<engine::Dropout> dropout_;
  std::vector<size_t> by_slot_;  // [layers][slots]: index of the matrix
  int64_t first_layer_ = 0;
  // Of a sample so far.
  struct Sum {
    std::vector<float> a, b;  // [rank, in], [rank, out]
    std::vector<float> magnitude;
  };
  std::vector<Sum> sums_;          // by slot
  std::vector<float> low_, dlow_;  // [T, rank]
  std::vector<float> turned_, zeros_;
  std::vector<float> ddropped_;  // [T, k]: by M x
};

}  // namespace slm::train
