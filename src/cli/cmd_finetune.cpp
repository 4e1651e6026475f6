#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <optional>

#include "base/cpu.h"
#include "base/error.h"
#include "base/folder_lock.h"
#include "base/progress.h"
#include "base/thread_pool.h"
#include "cli/commands.h"
#include "cli/finetune_flags.h"
#include "cli/finetune_report.h"
#include "cli/interrupt.h"
#include "cli/options.h"
#include "cli/training_base.h"
#include "cli/training_data.h"
#include "cli/training_progress.h"
#include "cli/training_subject.h"
#include "train/check_base.h"
#include "train/mpi_ranks.h"
#include "train/training_log.h"
#include "train/training_run.h"

namespace slm::cli {
namespace {

// When the run began the first time, which templates take for the clock: the same tokens on all
// ranks, and when it goes on on another day.
int64_t Started(const FinetuneFlags& flags, train::Ranks* ranks) {
  int64_t started = 0;
  if (ranks->is_first()) {
    const auto before =
        flags.is_fresh ? std::nullopt : train::TrainingRun::StartedBefore(flags.output);
    started = before.value_or(std::time(nullptr));
  }
  ranks->Broadcast(train::BytesOf(std::span(&started, 1)));
  return started;
}

// Models whose context was stretched (Phi) turn by other frequencies where it is longer than the
// original one, which is decided once for a training, and once where it is served.
void SayContext(const engine::Model& model, int64_t longest) {
  const int64_t original = model.hparams().original_context;
  if (model.weights().rope_factors_long.empty() || original == 0) return;
  const bool is_long = longest > original;
  std::fprintf(stderr,
               "slm: trained with the rotary factors of contexts %s %lld tokens, as the longest "
               "sample has %lld: serve it with -c %lld%s\n",
               is_long ? "over" : "up to", static_cast<long long>(original),
               static_cast<long long>(longest), static_cast<long long>(original + is_long),
               is_long ? " or more" : " or less");
}

// Throws kUsage where a finished training would be written over.
void CheckIsUnfinished(const FinetuneFlags& flags) {
  if (flags.is_fresh || train::TrainingRun::StartedBefore(flags.output)) return;
  const std::string path =
      flags.is_full ? ModelOutput(flags) : flags.output + "/adapter_model.safetensors";
  if (std::filesystem::exists(path))
    throw Error(Code::kUsage,
                "{} is of a training that ended: name another folder, or begin anew in this one "
                "with --fresh",
                path);
}

// Before the first step: a checkpoint beside the one that it replaces, and the best numbers; in the
// end the result takes no more. What an earlier part of the run has there counts as free.
void CheckSpace(const FinetuneFlags& flags, const train::Trainer& trainer, bool evaluates) {
  std::error_code unknown;
  uint64_t available = std::filesystem::space(flags.output, unknown).available;
  if (unknown) return;
  for (const std::string& path : train::TrainingRun::CheckpointPaths(flags.output))
    if (const auto bytes = std::filesystem::file_size(path, unknown); !unknown) available += bytes;
  const uint64_t needed = (2 * 12 + (evaluates ? 4 : 0)) * static_cast<uint64_t>(trainer.size());
  if (available < needed)
    throw Error(Code::kFailed, "{}: checkpoints and the result take up to {}, the disk has {} left",
                flags.output, FormatBytes(needed), FormatBytes(available));
}

// What is to be said of it, on rank 0.
train::Facts Train(const FinetuneFlags& flags, const TrainingData& data,
                   const TrainingSubject& subject, const std::shared_ptr<train::Ranks>& ranks) {
  const engine::Model& model = *subject.model;
  train::Trainer trainer(subject.model, subject.weights,
                         TrainerOptionsOf(flags, data.longest(), model.hparams().context), ranks);
  train::TrainingRun run(&trainer, data.train, data.eval, flags.run);
  if (!ranks->is_first()) {
    const InterruptGuard guard;  // rank 0 says when
    run.Run({});
    ranks->Finish();
    return {};
  }
  if (ranks->size() > 1)
    std::fprintf(stderr, "slm: %d ranks; threads of rank 0: %d\n", ranks->size(),
                 model.runtime()->threads());
  SayContext(model, data.longest());
  if (flags.is_fresh) run.RemoveCheckpoints();
  CheckSpace(flags, trainer, !data.eval.empty());
  const bool goes_on = run.Resume();
  if (goes_on && !flags.gradients.empty())
    throw Error(Code::kUsage,
                "--dump-gradients: the first step is done already; begin anew with --fresh");
  if (goes_on)
    std::fprintf(stderr, "slm: going on after step %lld of %lld\n",
                 static_cast<long long>(run.done()), static_cast<long long>(run.steps()));
  else if (!flags.is_fresh && std::filesystem::exists(flags.log))
    std::fprintf(stderr, "slm: %s has no checkpoint: beginning anew\n", flags.output.c_str());
  train::TrainingLog log(flags.log, run.done(), run.evaluated());
  train::RunEnd end;
  Needs plan, taken;
  {
    const InterruptGuard guard(true,
                               "\nslm: ends with a checkpoint after this step; once more: at once, "
                               "without one\n");
    plan = Plan(data.train.size(), &run);
    const auto begin = std::chrono::steady_clock::now();
    Reporter reporter(&run, plan.pace, &log);
    train::RunHooks hooks = reporter.Hooks();
    if (!flags.gradients.empty())
      hooks.on_step = [&, on_step = hooks.on_step](const train::StepReport& report) {
        if (report.step == 1) subject.DumpGradients(trainer.gradient(), flags.gradients);
        on_step(report);
      };
    end = run.Run(hooks);
    ranks->Finish();
    taken.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }
  if (end == train::RunEnd::kCancelled)
    throw Error(Code::kInterrupted, "stopped after step {}; the same command goes on from there",
                run.done());
  if (end == train::RunEnd::kEarly)
    std::fprintf(stderr,
                 "slm: ended after step %lld of %lld, as %lld evaluations brought nothing better\n",
                 static_cast<long long>(run.done()), static_cast<long long>(run.steps()),
                 static_cast<long long>(flags.run.patience));
  // What an earlier training left and this one does not write is not of this one.
  if (flags.is_fresh)
    for (const char* name : {"adapter.gguf", "report.html"})
      std::filesystem::remove(flags.output + "/" + name);
  subject.write();
  run.RemoveCheckpoints();
  taken.bytes = PeakResidentBytes();
  std::fprintf(stderr, "slm: taken: %s\n", Describe(taken).c_str());
  train::Facts facts = FactsOf(flags, subject, data, run);
  facts.push_back({"planned", Describe(plan)});
  facts.push_back({"taken", Describe(taken)});
  return facts;
}

// Says what int8 leaves in int16; throws kUsage when that is all.
void CheckInt8(const model::Weights& weights) {
  const size_t all = 2 * weights.layers.size() + 1;
  const size_t served = engine::ServedInBytes(weights).size();
  if (served == 0)
    throw Error(Code::kUsage,
                "--precision int8: the kernels of {} take no activations of 8 bits: leave it at "
                "int16, or begin with another type of base",
                quant::Traits(weights.layers.front().up.type()).name);
  if (served < all)
    std::fprintf(stderr,
                 "slm: int8: %zu of %zu matrices of gate, up and output take activations of 8 "
                 "bits, the others stay in int16\n",
                 served, all);
}

void Run(FinetuneFlags flags, const std::shared_ptr<train::Ranks>& ranks) {
  FillIn(&flags);
  flags.run.started = Started(flags, ranks.get());
  if (!IsCheckpoint(flags.model.model)) {
    if (flags.base_type)
      throw Error(Code::kUsage, "--base-type: expected a folder of Hugging Face as -m, got {}",
                  flags.model.model);
  } else {
    ThreadPool pool(flags.model.threads > 0 ? flags.model.threads : DefaultThreads());
    ProgressBar progress(STDERR_FILENO, ProgressBar::Rest::kNothing);
    flags.checkpoint = flags.model.model;
    const auto convert = [&] {
      flags.model.model =
          TrainingBase(flags.checkpoint, flags.is_full ? "f32" : flags.base_type.value_or("nf4"),
                       &pool, &progress);
    };
    // The others find it, unless they are on other machines.
    if (ranks->is_first()) convert();
    ranks->Agree(true);
    if (!ranks->is_first()) convert();
  }
  flags.model.in_floats = flags.is_full;
  std::optional<LoadedModel> loaded(flags.model);
  if (flags.precision == "int8" && !flags.is_full && ranks->is_first())
    CheckInt8(loaded->model()->weights());
  // Before the data and the folder: what does not fit the base is said at once.
  std::shared_ptr<train::TrainedLora> adapter;
  if (!flags.is_full)
    adapter = std::make_shared<train::TrainedLora>(
        loaded->model(), FirstLora(flags, *loaded->model()), flags.dropout);
  const TrainingData data = ReadTrainingData(flags, &*loaded, ranks->is_first());
  train::CheckFinite(*loaded->model());
  const std::string path = loaded->model()->file().path();
  std::optional<FolderLock> lock;
  if (ranks->is_first()) {
    std::filesystem::create_directories(flags.output);
    lock.emplace(flags.output);
    CheckIsUnfinished(flags);
    std::vector<std::string> files = {path, flags.data, flags.eval_data, flags.token_data,
                                      flags.init_adapter};
    if (flags.is_full) CheckOutput(ModelOutput(flags), files);
    CheckIsNoInput(flags.log, files);
    files.push_back(flags.log);
    if (!flags.gradients.empty()) CheckOutput(flags.gradients, files);
    files.push_back(flags.gradients);
    if (flags.report != "off") CheckOutput(flags.report, files);
  }
  if (flags.is_full) {
    train::Facts facts = Train(flags, data, ModelSubject(flags, loaded->float_model()), ranks);
    if (!ranks->is_first()) return;
    loaded.reset();  // which takes more memory than both that answer
    if (flags.report != "off") {
      // Which speak a little, and only where there are texts.
      flags.model.in_floats = false;
      flags.model.pack.is_not_repacked = true;
      std::optional<LoadedModel> before, after;
      if (flags.token_data.empty()) {
        before.emplace(flags.model);
        flags.model.model = ModelOutput(flags);
        after.emplace(flags.model);
      }
      WriteFinetuneReport(flags, std::move(facts), data, {before ? &*before : nullptr, {}},
                          {after ? &*after : nullptr, {}});
    }
    std::fprintf(stderr, "slm: wrote %s; try it: slm run -m %s -p \"..\"\n",
                 ModelOutput(flags).c_str(), ModelOutput(flags).c_str());
    return;
  }
  train::Facts facts = Train(flags, data, AdapterSubject(flags, loaded->model(), adapter), ranks);
  if (!ranks->is_first()) return;
  const model::Lora lora = adapter->lora();
  adapter.reset();
  if (flags.report != "off")
    WriteFinetuneReport(flags, std::move(facts), data, {&*loaded},
                        {&*loaded, {std::make_shared<engine::Lora>(*loaded->model(), lora, 1.0f)}});
  std::fprintf(stderr, "slm: wrote %s; try it: slm run -m %s --lora %s -p \"..\"\n",
               flags.output.c_str(), path.c_str(), flags.output.c_str());
}

// What goes wrong on one rank ends all of them, which would wait for it.
void RunOnRanks(const FinetuneFlags& flags) {
  const std::shared_ptr<train::Ranks> ranks = train::StartRanks();
  try {
    Run(flags, ranks);
  } catch (const std::exception& error) {
    if (ranks->size() == 1) throw;
    std::fprintf(stderr, "slm: rank %d: %s\n", ranks->rank(), error.what());
    const auto* known = dynamic_cast<const Error*>(&error);
    ranks->Abort(static_cast<int>(known ? known->code() : Code::kFailed));
  }
}

}  // namespace

Work DeclareFinetune(CLI::App* app) {
  auto flags = std::make_shared<FinetuneFlags>();
  AddFinetuneFlags(app, flags.get());
  return [flags] { RunOnRanks(*flags); };
}

}  // namespace slm::cli
