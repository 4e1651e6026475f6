// Training all weights of the models of tests/golden/families: against PyTorch, against finite
// differences, and what may not change a bit of it.
#include "train/trained_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <random>

#include "base/error.h"
#include "support/data.h"
#include "support/floats.h"
#include "support/temp_folder.h"
#include "tiny/tiny_model.h"
#include "train/mean_loss.h"
#include "train/thread_ranks.h"
#include "train/training_run.h"

namespace slm::train {
namespace {

using nlohmann::json;

const json& Goldens() {
  static const json goldens = json::parse(testing::ReadFile("tests/golden/full_finetune.json"));
  return goldens;
}

std::vector<Sample> SamplesOf(const json& golden) {
  std::vector<Sample> samples;
  for (size_t i = 0; i < golden.at("ids").size(); ++i)
    samples.push_back({golden.at("ids").at(i), golden.at("labels").at(i)});
  return samples;
}

std::vector<const Sample*> PointersTo(const std::vector<Sample>& samples) {
  std::vector<const Sample*> pointers;
  for (const Sample& sample : samples) pointers.push_back(&sample);
  return pointers;
}

struct How {
  std::string family;
  int64_t rows = 48, rows_at_once = 0;
  bool keeps_activations = false;
  int threads = 2, ranks = 1;
};

struct Training {
  engine::Runtime runtime;
  std::shared_ptr<engine::FloatModel> model;
  std::shared_ptr<TrainedModel> weights;
  std::unique_ptr<Trainer> trainer;

