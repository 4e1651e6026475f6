// What may not change a bit of a training: how samples are grouped in memory, whether layers are
// computed twice, the number of threads and of ranks, and being interrupted.
#include "train/trainer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "kernels/table.h"
#include "model/tensor_table.h"
#include "support/data.h"
#include "support/floats.h"
#include "support/temp_folder.h"
#include "tiny/tiny_model.h"
#include "train/check_base.h"
#include "train/mean_loss.h"
#include "train/new_lora.h"
#include "train/thread_ranks.h"
#include "train/trained_lora.h"
#include "train/training_run.h"

namespace slm::train {
namespace {

std::vector<Sample> RandomSamples(size_t n, std::mt19937& rng) {
  std::vector<Sample> samples(n);
  for (Sample& sample : samples) {
    const size_t length = 5 + rng() % 40;
    for (size_t i = 0; i < length; ++i) {
      const auto id = static_cast<int32_t>(rng() % testing::kTinyVocab);
      sample.ids.push_back(id);
      sample.labels.push_back(i + 1 < length && rng() % 2 ? kIgnored : id);
    }
  }
  return samples;
}

// Whose tiny model has matrices of whole blocks of words.
constexpr quant::Type kOfWords = quant::Type::kQ4_K;

// What the base's products are in: kBytes as kWords, but for those that are served.
enum class Numbers { kFloats, kWords, kBytes };

struct How {
  std::string arch = "llama";
  quant::Type type = quant::Type::kQ4_0;
  Numbers numbers = Numbers::kFloats;
  bool keeps_activations = false, is_dora = false;
  int64_t rows = 64;
  int64_t rows_at_once = 0;
  int threads = 2;
  int ranks = 1;
  double dropout = 0;
};

struct Training {
  engine::Runtime runtime;
  std::shared_ptr<const engine::Model> model;
  std::shared_ptr<TrainedLora> adapter;
  std::unique_ptr<Trainer> trainer;

