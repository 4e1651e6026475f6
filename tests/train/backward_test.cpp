// Gradients and training of the tiny models against transformers and PEFT (PyTorch, float32).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "convert/peft_adapter.h"
#include "support/data.h"
#include "support/temp_folder.h"
#include "train/trained_lora.h"
#include "train/trainer.h"

namespace slm::train {
namespace {

using nlohmann::json;

struct Case {
  engine::Runtime runtime{2};
  std::shared_ptr<const engine::Model> model;
  json truth;
  std::vector<Sample> samples;
  std::vector<const Sample*> batch;
  model::Lora lora;
  std::string adapter;

  Case(const std::string& folder, const std::string& kind)
      : model(engine::Model::Load(folder + "/model-f32.gguf", &runtime)),
        adapter(folder + "/" + kind) {
    truth = json::parse(testing::ReadFile(adapter + "/training.json"));
    for (size_t i = 0; i < truth.at("ids").size(); ++i)
      samples.push_back({truth.at("ids").at(i), truth.at("labels").at(i)});
    for (const Sample& sample : samples) batch.push_back(&sample);
    lora = Read(adapter);
  }
  model::Lora Read(const std::string& path) const {
    return convert::ReadPeftLora(path, {model->file(), model->hparams()});
  }
  // What PEFT says about each number of the adapter, in the places that slm has them.
  model::Lora Gradients() const {
    const testing::TempFolder folder;
    const auto copy = [&](const char* from, const char* to) {
      std::filesystem::copy_file(adapter + "/" + from, folder.path() + "/" + to);
    };
    copy("adapter_config.json", "adapter_config.json");
    copy("gradients.safetensors", "adapter_model.safetensors");
    return Read(folder.path());
  }
  TrainerOptions Options() const {
    TrainerOptions options;
    options.adamw.weight_decay = 0.01;
    return options;
  }
};

// |a - b| / |b|
double Distance(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double difference = 0, size = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    const double x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    difference += (x - y) * (x - y);
    size += y * y;
  }
  return std::sqrt(difference / size);
}

class Peft : public ::testing::TestWithParam<std::tuple<const char*, const char*>> {};

TEST_P(Peft, HasTheSameGradients) {
  const auto [family, kind] = GetParam();
  SLM_DATA_OR_SKIP(folder, std::string("tiny/") + family);
  Case c(folder, kind);
  const auto adapter = std::make_shared<TrainedLora>(c.model, c.lora);
  Trainer trainer(c.model, adapter, c.Options());
  const StepResult result = trainer.Step(c.batch, 5e-3);
  EXPECT_NEAR(result.loss, c.truth.at("loss_per_step").at(0).get<double>(), 1e-4 * result.loss);
  const model::Lora got = adapter->Shape(trainer.gradient()), expected = c.Gradients();
  ASSERT_EQ(got.matrices.size(), expected.matrices.size());
  for (const model::LoraMatrix& want : expected.matrices) {
    const auto have = std::find_if(
        got.matrices.begin(), got.matrices.end(),
        [&](const model::LoraMatrix& m) { return m.slot == want.slot && m.layer == want.layer; });
    ASSERT_NE(have, got.matrices.end());
    const std::string name =
        TensorName(model::TensorTable()[static_cast<size_t>(want.slot)], want.layer);
    EXPECT_LE(Distance(have->a, want.a), 1e-4) << name << " A";
    EXPECT_LE(Distance(have->b, want.b), 1e-4) << name << " B";
    if (!want.magnitude.empty()) {
      EXPECT_LE(Distance(have->magnitude, want.magnitude), 1e-4) << name << " m";
    }
  }
}

TEST_P(Peft, LearnsTheSame) {
  const auto [family, kind] = GetParam();
  SLM_DATA_OR_SKIP(folder, std::string("tiny/") + family);
  Case c(folder, kind);
  Trainer trainer(c.model, std::make_shared<TrainedLora>(c.model, c.lora), c.Options());
  const std::vector<double> losses = c.truth.at("loss_per_step");
  for (size_t step = 0; step < losses.size(); ++step) {
    const double loss = trainer.Step(c.batch, 5e-3).loss;
    ASSERT_NEAR(loss, losses[step], 1e-3 * losses[step]) << "step " << step;
  }
}

constexpr std::tuple<const char*, const char*> kAdapters[] = {
    {"llama", "lora"},    {"qwen2", "lora"},  {"qwen3", "lora"},    {"phi4", "lora"},
    {"phi4mini", "lora"}, {"gemma2", "lora"}, {"gemma3", "lora"},   {"ministral3", "lora"},
    {"llama", "rslora"},  {"phi4", "rslora"}, {"gemma3", "rslora"}, {"llama", "dora"},
    {"phi4", "dora"},     {"gemma3", "dora"}};

INSTANTIATE_TEST_SUITE_P(Families, Peft, ::testing::ValuesIn(kAdapters), [](const auto& test) {
  return std::string(std::get<0>(test.param)) + "_" + std::get<1>(test.param);
});

}  // namespace
}  // namespace slm::train