  explicit Training(const How& how, std::shared_ptr<Ranks> ranks = std::make_shared<Ranks>())
      : runtime(how.threads),
        model(std::make_shared<engine::FloatModel>("tests/golden/families/" + how.family + ".gguf",
                                                   &runtime)),
        weights(std::make_shared<TrainedModel>(model)) {
    TrainerOptions options;
    options.backward.rows = how.rows;
    options.backward.longest = 48;
    options.backward.rows_at_once = how.rows_at_once;
    options.backward.keeps_activations = how.keeps_activations;
    options.adamw.weight_decay = Goldens().at("weight_decay");
    trainer = std::make_unique<Trainer>(model->model(), weights, options, ranks);
  }
  std::vector<float> Values() const {
    std::vector<float> values;
    for (const TrainedWeights::Piece& piece : weights->pieces())
      values.insert(values.end(), piece.values.begin(), piece.values.end());
    return values;
  }
};

std::span<const float> FloatsOf(const format::GgufTensor& tensor) {
  return {reinterpret_cast<const float*>(tensor.data.data()), static_cast<size_t>(tensor.elements)};
}

class FullFinetune : public ::testing::TestWithParam<const char*> {};

TEST_P(FullFinetune, HasPyTorchsGradients) {
  const json& golden = Goldens().at(GetParam());
  const std::vector<Sample> samples = SamplesOf(golden);
  Training training({.family = GetParam()});
  const double loss = training.trainer->Step(PointersTo(samples), 0).loss;
  EXPECT_NEAR(loss, golden.at("losses").at(0).get<double>(), 1e-5 * loss);
  EXPECT_EQ(training.weights->pieces().size(), golden.at("gradients").size());
  const format::GgufFile gradient = training.weights->Shape(training.trainer->gradient());
  for (const auto& [name, expected] : golden.at("gradients").items()) {
    const std::span<const float> got = FloatsOf(gradient.Get(name));
    double squares = 0, difference = 0;
    for (const float g : got) squares += static_cast<double>(g) * static_cast<double>(g);
    const double norm = expected.at("norm");
    EXPECT_NEAR(std::sqrt(squares), norm, 1e-4 * norm) << name;
    const std::vector<double> numbers = expected.at("numbers");
    double size = 0;
    for (size_t i = 0; i < numbers.size(); ++i) {
      const double error =
          static_cast<double>(got[i * expected.at("each").get<size_t>()]) - numbers[i];
      difference += error * error;
      size += numbers[i] * numbers[i];
    }
    // Those that were picked may all be small.
    const double share =
        static_cast<double>(numbers.size()) / static_cast<double>(got.size()) * norm * norm;
    EXPECT_LE(std::sqrt(difference / std::max(size, share)), 1e-4) << name;
  }
}

TEST_P(FullFinetune, LearnsAsPyTorchDoes) {
  const json& golden = Goldens().at(GetParam());
  const std::vector<Sample> samples = SamplesOf(golden);
  Training training({.family = GetParam()});
  for (const double expected : golden.at("losses")) {
    const double rate = Goldens().at("learning_rate");
    EXPECT_NEAR(training.trainer->Step(PointersTo(samples), rate).loss, expected, 1e-3 * expected);
  }
}

// Along the gradient of one tensor at a time the loss rises by its norm squared times the way.
TEST_P(FullFinetune, GradientIsThatOfFiniteDifferences) {
  const std::vector<Sample> samples = SamplesOf(Goldens().at(GetParam()));
  const std::vector<const Sample*> batch = PointersTo(samples);
  Training training({.family = GetParam()});
  training.trainer->Step(batch, 0);
  const std::vector<float> gradient(training.trainer->gradient().begin(),
                                    training.trainer->gradient().end());
  size_t at = 0;
  for (const TrainedWeights::Piece& piece : training.weights->pieces()) {
    const std::vector<float> before(piece.values.begin(), piece.values.end());
    double squares = 0;
    for (size_t i = 0; i < before.size(); ++i)
      squares += std::pow(static_cast<double>(gradient[at + i]), 2);
    const double step = 4e-3 / std::sqrt(squares);
    double losses[2];
    for (int side = 0; side < 2; ++side) {
      for (size_t i = 0; i < before.size(); ++i)
        piece.values[i] = before[i] + static_cast<float>((side ? -step : step) *
                                                         static_cast<double>(gradient[at + i]));
      training.weights->Update();
      losses[side] = MeanLoss(training.trainer.get(), batch);
    }
    EXPECT_NEAR(losses[0] - losses[1], 2 * step * squares, 0.02 * 2 * step * squares + 2e-6)
        << "numbers from " << at << " on";
    std::copy(before.begin(), before.end(), piece.values.begin());
    at += before.size();
  }
}

std::vector<float> Train(const How& how) {
  const std::vector<Sample> samples = SamplesOf(Goldens().at(how.family));
  // More than one tree of a neighbour, and one sample that is alone.
  std::vector<const Sample*> batch = PointersTo(samples);
  for (const size_t i : {1, 0, 2, 0}) batch.push_back(&samples[i]);
  std::vector<float> result;
  testing::OnRanks(how.ranks, [&](std::shared_ptr<Ranks> ranks) {
    Training training(how, ranks);
    std::vector<float> losses;
    for (int step = 0; step < 3; ++step)
      losses.push_back(static_cast<float>(training.trainer->Step(batch, 2e-3).loss));
    if (!ranks->is_first()) return;
    EXPECT_LT(losses[2], losses[0]);
    result = training.Values();
    result.insert(result.end(), losses.begin(), losses.end());
  });
  return result;
}

TEST_P(FullFinetune, BitsDoNotDependOnHowItIsComputed) {
  const std::string family = GetParam();
  const std::vector<float> expected = Train({.family = family});
  const auto check = [&](const char* what, const How& how) {
    EXPECT_TRUE(testing::SameBits(Train(how), expected)) << what;
  };
  check("all samples in one batch", {.family = family, .rows = 400});
  check("activations are kept", {.family = family, .keeps_activations = true});
  check("a few rows at once", {.family = family, .rows = 400, .rows_at_once = 7});
  check("one thread", {.family = family, .threads = 1});
  check("three threads, all at once", {.family = family, .rows = 400, .threads = 3});
  check("three ranks", {.family = family, .threads = 1, .ranks = 3});
}

INSTANTIATE_TEST_SUITE_P(Families, FullFinetune,
                         ::testing::Values("llama", "mistral", "qwen2", "qwen3", "phi4mini", "phi4",
                                           "gemma2", "gemma3", "ministral3"),
                         [](const auto& test) { return std::string(test.param); });

TEST(TrainedModel, GoesOnToTheSameBits) {
  const std::vector<Sample> samples = SamplesOf(Goldens().at("qwen2"));
  RunOptions options;
  options.batch = 2;
  options.steps = 6;
  options.learning_rate = 2e-3;
  options.save_every = 1;
  const auto train = [&](const std::string& folder, int64_t steps) {
    Training training({.family = "qwen2"});
    options.folder = folder;
    TrainingRun run(training.trainer.get(), samples, std::span(samples).first(1), options);
    run.Resume();
    RunHooks hooks;
    hooks.on_step = [&](const StepReport&) {
      if (--steps == 0) throw Error(Code::kFailed, "killed");
    };
    run.Run(hooks);
    return training.Values();
  };
  const testing::TempFolder whole, parts;
  const std::vector<float> expected = train(whole.path(), 100);
  EXPECT_THROW(train(parts.path(), 3), Error);
  EXPECT_THROW(train(parts.path(), 2), Error);
  EXPECT_TRUE(testing::SameBits(train(parts.path(), 100), expected));
}

TEST(FloatModel, HasTheNumbersOfAnyType) {
  engine::Runtime runtime(2);
  const std::string path = testing::WriteTinyModel({.type = quant::Type::kQ4_0});
  const engine::FloatModel model(path, &runtime);
  const format::GgufFile file = format::GgufFile::Open(path);
  ASSERT_EQ(model.model()->file().tensors().size(), file.tensors().size());
  for (size_t i = 0; i < file.tensors().size(); ++i) {
    const format::GgufTensor& tensor = file.tensors()[i];
    std::vector<float> decoded(static_cast<size_t>(tensor.elements));
    quant::Traits(tensor.type).decode(tensor.data.data(), decoded.data(), tensor.elements);
    EXPECT_TRUE(testing::SameBits(
        std::vector<float>(model.values(i).begin(), model.values(i).end()), decoded))
        << tensor.name;
    EXPECT_EQ(model.model()->file().tensors()[i].type, quant::Type::kF32);
  }
}

}  // namespace
}  // namespace slm::train
