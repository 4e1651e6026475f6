#include "train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/error.h"
#include "base/hash.h"
#include "base/random.h"
#include "base/result_file.h"
#include "base/thread_pool.h"
#include "format/safetensors.h"
#include "format/safetensors_writer.h"
#include "text/json.h"

namespace slm::train {

namespace {

// Grows when the same options begin to give other bits: no checkpoint goes on in another.
constexpr int kArithmetic = 2;
constexpr uint64_t kDropoutStream = 0x64726f706f757400u;  // apart from what else a seed draws

// Of the tensors' names and sizes, and of how their data begin.
uint64_t HashOf(const format::GgufFile& file) {
  uint64_t hash = 0;
  for (const format::GgufTensor& tensor : file.tensors()) {
    hash = Hash64({reinterpret_cast<const uint8_t*>(tensor.name.data()), tensor.name.size()}, hash);
    hash = Hash64(tensor.data.first(std::min<size_t>(tensor.bytes(), 4096)), hash ^ tensor.bytes());
    file.Release(tensor);
  }
  return hash;
}

const char* NameOf(const BackwardOptions& options) {
  if (options.precision == ops::Precision::kFloats) return "f32";
  return options.serves_gates_and_logits ? "int8" : "int16";
}

int64_t SizeOf(std::span<const TrainedWeights::Piece> pieces) {
  size_t size = 0;
  for (const TrainedWeights::Piece& piece : pieces) size += piece.values.size();
  return static_cast<int64_t>(size);
}

double SumOfSquares(std::span<const float> values, ThreadPool* pool) {
  constexpr size_t kChunk = size_t{1} << 16;
  std::vector<double> sums((values.size() + kChunk - 1) / kChunk);
  pool->ParallelFor(static_cast<int64_t>(sums.size()), [&](int64_t chunk, int) {
    const size_t at = static_cast<size_t>(chunk) * kChunk;
    double sum = 0;
    for (const float x : values.subspan(at, std::min(kChunk, values.size() - at)))
      sum += static_cast<double>(x) * static_cast<double>(x);
    sums[static_cast<size_t>(chunk)] = sum;
  });
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

void Multiply(float factor, std::span<float> values, ThreadPool* pool) {
  constexpr size_t kChunk = size_t{1} << 16;
  pool->ParallelFor(static_cast<int64_t>((values.size() + kChunk - 1) / kChunk),
                    [&](int64_t c, int) {
                      const size_t at = static_cast<size_t>(c) * kChunk;
                      for (float& x : values.subspan(at, std::min(kChunk, values.size() - at)))
                        x *= factor;
                    });
}

// The rank that computes each sample: neighbours, so that all have about as many rows. The first
// one's is 0.
std::vector<int> ShareOut(std::span<const Sample* const> samples, int ranks) {
  int64_t all = 0, before = 0;
  for (const Sample* sample : samples) all += sample->rows();
  std::vector<int> owners;
  for (const Sample* sample : samples) {
    // Where the middle of the sample lies.
    owners.push_back(static_cast<int>((2 * before + sample->rows()) * ranks / (2 * all)));
    before += sample->rows();
  }
  for (size_t i = owners.size(); i-- > 0;) owners[i] -= owners[0];
  return owners;
}

// {"state": .., "adamw_steps": ..}
nlohmann::ordered_json StateOf(const format::Safetensors& file, const std::string& path) {
  const format::SafetensorsTensor* text = file.Find("state");
  if (!text) throw Error(Code::kBadInput, "{}: no state", path);
  const nlohmann::ordered_json json = text::ParseJson(
      {reinterpret_cast<const char*>(text->data.data()), text->data.size()}, path + ": state");
  if (!json.is_object() || !json.contains("state") || !json.contains("adamw_steps") ||
      !json.at("adamw_steps").is_number_unsigned())
    throw Error(Code::kBadInput, "{}: state: expected state and adamw_steps", path);
  return json;
}

std::string PathOf(const std::string& folder, const std::string& stem) {
  return folder + "/" + stem + ".safetensors";
}

constexpr double kLongSeconds = 5;

template <class F>
double Seconds(const F& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

Trainer::Trainer(std::shared_ptr<const engine::Model> model,
                 std::shared_ptr<TrainedWeights> weights, const TrainerOptions& options,
                 std::shared_ptr<Ranks> ranks)
    : model_(std::move(model)),
      ranks_(std::move(ranks)),
      options_(options),
      weights_(std::move(weights)),
      pieces_(weights_->pieces()),
      size_(SizeOf(pieces_)),
      base_(HashOf(model_->file())),
      backward_(model_, weights_.get(), options.backward),
      sum_(size_, ranks_) {
  if (ranks_->is_first()) adamw_ = std::make_unique<AdamW>(size_, options.adamw);
}

template <class F>
std::vector<double> Trainer::Losses(std::span<const Sample* const> samples,
                                    const std::vector<int>& owners, const F& run) {
  std::vector<double> losses(samples.size());
  const auto end = [&](int rank) {
    return static_cast<size_t>(std::upper_bound(owners.begin(), owners.end(), rank) -
                               owners.begin());
  };
  const size_t own_end = end(ranks_->rank());
  for (size_t first = end(ranks_->rank() - 1); first < own_end;) {
    size_t count = 0;
    for (int64_t rows = 0; first + count < own_end; ++count) {
      rows += samples[first + count]->rows();
      if (count > 0 && rows > options_.backward.rows) break;
    }
    const std::vector<double> of_batch = run(first, samples.subspan(first, count));
    std::copy(of_batch.begin(), of_batch.end(),
              losses.begin() + static_cast<std::ptrdiff_t>(first));
    first += count;
  }
  for (int rank = 1; rank < ranks_->size(); ++rank) {
    const size_t first = end(rank - 1);
    const auto bytes = BytesOf(std::span(losses).subspan(first, end(rank) - first));
    if (ranks_->rank() == rank) ranks_->Send(0, bytes);
    if (ranks_->is_first()) ranks_->Receive(rank, bytes);
  }
  return losses;
}

void Trainer::TakeNumbers() {
  for (const TrainedWeights::Piece& piece : pieces_) ranks_->Broadcast(BytesOf(piece.values));
  if (!ranks_->is_first()) weights_->Update();
}

std::vector<uint64_t> Trainer::SampleSeeds(size_t count) {
  uint64_t seed = 0;
  if (ranks_->is_first())
    seed =
        RandomBits(MixBits(options_.seed ^ kDropoutStream), static_cast<uint64_t>(adamw_->steps()));
  ranks_->Broadcast(BytesOf(std::span(&seed, 1)));
  std::vector<uint64_t> seeds;
  for (size_t i = 0; i < count; ++i) seeds.push_back(RandomBits(seed, i));
  return seeds;
}

StepResult Trainer::Step(std::span<const Sample* const> samples, double learning_rate) {
  StepResult result;
  for (const Sample* sample : samples) {
    result.trained += sample->trained();
    result.rows += sample->rows();
  }
  const auto trained = static_cast<double>(result.trained);
  const std::vector<int> owners = ShareOut(samples, ranks_->size());
  TakeNumbers();
  const std::vector<uint64_t> seeds = SampleSeeds(samples.size());
  sum_.Begin(owners);
  const std::vector<double> losses =
      Losses(samples, owners, [&](size_t first, std::span<const Sample* const> batch) {
        return backward_.Run(batch, static_cast<int64_t>(first),
                             std::span(seeds).subspan(first, batch.size()),
                             static_cast<float>(1 / trained), &sum_);
      });
  gradient_ = sum_.Finish();
  weights_->Finish(samples, owners, ranks_.get(), gradient_);
  if (!ranks_->is_first()) return result;
  result.loss = std::accumulate(losses.begin(), losses.end(), 0.0) / trained;
  ThreadPool* pool = model_->runtime()->pool();
  const double squares = SumOfSquares(gradient_, pool);
  result.gradient_norm = std::sqrt(squares);
  if (!std::isfinite(result.loss) || !std::isfinite(squares))
    throw Error(
        Code::kFailed, "the loss is {} and the norm of its gradient {}: try a smaller --lr{}",
        result.loss, result.gradient_norm,
        options_.backward.precision == ops::Precision::kFloats ? "" : ", or --precision f32");
  if (options_.clip > 0 && result.gradient_norm > options_.clip)
    Multiply(static_cast<float>(options_.clip / result.gradient_norm), gradient_, pool);
  adamw_->Step(model_->runtime()->backend()->gradients(), gradient_, learning_rate, pieces_);
  weights_->Update();
  return result;
}

uint64_t Trainer::BytesFor(int64_t samples, const BatchSize& batch) const {
  const int64_t own = (samples + ranks_->size() - 1) / ranks_->size();
  return AdamW::BytesFor(ranks_->is_first() ? size_ : 0) + backward_.BytesFor(batch) +
         sum_.BytesFor(own);
}

TrainingCost Trainer::Measure(std::span<const Sample* const> samples, bool evaluates) {
  size_t count = 0;
  int64_t rows = 0;
  while (count < samples.size() && rows < kMeasuredRows) {
    const int64_t more = samples[count]->rows();
    if (count > 0 && rows + more > options_.backward.rows) break;
    rows += more;
    ++count;
  }
  const auto batch = samples.first(count);
  const auto per_row = [&](double all) { return all / static_cast<double>(rows); };
  TrainingCost cost;
  ThreadPool* pool = model_->runtime()->pool();
  const auto run = [&] {
    sum_.Begin(std::vector<int>(count));
    backward_.Run(batch, 0, std::vector<uint64_t>(count), 1, &sum_);
  };
  double run_seconds = Seconds(run);
  // The first time memory is new, and the weights may be on the disk.
  if (run_seconds < kLongSeconds) run_seconds = Seconds(run);
  cost.row_seconds = per_row(run_seconds);
  cost.step_seconds = Seconds([&] {
    const std::span<float> gradient = sum_.Finish();
    weights_->Finish(batch, std::vector<int>(count), ranks_.get(), gradient);
    SumOfSquares(gradient, pool);
    Multiply(1, gradient, pool);
    weights_->Update();
  });
  cost.step_seconds += AdamW::Measure(model_->runtime()->backend()->gradients(), size_);
  if (evaluates) cost.evaluation_seconds = per_row(Seconds([&] { backward_.Evaluate(batch); }));
  return cost;
}

double Trainer::MeasureSave(const std::string& folder) const {
  constexpr size_t kMost = size_t{8} << 20;             // numbers
  const size_t saved = 3 * static_cast<size_t>(size_);  // with two moments each
  size_t written = 0;
  const double seconds = Seconds([&] {
    ResultFile file(PathOf(folder, "measured"));
    for (const TrainedWeights::Piece& piece : pieces_) {
      const auto part = piece.values.first(std::min(piece.values.size(), kMost - written));
      file.Write(part.data(), part.size_bytes());
      written += part.size();
    }
    file.Complete();
  });
  return seconds * static_cast<double>(saved) / static_cast<double>(written);
}

double Trainer::Evaluate(std::span<const Sample* const> samples) {
  TakeNumbers();
  const std::vector<double> losses = Losses(
      samples, ShareOut(samples, ranks_->size()),
      [&](size_t, std::span<const Sample* const> batch) { return backward_.Evaluate(batch); });
  return std::accumulate(losses.begin(), losses.end(), 0.0);
}

nlohmann::ordered_json Trainer::Identity() const {
  nlohmann::ordered_json identity = {{"base", base_}};
  identity.update(weights_->Identity());
  const nlohmann::ordered_json of_steps = {{"version of the arithmetic", kArithmetic},
                                           {"precision", NameOf(options_.backward)},
                                           {"clip", options_.clip},
                                           {"beta1", options_.adamw.beta1},
                                           {"beta2", options_.adamw.beta2},
                                           {"epsilon", options_.adamw.epsilon},
                                           {"weight_decay", options_.adamw.weight_decay}};
  identity.update(of_steps);
  return identity;
}

void Trainer::Save(const std::string& folder, const std::string& stem, bool has_moments,
                   const nlohmann::ordered_json& state) const {
  for (const TrainedWeights::Piece& piece : pieces_)
    if (!std::all_of(piece.values.begin(), piece.values.end(),
                     [](float x) { return std::isfinite(x); }))
      throw Error(Code::kFailed,
                  "what is trained has become infinite, and is not saved: try a smaller --lr");
  format::SafetensorsWriter writer(folder, UINT64_MAX, stem);
  const auto append = [&](std::span<const float> values) {
    writer.Append({reinterpret_cast<const uint8_t*>(values.data()), values.size_bytes()});
  };
  nlohmann::ordered_json json = {{"state", state}, {"adamw_steps", adamw_->steps()}};
  const std::string text = json.dump();
  const auto declare = [&](const char* name, const char* type, int64_t size) {
    writer.Declare(name, type, {&size, 1});
  };
  declare("values", "F32", size_);
  if (has_moments) declare("first", "F32", size_);
  if (has_moments) declare("second", "F32", size_);
  declare("state", "U8", static_cast<int64_t>(text.size()));
  for (const TrainedWeights::Piece& piece : pieces_) append(piece.values);
  if (has_moments) append(adamw_->first());
  if (has_moments) append(adamw_->second());
  writer.Append({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
  writer.Finish();
}

nlohmann::ordered_json Trainer::LoadState(const std::string& folder, const std::string& stem) {
  const std::string path = PathOf(folder, stem);
  return StateOf(format::Safetensors::Open(path), path).at("state");
}

nlohmann::ordered_json Trainer::Load(const std::string& folder, const std::string& stem,
                                     bool has_moments) {
  const std::string path = PathOf(folder, stem);
  const format::Safetensors file = format::Safetensors::Open(path);
  const auto find = [&](const char* name) {
    const format::SafetensorsTensor* tensor = file.Find(name);
    if (!tensor || tensor->type->bits != 32 || tensor->elements != size_)
      throw Error(
          Code::kBadInput,
          "{}: {}: expected {} numbers, as many as are trained: resume with the options that "
          "it began with, or start again with --fresh",
          path, name, size_);
    return tensor;
  };
  const auto read = [](const format::SafetensorsTensor& tensor, int64_t at, std::span<float> to) {
    tensor.type->decode(tensor.data.data() + 4 * at, to.data(), static_cast<int64_t>(to.size()));
  };
  const nlohmann::ordered_json json = StateOf(file, path);
  const format::SafetensorsTensor* values = find("values");
  if (has_moments) {
    const format::SafetensorsTensor* first = find("first");
    read(*find("second"), 0, adamw_->second());
    read(*first, 0, adamw_->first());
    adamw_->set_steps(json.at("adamw_steps").get<int64_t>());
  }
  int64_t at = 0;
  for (const TrainedWeights::Piece& piece : pieces_) {
    read(*values, at, piece.values);
    at += static_cast<int64_t>(piece.values.size());
  }
  weights_->Update();
  return json.at("state");
}

}  // namespace slm::train
