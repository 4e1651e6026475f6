#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <optional>

#include "base/cpu.h"
#include "base/error.h"
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
  if (flags.is_new) run.RemoveCheckpoints();
  const bool goes_on = run.Resume();
  if (goes_on && !flags.gradients.empty())
    throw Error(Code::kUsage,
                "--dump-gradients: the first step is done already; begin anew with --fresh");
  if (goes_on)
    std::fprintf(stderr, "slm: going on after step %lld of %lld\n",
                 static_cast<long long>(run.done()), static_cast<long long>(run.steps()));
  train::TrainingLog log(flags.log, run.done());
  train::RunEnd end;
  Needs plan, taken;
  {
    const InterruptGuard guard;
    plan = Plan(data.train.size(), &run);
    const auto begin = std::chrono::steady_clock::now();
    Reporter reporter(run.steps(), &log);
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
  subject.write();
  run.RemoveCheckpoints();
  taken.bytes = PeakResidentBytes();
  std::fprintf(stderr, "slm: taken: %s\n", Describe(taken).c_str());
  train::Facts facts = FactsOf(flags, subject, data, run);
  facts.push_back({"planned", Describe(plan)});
  facts.push_back({"taken", Describe(taken)});
  return facts;
}

void Run(FinetuneFlags flags, const std::shared_ptr<train::Ranks>& ranks) {
  FillIn(&flags);
  if (IsCheckpoint(flags.model.model)) {
    ThreadPool pool(flags.model.threads > 0 ? flags.model.threads : DefaultThreads());
    ProgressBar progress(STDERR_FILENO, ProgressBar::Rest::kNothing);
    flags.checkpoint = flags.model.model;
    flags.model.model =
        TrainingBase(flags.model.model, flags.is_full ? "f32" : flags.base_type, &pool, &progress);
  }
  flags.model.in_floats = flags.is_full;
  std::optional<LoadedModel> loaded(flags.model);
  const TrainingData data = ReadTrainingData(flags, &*loaded, ranks->is_first());
  train::CheckFinite(*loaded->model());
  const std::string path = loaded->model()->file().path();
  if (ranks->is_first()) {
    std::filesystem::create_directories(flags.output);
    if (flags.is_full) CheckOutput(ModelOutput(flags), {path});
    if (flags.report != "off")
      CheckOutput(flags.report, {flags.data, flags.eval_data, flags.token_data, flags.log});
  }
  if (flags.is_full) {
    train::Facts facts = Train(flags, data, ModelSubject(flags, loaded->float_model()), ranks);
    if (!ranks->is_first()) return;
    loaded.reset();  // which takes more memory than both that answer
    if (flags.report != "off") {
      flags.model.in_floats = false;
      LoadedModel before(flags.model);
      flags.model.model = ModelOutput(flags);
      LoadedModel after(flags.model);
      WriteFinetuneReport(flags, std::move(facts), data, {&before}, {&after});
    }
    std::fprintf(stderr, "slm: wrote %s; try it: slm run -m %s -p \"..\"\n",
                 ModelOutput(flags).c_str(), ModelOutput(flags).c_str());
    return;
  }
  model::Lora lora;
  train::Facts facts;
  {
    const auto adapter = std::make_shared<train::TrainedLora>(
        loaded->model(), FirstLora(flags, *loaded->model()), flags.dropout);
    facts = Train(flags, data, AdapterSubject(flags, loaded->model(), adapter), ranks);
    if (!ranks->is_first()) return;
    lora = adapter->lora();
  }
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
