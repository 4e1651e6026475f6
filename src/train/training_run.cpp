#include "train/training_run.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/error.h"
#include "base/hash.h"
#include "base/random.h"

namespace slm::train {
namespace {

using nlohmann::ordered_json;
using std::chrono::steady_clock;

constexpr const char* kCheckpoint = "checkpoint";
constexpr const char* kBest = "best";
constexpr size_t kEvaluated = 64;  // samples of an evaluation between two questions
constexpr auto kSaveAfter = std::chrono::minutes(10);

uint64_t HashOf(std::span<const Sample> samples) {
  uint64_t hash = samples.size();
  for (const Sample& sample : samples)
    for (const std::vector<int32_t>* ids : {&sample.ids, &sample.labels})
      hash = Hash64({reinterpret_cast<const uint8_t*>(ids->data()), 4 * ids->size()}, hash);
  return hash;
}

std::vector<const Sample*> PointersTo(std::span<const Sample> samples) {
  std::vector<const Sample*> pointers;
  for (const Sample& sample : samples) pointers.push_back(&sample);
  return pointers;
}

// The first member in which `other` differs, with both values where they say something, or nothing.
std::string Difference(const ordered_json& own, const ordered_json& other) {
  const auto is_hash = [](const ordered_json& value) {
    return value.is_number_unsigned() && value.get<uint64_t>() > UINT32_MAX;
  };
  for (const auto& [name, value] : own.items()) {
    if (!other.contains(name)) return name;
    const ordered_json& its = other.at(name);
    if (its == value) continue;
    if (is_hash(value) || is_hash(its)) return name;
    return fmt::format("{} ({}, here {})", name, its.dump(), value.dump());
  }
  return "";
}

struct Sizes {
  double rows = 0, trained = 0;  // of a sample, on average
  double deviation = 0;          // of the rows
};

Sizes SizesOf(std::span<const Sample> samples) {
  Sizes sizes;
  double squares = 0;
  for (const Sample& sample : samples) {
    const auto rows = static_cast<double>(sample.rows());
    sizes.rows += rows;
    squares += rows * rows;
    sizes.trained += static_cast<double>(sample.trained());
  }
  const auto n = static_cast<double>(samples.size());
  sizes.rows /= n;
  sizes.trained /= n;
  sizes.deviation = std::sqrt(std::max(0.0, squares / n - sizes.rows * sizes.rows));
  return sizes;
}

bool HasCheckpoint(const std::string& folder) {
  return std::filesystem::exists(folder + "/" + kCheckpoint + ".safetensors");
}

double SecondsOf(std::chrono::duration<double> duration) { return duration.count(); }

double SecondsSince(steady_clock::time_point begin) {
  return SecondsOf(steady_clock::now() - begin);
}

}  // namespace

TrainingRun::TrainingRun(Trainer* trainer, std::span<const Sample> train,
                         std::span<const Sample> eval, const RunOptions& options)
    : trainer_(trainer), train_(train), eval_(eval), options_(options) {
  const auto size = static_cast<int64_t>(train_.size());
  SLM_CHECK(size > 0 && options.batch > 0);
  steps_per_epoch_ = (size + options.batch - 1) / options.batch;
  steps_ = options.steps > 0
               ? options.steps
               : std::max<int64_t>(
                     1, std::llround(options.epochs * static_cast<double>(steps_per_epoch_)));
  const double warmup =
      options.warmup < 1 ? options.warmup * static_cast<double>(steps_) : options.warmup;
  schedule_ = {options.schedule, options.learning_rate, std::llround(warmup), steps_};
}

std::vector<size_t> TrainingRun::SamplesOf(int64_t step) const {
  const int64_t epoch = step / steps_per_epoch_, in_epoch = step % steps_per_epoch_;
  std::vector<size_t> order(train_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  if (options_.shuffles)
    for (size_t i = order.size(); i > 1; --i) {
      const uint64_t counter = static_cast<uint64_t>(epoch) * order.size() + i - 1;
      std::swap(order[i - 1], order[RandomBits(options_.seed, counter) % i]);
    }
  const auto first = static_cast<size_t>(in_epoch * options_.batch);
  const size_t last = std::min(order.size(), first + static_cast<size_t>(options_.batch));
  return {order.begin() + static_cast<std::ptrdiff_t>(first),
          order.begin() + static_cast<std::ptrdiff_t>(last)};
}

uint64_t TrainingRun::BytesAhead() const {
  const Sizes sizes = SizesOf(train_);
  const auto most = static_cast<double>(trainer_->rows_at_once());
  const auto batch =
      static_cast<double>(std::min(options_.batch, static_cast<int64_t>(train_.size())));
  // Of many steps some are larger than most.
  const double rows = std::min(most, sizes.rows * batch + 3 * sizes.deviation * std::sqrt(batch));
  double samples = rows / sizes.rows;
  if (!eval_.empty())
    samples =
        std::max(samples, std::min(static_cast<double>(eval_.size()), most / SizesOf(eval_).rows));
  return trainer_->BytesFor(std::min(options_.batch, static_cast<int64_t>(train_.size())),
                            {std::llround(std::ceil(samples)), std::llround(rows),
                             std::llround(std::ceil(rows / sizes.rows * sizes.trained))});
}

Pace TrainingRun::Measure() {
  std::vector<const Sample*> samples;
  for (const size_t i : SamplesOf(state_.step)) samples.push_back(&train_[i]);
  const TrainingCost cost = trainer_->Measure(samples, !eval_.empty());
  const auto seconds = [&](std::span<const Sample> all, double of_row) {
    return all.empty() ? 0.0 : of_row * SizesOf(all).rows * static_cast<double>(all.size());
  };
  const double epoch = seconds(train_, cost.row_seconds);
  const int ranks = trainer_->ranks()->size();
  const double save = trainer_->MeasureSave(options_.folder);
  // As if each were the best so far, of which the numbers are kept, a third of a checkpoint.
  const double evaluation = seconds(eval_, cost.evaluation_seconds) / ranks + save / 3;
  return {(cost.step_seconds + epoch / static_cast<double>(steps_per_epoch_)) / ranks, evaluation,
          save};
}

double TrainingRun::SecondsLeft(const Pace& pace) const {
  double seconds = static_cast<double>(steps_ - state_.step) * pace.step;
  if (!eval_.empty()) {
    // One after every so many steps, and one after the last.
    const auto until = [every = evaluate_every()](int64_t step) {
      return static_cast<double>((step + every - 1) / every);
    };
    seconds += (until(steps_) - until(state_.evaluated)) * pace.evaluation;
  }
  const double saves =
      options_.save_every > 0
          ? static_cast<double>(steps_ / options_.save_every - state_.step / options_.save_every)
          : std::floor(seconds / SecondsOf(kSaveAfter));
  return seconds + (saves + 1) * pace.save;  // one in the end
}

// What a checkpoint belongs to: another order, or another number, would give other bits.
ordered_json TrainingRun::Identity() const {
  ordered_json identity = trainer_->Identity();
  const ordered_json of_run = {{"training data", HashOf(train_)},
                               {"evaluation data", HashOf(eval_)},
                               {"batch size", options_.batch},
                               {"number of steps", steps_},
                               {"seed", options_.seed},
                               {"order of samples", options_.shuffles},
                               {"learning rate", options_.learning_rate},
                               {"schedule", Name(options_.schedule)},
                               {"warm-up", schedule_.warmup},
                               {"interval of evaluations", options_.evaluate_every}};
  identity.update(of_run);
  return identity;
}

// What a rank would compute with something else comes to nothing before it begins.
void TrainingRun::Join() {
  Ranks* ranks = trainer_->ranks();
  const ordered_json own = Identity();
  std::string text = own.dump();
  uint64_t size = text.size();
  ranks->Broadcast(BytesOf(std::span(&size, 1)));
  text.resize(size);
  ranks->Broadcast(BytesOf(std::span(text)));
  const std::string name = Difference(own, ordered_json::parse(text));
  if (!name.empty())
    throw Error(Code::kBadInput,
                "the {} is not rank 0's: model, data and options have to be the same on all ranks",
                name);
  ranks->Broadcast(BytesOf(std::span(&state_, 1)));
}

void TrainingRun::Save() const {
  if (!trainer_->ranks()->is_first()) return;
  trainer_->Save(options_.folder, kCheckpoint, true,
                 {{"run", Identity()},
                  {"step", state_.step},
                  {"best_loss", state_.best_loss},
                  {"best_step", state_.best_step},
                  {"waited", state_.waited},
                  {"evaluated", state_.evaluated},
                  {"started", options_.started}});
}

std::optional<int64_t> TrainingRun::StartedBefore(const std::string& folder) {
  if (!HasCheckpoint(folder)) return std::nullopt;
  const ordered_json json = Trainer::LoadState(folder, kCheckpoint);
  if (!json.contains("started") || !json.at("started").is_number_integer())
    throw Error(Code::kBadInput,
                "{}/{}.safetensors: state: expected started: start again with --fresh", folder,
                kCheckpoint);
  return json.at("started").get<int64_t>();
}

bool TrainingRun::Resume() {
  if (!HasCheckpoint(options_.folder)) return false;
  const std::string path = options_.folder + "/" + kCheckpoint + ".safetensors";
  const ordered_json json = trainer_->Load(options_.folder, kCheckpoint, true);
  try {
    const std::string name = Difference(Identity(), json.at("run"));
    if (!name.empty())
      throw Error(
          Code::kBadInput,
          "{}: is of a run with a different {}: resume with what it began with, or start again "
          "with --fresh",
          path, name);
    state_ = {json.at("step"), json.at("best_loss"), json.at("best_step"), json.at("waited"),
              json.at("evaluated")};
    const auto& [step, best_loss, best_step, waited, evaluated] = state_;
    if (step < 0 || step > steps_ || best_step < -1 || best_step > step || waited < 0 ||
        evaluated < 0 || evaluated > step || !std::isfinite(best_loss))
      throw Error(Code::kBadInput, "{}: state: step {} of {}, best {}, evaluated {}, waited {}",
                  path, step, steps_, best_step, evaluated, waited);
  } catch (const ordered_json::exception&) {
    throw Error(Code::kBadInput, "{}: state: a number is missing", path);
  }
  return true;
}

std::vector<std::string> TrainingRun::CheckpointPaths(const std::string& folder) {
  std::vector<std::string> paths;
  for (const char* stem : {kCheckpoint, kBest})
    paths.push_back(folder + "/" + stem + ".safetensors");
  return paths;
}

void TrainingRun::RemoveCheckpoints() const {
  for (const std::string& path : CheckpointPaths(options_.folder)) std::filesystem::remove(path);
}

void TrainingRun::Step(const RunHooks& hooks) {
  const auto begin = steady_clock::now();
  std::vector<const Sample*> samples;
  const std::vector<size_t> indexes = SamplesOf(state_.step);
  for (const size_t i : indexes) samples.push_back(&train_[i]);
  StepReport report;
  report.learning_rate = schedule_.At(state_.step);
  try {
    report.result = trainer_->Step(samples, report.learning_rate);
  } catch (const Error& error) {
    std::string names;
    for (const size_t i : indexes)
      names += " " + std::to_string(train_[i].line > 0 ? train_[i].line : i + 1);
    throw Error(error.code(), "step {}, lines{} of the data: {}", state_.step + 1, names,
                error.what());
  }
  ++state_.step;
  report.step = state_.step;
  report.epoch = static_cast<double>(state_.step) / static_cast<double>(steps_per_epoch_);
  report.seconds = SecondsSince(begin);
  if (hooks.on_step && trainer_->ranks()->is_first()) hooks.on_step(report);
}

bool TrainingRun::IsToEvaluate() const {
  return !eval_.empty() && state_.evaluated < state_.step &&
         (state_.step == steps_ || state_.step % evaluate_every() == 0);
}

bool TrainingRun::Evaluate(const RunHooks& hooks) {
  const auto begin = steady_clock::now();
  Ranks* ranks = trainer_->ranks();
  double sum = 0;
  int64_t trained = 0;
  for (size_t at = 0; at < eval_.size(); at += kEvaluated) {
    if (ranks->Agree(hooks.is_cancelled && hooks.is_cancelled())) return false;
    const auto part = eval_.subspan(at, std::min(kEvaluated, eval_.size() - at));
    sum += trainer_->Evaluate(PointersTo(part));
    for (const Sample& sample : part) trained += sample.trained();
  }
  state_.evaluated = state_.step;
  if (!ranks->is_first()) return true;
  const double loss = sum / static_cast<double>(trained);
  if (!std::isfinite(loss))
    throw Error(Code::kFailed, "step {}: the loss of the evaluation is {}", state_.step, loss);
  const bool is_best = state_.best_step < 0 || loss < state_.best_loss;
  if (is_best) {
    state_.best_loss = loss;
    state_.best_step = state_.step;
    trainer_->Save(options_.folder, kBest, false, nullptr);
  }
  state_.waited = is_best ? 0 : state_.waited + 1;
  if (hooks.on_evaluation) hooks.on_evaluation({state_.step, loss, is_best, SecondsSince(begin)});
  return true;
}

RunEnd TrainingRun::Run(const RunHooks& hooks) {
  auto saved = steady_clock::now();
  RunEnd end = RunEnd::kDone;
  Ranks* ranks = trainer_->ranks();
  Join();
  const auto cancel = [&] {
    Save();
    return RunEnd::kCancelled;
  };
  // An evaluation that is owed comes first where a run goes on: checkpoints are before those.
  while (end == RunEnd::kDone) {
    if (IsToEvaluate() && !Evaluate(hooks)) return cancel();
    if (ranks->Agree(options_.patience > 0 && state_.waited >= options_.patience))
      end = RunEnd::kEarly;
    if (state_.step == steps_ || end == RunEnd::kEarly) break;
    if (ranks->Agree(hooks.is_cancelled && hooks.is_cancelled())) return cancel();
    Step(hooks);
    const bool is_due = options_.save_every > 0 ? state_.step % options_.save_every == 0
                                                : steady_clock::now() - saved > kSaveAfter;
    if (is_due) {
      Save();
      saved = steady_clock::now();
    }
  }
  Save();
  if (ranks->is_first() && !eval_.empty() && state_.best_step != state_.step)
    trainer_->Load(options_.folder, kBest, false);
  return end;
}

}  // namespace slm::train