  explicit Training(const How& how, std::shared_ptr<Ranks> ranks = std::make_shared<Ranks>())
      : runtime(how.threads),
        model(engine::Model::Load(testing::WriteTinyModel({.arch = how.arch, .type = how.type}),
                                  &runtime)) {
    TrainerOptions options;
    options.backward.precision =
        how.numbers == Numbers::kFloats ? ops::Precision::kFloats : ops::Precision::kWords;
    options.backward.serves_gates_and_logits = how.numbers == Numbers::kBytes;
    options.backward.keeps_activations = how.keeps_activations;
    options.backward.rows = how.rows;
    options.backward.longest = 64;
    options.backward.rows_at_once = how.rows_at_once;
    options.seed = 9 + static_cast<uint64_t>(ranks->rank());  // rank 0's is used
    options.adamw.weight_decay = 0.01;
    options.clip = 1;
    NewLoraOptions lora;
    lora.rank = 3;
    lora.is_dora = how.is_dora;
    lora.seed = static_cast<uint64_t>(ranks->rank());  // rank 0's is trained
    adapter = std::make_shared<TrainedLora>(model, NewLora(*model, lora), how.dropout);
    trainer = std::make_unique<Trainer>(model, adapter, options, ranks);
  }
};

Trainer MakeTrainer(const Training& training, const model::Lora& lora,
                    const TrainerOptions& options, double dropout = 0) {
  return {training.model, std::make_shared<TrainedLora>(training.model, lora, dropout), options};
}

std::vector<float> Values(const model::Lora& lora) {
  std::vector<float> values;
  for (const model::LoraMatrix& matrix : lora.matrices)
    for (const std::vector<float>* part : {&matrix.a, &matrix.b, &matrix.magnitude})
      values.insert(values.end(), part->begin(), part->end());
  return values;
}

// The adapter after some steps of all samples, and the losses; and it has learnt.
std::vector<float> Train(const How& how, const std::vector<Sample>& samples) {
  std::vector<const Sample*> batch;
  for (const Sample& sample : samples) batch.push_back(&sample);
  std::vector<float> result;
  testing::WriteTinyModel({.arch = how.arch, .type = how.type});
  testing::OnRanks(how.ranks, [&](std::shared_ptr<Ranks> ranks) {
    Training training(how, ranks);
    std::vector<float> losses;
    for (int step = 0; step < 4; ++step)
      losses.push_back(static_cast<float>(training.trainer->Step(batch, 3e-3).loss));
    losses.push_back(static_cast<float>(MeanLoss(training.trainer.get(), batch)));
    if (!ranks->is_first()) return;
    EXPECT_LT(losses[4], losses[0]);
    result = Values(training.adapter->lora());
    result.insert(result.end(), losses.begin(), losses.end());
  });
  return result;
}

class TrainerBits
    : public ::testing::TestWithParam<std::tuple<std::string, Numbers, bool, double>> {
 protected:
  How Base() const {
    How how;
    std::tie(how.arch, how.numbers, how.is_dora, how.dropout) = GetParam();
    if (how.numbers != Numbers::kFloats) how.type = kOfWords;
    return how;
  }
};

TEST_P(TrainerBits, DoNotDependOnHowItIsComputed) {
  std::mt19937 rng(141);
  const std::vector<Sample> samples = RandomSamples(7, rng);
  const std::vector<float> expected = Train(Base(), samples);
  const auto check = [&](const char* what, const auto& change) {
    How how = Base();
    change(&how);
    EXPECT_TRUE(testing::SameBits(Train(how, samples), expected)) << what;
  };
  check("all samples in one batch", [](How* s) { s->rows = 600; });
  check("activations are kept", [](How* s) { s->keeps_activations = true; });
  check("a few rows at once", [](How* s) { s->rows = 600, s->rows_at_once = 7; });
  check("a few of what is kept", [](How* s) { s->keeps_activations = true, s->rows_at_once = 5; });
  check("one thread", [](How* s) { s->threads = 1; });
  check("three threads, all at once", [](How* s) { s->threads = 3, s->rows = 600; });
  check("two ranks", [](How* s) { s->ranks = 2; });
  check("three ranks", [](How* s) { s->ranks = 3, s->threads = 1; });
  check("more ranks than samples", [](How* s) { s->ranks = 8, s->threads = 1; });
}

std::string NameOfBits(const ::testing::TestParamInfo<TrainerBits::ParamType>& test) {
  constexpr const char* kNames[] = {"_f32", "_int16", "_int8"};
  return std::get<0>(test.param) + kNames[static_cast<int>(std::get<1>(test.param))] +
         (std::get<2>(test.param) ? "_dora" : "_lora") +
         (std::get<3>(test.param) > 0 ? "_dropout" : "");
}

INSTANTIATE_TEST_SUITE_P(Families, TrainerBits,
                         ::testing::Combine(::testing::Values("llama", "gemma3", "phi3"),
                                            ::testing::Values(Numbers::kFloats, Numbers::kWords,
                                                              Numbers::kBytes),
                                            ::testing::Bool(), ::testing::Values(0.0)),
                         NameOfBits);
INSTANTIATE_TEST_SUITE_P(Dropout, TrainerBits,
                         ::testing::Combine(::testing::Values("llama", "phi3"),
                                            ::testing::Values(Numbers::kWords, Numbers::kBytes),
                                            ::testing::Bool(), ::testing::Values(0.2)),
                         NameOfBits);

// Only what is trained is left out, not what is evaluated, and not the same each step.
TEST(Trainer, DropoutIsOfTrainingAlone) {
  std::mt19937 rng(148);
  const std::vector<Sample> samples = RandomSamples(3, rng);
  std::vector<const Sample*> batch;
  for (const Sample& sample : samples) batch.push_back(&sample);
  Training first({});
  first.trainer->Step(batch, 1e-2);
  const model::Lora lora = first.adapter->lora();
  TrainerOptions options;
  options.backward.rows = options.backward.longest = 64;
  Trainer plain = MakeTrainer(first, lora, options);
  Trainer trainer = MakeTrainer(first, lora, options, 0.5);
  Trainer same = MakeTrainer(first, lora, options, 0.5);
  options.seed = 1;
  Trainer other = MakeTrainer(first, lora, options, 0.5);
  const double loss = MeanLoss(&plain, batch);
  EXPECT_EQ(plain.Step(batch, 0).loss, loss);
  EXPECT_EQ(MeanLoss(&trainer, batch), loss);
  const double dropped = trainer.Step(batch, 0).loss;
  EXPECT_NE(dropped, loss);
  EXPECT_EQ(MeanLoss(&trainer, batch), loss);
  EXPECT_EQ(same.Step(batch, 0).loss, dropped);
  EXPECT_NE(same.Step(batch, 0).loss, dropped);
  EXPECT_NE(other.Step(batch, 0).loss, dropped);
  // A sample has another mask in another place.
  const Sample* twice[] = {&samples[0], &samples[0]};
  Trainer once = MakeTrainer(first, lora, options, 0.5);
  Trainer both = MakeTrainer(first, lora, options, 0.5);
  EXPECT_NE(once.Step({twice, 1}, 0).loss, both.Step(twice, 0).loss);
}

TEST(Trainer, BasesAreCheckedToBeFinite) {
  engine::Runtime runtime(2);
  const std::string path = testing::WriteTinyModel({.arch = "llama", .type = quant::Type::kQ4_0});
  EXPECT_NO_THROW(CheckFinite(*engine::Model::Load(path, &runtime)));
  const testing::TempFolder folder;
  std::string bytes = testing::ReadFile(path);
  const format::GgufFile file = format::GgufFile::Open(path);
  const format::GgufTensor& tensor = file.Get("blk.1.ffn_up.weight");
  // The scale of a block becomes an infinity.
  const auto at =
      static_cast<size_t>(tensor.data.data() - file.Get(file.tensors()[0].name).data.data());
  const std::string first(reinterpret_cast<const char*>(file.tensors()[0].data.data()), 64);
  const size_t begin = bytes.find(first);
  ASSERT_NE(begin, std::string::npos);
  bytes[begin + at] = '\x00';
  bytes[begin + at + 1] = '\x7c';
  testing::WriteFile(folder / "broken.gguf", bytes);
  try {
    CheckFinite(*engine::Model::Load(folder / "broken.gguf", &runtime));
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("blk.1.ffn_up.weight"), std::string::npos);
  }
}

// |W + scale B A| of each row, of a matrix in F32.
std::vector<double> RowNorms(const engine::Model& model, const model::LoraMatrix& matrix) {
  const auto table = model::TensorTable();
  const auto row = std::find_if(table.begin(), table.end(),
                                [&](const auto& entry) { return entry.slot == matrix.slot; });
  const format::GgufTensor& tensor = model.file().Get(TensorName(*row, matrix.layer));
  std::vector<double> norms;
  for (int64_t o = 0; o < matrix.out; ++o) {
    double squares = 0;
    for (int64_t i = 0; i < matrix.in; ++i) {
      float w;
      std::memcpy(&w, tensor.data.data() + sizeof w * static_cast<size_t>(o * matrix.in + i),
                  sizeof w);
      double sum = static_cast<double>(w);
      for (int64_t r = 0; r < matrix.rank; ++r)
        sum += static_cast<double>(matrix.scale) *
               static_cast<double>(matrix.b[static_cast<size_t>(o * matrix.rank + r)]) *
               static_cast<double>(matrix.a[static_cast<size_t>(r * matrix.in + i)]);
      squares += sum * sum;
    }
    norms.push_back(std::sqrt(squares));
  }
  return norms;
}

// DoRA's norms are constants to its gradient, and not to the loss: magnitudes that are their
// multiples make up for that.
void KeepFactors(const engine::Model& model, const model::LoraMatrix& before,
                 model::LoraMatrix* moved) {
  const std::vector<double> old_norms = RowNorms(model, before), norms = RowNorms(model, *moved);
  for (size_t o = 0; o < norms.size(); ++o)
    moved->magnitude[o] =
        static_cast<float>(static_cast<double>(before.magnitude[o]) * norms[o] / old_norms[o]);
}

TEST(Trainer, GradientIsThatOfFiniteDifferences) {
  std::mt19937 rng(142);
  for (const auto& how_it_is : {std::pair(false, 0.0), {true, 0.0}, {false, 0.3}, {true, 0.3}}) {
    const bool is_dora = how_it_is.first;
    How how;
    how.type = quant::Type::kF32;
    how.is_dora = is_dora;
    Training training(how);
    const std::vector<Sample> samples = RandomSamples(3, rng);
    std::vector<const Sample*> batch;
    for (const Sample& sample : samples) batch.push_back(&sample);
    // B is not zero any more.
    training.trainer->Step(batch, 1e-2);
    model::Lora lora = training.adapter->lora();
    TrainerOptions options;
    options.backward.rows = options.backward.longest = 64;
    Trainer at = MakeTrainer(training, lora, options, how_it_is.second);
    at.Step(batch, 0);
    const model::Lora gradient = training.adapter->Shape(at.gradient());
    // With the masks of the first step, too.
    const auto loss = [&](const model::Lora& other) {
      return MakeTrainer(training, other, options, how_it_is.second).Step(batch, 0).loss;
    };
    // Along the gradient of one matrix at a time: its norm squared times the way.
    for (size_t i = 0; i < lora.matrices.size(); i += is_dora ? 1 : 5)
      for (const auto part :
           {&model::LoraMatrix::a, &model::LoraMatrix::b, &model::LoraMatrix::magnitude}) {
        const std::vector<float>& slope = gradient.matrices[i].*part;
        if (slope.empty()) continue;
        double squares = 0;
        for (const float g : slope) squares += static_cast<double>(g) * static_cast<double>(g);
        const double step = 2e-3 / std::sqrt(squares);
        double losses[2];
        for (int side = 0; side < 2; ++side) {
          model::Lora moved = lora;
          for (size_t j = 0; j < slope.size(); ++j)
            (moved.matrices[i].*part)[j] +=
                static_cast<float>((side ? -step : step) * static_cast<double>(slope[j]));
          if (is_dora && part != &model::LoraMatrix::magnitude)
            KeepFactors(*training.model, lora.matrices[i], &moved.matrices[i]);
          losses[side] = loss(moved);
        }
        EXPECT_NEAR((losses[0] - losses[1]) / (2 * step * squares), 1, 0.02) << i;
      }
  }
}

// The output products of one layer alone: their trace is kept though the first layer has none.
TEST(Trainer, MagnitudesMayBeOfLaterLayersOnly) {
  std::mt19937 rng(147);
  How how;
  how.is_dora = true;
  Training training(how);
  model::Lora lora = training.adapter->lora();
  std::erase_if(lora.matrices, [](const model::LoraMatrix& m) {
    return m.slot == model::Slot::kAttnOutput ? m.layer == 0 : m.slot != model::Slot::kAttnQ;
  });
  for (model::LoraMatrix& m : lora.matrices)
    if (m.slot == model::Slot::kAttnQ) m.magnitude.clear();
  TrainerOptions options;
  options.backward.rows = options.backward.longest = 64;
  Trainer trainer = MakeTrainer(training, lora, options);
  const std::vector<Sample> samples = RandomSamples(1, rng);
  const Sample* batch = samples.data();
  EXPECT_GT(trainer.Step({&batch, 1}, 1e-2).gradient_norm, 0);
}

TEST(Trainer, RoundedProductsPointTheSameWay) {
  std::mt19937 rng(143);
  const std::vector<Sample> samples = RandomSamples(6, rng);
  std::vector<const Sample*> batch;
  for (const Sample& sample : samples) batch.push_back(&sample);
  std::vector<float> exact, words;
  double loss_in_words = 0;
  for (const Numbers numbers : {Numbers::kFloats, Numbers::kWords, Numbers::kBytes}) {
    How how;
    how.numbers = numbers;
    how.type = kOfWords;
    Training training(how);
    training.trainer->Step(batch, 1e-2);
    const double loss = training.trainer->Step(batch, 0).loss;
    const std::span<const float> gradient = training.trainer->gradient();
    if (numbers == Numbers::kWords) {
      words.assign(gradient.begin(), gradient.end());
      loss_in_words = loss;
    } else if (numbers == Numbers::kBytes) {
      EXPECT_FALSE(testing::SameBits(gradient, words));
      EXPECT_NE(loss, loss_in_words);
      EXPECT_NEAR(loss, loss_in_words, 1e-2 * loss_in_words);
    }
    if (exact.empty()) {
      exact.assign(gradient.begin(), gradient.end());
      continue;
    }
    double dot = 0, squares[2] = {};
    for (size_t i = 0; i < exact.size(); ++i) {
      const double a = static_cast<double>(gradient[i]), b = static_cast<double>(exact[i]);
      dot += a * b;
      squares[0] += a * a;
      squares[1] += b * b;
    }
    const double cosine = dot / std::sqrt(squares[0] * squares[1]);
    EXPECT_GE(cosine, numbers == Numbers::kWords ? 0.9998 : 0.999);
    EXPECT_LT(cosine, 0.9999999);
  }
}

TEST(Trainer, DoesNotSaveWhatBecameInfinite) {
  std::mt19937 rng(152);
  const std::vector<Sample> samples = RandomSamples(1, rng);
  const Sample* batch = samples.data();
  const testing::TempFolder folder;
  Training training({});
  training.trainer->Step({&batch, 1}, std::numeric_limits<double>::infinity());
  EXPECT_THROW(training.trainer->Save(folder.path(), "x", true, nullptr), Error);
  EXPECT_FALSE(std::filesystem::exists(folder / "x.safetensors"));
}

RunOptions Options(const testing::TempFolder& folder) {
  RunOptions options;
  options.batch = 3;
  options.epochs = 4;
  options.seed = 5;
  options.learning_rate = 1e-2;
  options.save_every = 1;
  options.folder = folder.path();
  return options;
}

// What a run on some ranks leaves on rank 0, which is killed after so many steps; of the others
// none has a folder.
std::vector<float> TrainOnRanks(int ranks, int steps, const RunOptions& options,
                                const std::vector<Sample>& train, const std::vector<Sample>& eval,
                                bool goes_on, double dropout) {
  std::vector<float> result;
  testing::WriteTinyModel({.arch = How().arch, .type = How().type});
  testing::OnRanks(ranks, [&](std::shared_ptr<Ranks> own) {
    Training training({.threads = 1, .dropout = dropout}, own);
    RunOptions here = options;
    if (!own->is_first()) here.folder = "/nowhere";
    TrainingRun run(training.trainer.get(), train, eval, here);
    RunHooks hooks;
    int left = steps;
    hooks.on_step = [&](const StepReport&) {
      EXPECT_TRUE(own->is_first());
      // As a kill between the step and its checkpoint.
      if (--left == 0) throw Error(Code::kFailed, "killed");
    };
    if (own->is_first()) {
      EXPECT_EQ(run.Resume(), goes_on);
    }
    EXPECT_EQ(run.Run(hooks), RunEnd::kDone);
    EXPECT_EQ(run.done(), run.steps());
    if (own->is_first()) result = Values(training.adapter->lora());
  });
  return result;
}

TEST(TrainingRun, GoesOnToTheSameBitsOnAnyRanks) {
  std::mt19937 rng(144);
  const std::vector<Sample> train = RandomSamples(8, rng), eval = RandomSamples(3, rng);
  for (const bool evaluates : {false, true}) {
    const std::vector<Sample> held_out = evaluates ? eval : std::vector<Sample>();
    const double dropout = evaluates ? 0.2 : 0;
    const testing::TempFolder undisturbed, folder;
    const std::vector<float> expected =
        TrainOnRanks(1, 1000, Options(undisturbed), train, held_out, false, dropout);
    int starts = 0;
    for (bool is_done = false; !is_done; ++starts) {
      try {
        const std::vector<float> got = TrainOnRanks(1 + starts % 4, 2 + starts, Options(folder),
                                                    train, held_out, starts > 0, dropout);
        is_done = true;
        EXPECT_TRUE(testing::SameBits(got, expected));
      } catch (const Error& error) {
        EXPECT_STREQ(error.what(), "killed");
      }
    }
    EXPECT_GT(starts, 2);
  }
}

TEST(TrainingRun, RankZeroDecides) {
  std::mt19937 rng(148);
  const std::vector<Sample> train = RandomSamples(8, rng), eval = RandomSamples(3, rng);
  testing::WriteTinyModel({.arch = How().arch, .type = How().type});
  for (const bool cancels : {false, true}) {
    const testing::TempFolder folder;
    RunOptions options = Options(folder);
    options.evaluate_every = 1;
    options.learning_rate = 1;  // nothing gets better
    testing::OnRanks(3, [&](std::shared_ptr<Ranks> ranks) {
      Training training({.threads = 1}, ranks);
      RunOptions own = options;
      own.patience = ranks->is_first() ? 2 : 0;
      TrainingRun run(training.trainer.get(), train, eval, own);
      RunHooks hooks;
      hooks.is_cancelled = [&] { return ranks->is_first() && cancels && run.done() == 1; };
      EXPECT_EQ(run.Run(hooks), cancels ? RunEnd::kCancelled : RunEnd::kEarly);
      EXPECT_EQ(run.done(), cancels ? 1 : 3);
    });
  }
}

TEST(TrainingRun, RefusesRanksOfAnother) {
  std::mt19937 rng(149);
  const std::vector<Sample> train = RandomSamples(8, rng);
  testing::WriteTinyModel({.arch = How().arch, .type = How().type});
  const testing::TempFolder folder;
  try {
    testing::OnRanks(2, [&](std::shared_ptr<Ranks> ranks) {
      Training training({}, ranks);
      RunOptions options = Options(folder);
      if (!ranks->is_first()) options.batch = 4;
      TrainingRun(training.trainer.get(), train, {}, options).Run({});
    });
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("the batch size ("), std::string::npos)
        << error.what();
  }
}

TEST(TrainingRun, RefusesTheCheckpointOfAnother) {
  std::mt19937 rng(145);
  const std::vector<Sample> train = RandomSamples(8, rng);
  const testing::TempFolder folder;
  Training training({});
  RunHooks hooks;
  hooks.is_cancelled = [] { return true; };
  EXPECT_EQ(TrainingRun(training.trainer.get(), train, {}, Options(folder)).Run(hooks),
            RunEnd::kCancelled);
  const auto message = [&](const How& how, const RunOptions& options) -> std::string {
    Training other(how);
    TrainingRun run(other.trainer.get(), train, {}, options);
    try {
      run.Resume();
    } catch (const Error& error) {
      return error.what();
    }
    return "resumed";
  };
  const auto has = [](const std::string& text, const char* part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  has(message({}, Options(folder)), "resumed");
  RunOptions other = Options(folder);
  other.seed = 6;
  has(message({}, other), "a different seed (5, here 6)");
  How how;
  how.numbers = Numbers::kWords;
  has(message(how, Options(folder)), "a different precision");
  how = {};
  how.dropout = 0.1;
  has(message(how, Options(folder)), "a different dropout");
  how = {};
  how.type = quant::Type::kQ8_0;
  has(message(how, Options(folder)), "a different base");
  how = {};
  how.is_dora = true;
  has(message(how, Options(folder)), "as many as are trained");

  how = {};
  how.numbers = Numbers::kWords;
  Training words(how);
  const testing::TempFolder of_words;
  EXPECT_EQ(TrainingRun(words.trainer.get(), train, {}, Options(of_words)).Run(hooks),
            RunEnd::kCancelled);
  has(message(how, Options(of_words)), "resumed");
  how.numbers = Numbers::kBytes;
  has(message(how, Options(of_words)), "a different precision");
}

TEST(TrainingRun, AnEvaluationThatWasCutIsMadeUpFor) {
  std::mt19937 rng(150);
  const std::vector<Sample> train = RandomSamples(6, rng), eval = RandomSamples(70, rng);
  const auto evaluations = [&](bool is_cut) {
    const testing::TempFolder folder;
    std::vector<std::pair<int64_t, double>> seen;
    const auto run = [&](int cut_at) {
      Training training({});
      RunOptions options = Options(folder);
      options.evaluate_every = 2;
      TrainingRun one(training.trainer.get(), train, eval, options);
      one.Resume();
      RunHooks hooks;
      int questions = 0;
      hooks.is_cancelled = [&] { return ++questions == cut_at; };
      hooks.on_evaluation = [&](const EvaluationReport& e) { seen.push_back({e.step, e.loss}); };
      return one.Run(hooks);
    };
    // Questions: before each of two steps, then before both parts of the first evaluation.
    if (is_cut) {
      EXPECT_EQ(run(4), RunEnd::kCancelled);
      EXPECT_TRUE(seen.empty());
      EXPECT_TRUE(TrainingRun::StartedBefore(folder.path()).has_value());
    }
    EXPECT_EQ(run(0), RunEnd::kDone);
    return seen;
  };
  const auto expected = evaluations(false);
  EXPECT_FALSE(expected.empty());
  EXPECT_EQ(evaluations(true), expected);
}

TEST(TrainingRun, RefusesACheckpointWithImpossibleNumbers) {
  std::mt19937 rng(151);
  const std::vector<Sample> train = RandomSamples(8, rng);
  const testing::TempFolder folder;
  Training training({});
  RunHooks hooks;
  hooks.is_cancelled = [] { return true; };
  TrainingRun run(training.trainer.get(), train, {}, Options(folder));
  EXPECT_EQ(run.Run(hooks), RunEnd::kCancelled);
  const std::string path = folder / "checkpoint.safetensors";
  const std::string whole = testing::ReadFile(path);
  EXPECT_TRUE(run.Resume());
  for (const auto& [name, number] : {std::pair("\"best_step\":-1", "\"best_step\":88"),
                                     std::pair("\"waited\":0", "\"waited\":x"),
                                     std::pair("\"evaluated\":0", "\"evaluated\":7")}) {
    std::string broken = whole;
    const size_t at = broken.rfind(name);
    ASSERT_NE(at, std::string::npos) << name;
    broken.replace(at, std::strlen(name), number);
    testing::WriteFile(path, broken);
    EXPECT_THROW(run.Resume(), Error) << number;
  }
}

TEST(TrainingRun, TimeLeftIsOfStepsEvaluationsAndCheckpoints) {
  std::mt19937 rng(152);
  const std::vector<Sample> train = RandomSamples(11, rng), eval = RandomSamples(2, rng);
  const testing::TempFolder folder;
  Training training({});
  RunOptions options = Options(folder);  // 16 steps
  options.evaluate_every = 6;            // after 6, 12 and 16
  options.save_every = 0;
  TrainingRun run(training.trainer.get(), train, eval, options);
  const auto left = [&] { return std::pair(run.SecondsLeft({1, 0}), run.SecondsLeft({0, 1})); };
  EXPECT_EQ(run.SecondsLeft({0, 0, 1}), 1);      // in the end
  EXPECT_EQ(run.SecondsLeft({75, 0, 1}), 1203);  // every ten minutes, too
  EXPECT_EQ(run.SecondsLeft({75, 20, 1}), 1263);
  options.save_every = 5;  // after 5, 10 and 15
  EXPECT_EQ(TrainingRun(training.trainer.get(), train, eval, options).SecondsLeft({75, 0, 1}),
            1204);
  EXPECT_GT(run.Measure().save, 0);
  std::vector<std::pair<double, double>> before, after;
  before.push_back(left());
  RunHooks hooks;
  hooks.on_step = [&](const StepReport&) { before.push_back(left()); };
  hooks.on_evaluation = [&](const EvaluationReport&) { after.push_back(left()); };
  run.Run(hooks);
  for (int step = 0; step <= 16; ++step)
    EXPECT_EQ(before[step], std::pair(16.0 - step, step <= 6    ? 3.0
                                                   : step <= 12 ? 2.0
                                                                : 1.0))
        << step;
  EXPECT_EQ(after, (std::vector<std::pair<double, double>>{{10, 2}, {4, 1}, {0, 0}}));
}

TEST(TrainingRun, EveryEpochHasEverySampleOnce) {
  std::mt19937 rng(146);
  const std::vector<Sample> train = RandomSamples(11, rng);
  const testing::TempFolder folder;
  Training training({});
  const TrainingRun run(training.trainer.get(), train, {}, Options(folder));
  std::vector<std::vector<size_t>> epochs;
  for (int64_t epoch = 0; epoch < 2; ++epoch) {
    epochs.emplace_back();
    for (int64_t step = 0; step < run.steps_per_epoch(); ++step)
      for (const size_t i : run.SamplesOf(epoch * run.steps_per_epoch() + step))
        epochs.back().push_back(i);
  }
  EXPECT_NE(epochs[0], epochs[1]);
  for (std::vector<size_t>& epoch : epochs) {
    std::sort(epoch.begin(), epoch.end());
    ASSERT_EQ(epoch.size(), train.size());
    for (size_t i = 0; i < epoch.size(); ++i) EXPECT_EQ(epoch[i], i);
  }
}

}  // namespace
}  // namespace slm::train
