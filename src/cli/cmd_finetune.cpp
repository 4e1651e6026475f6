#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <optional>

#include "base/cpu.h"
#include "base/error.h"
#include "base/progress.h"
#include "base/result_file.h"
#include "base/thread_pool.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/loras.h"
#include "cli/mask_report.h"
#include "cli/options.h"
#include "cli/sample_answers.h"
#include "cli/training_base.h"
#include "cli/training_progress.h"
#include "cli/write_merged.h"
#include "convert/hf_gradients.h"
#include "convert/peft_adapter.h"
#include "convert/peft_adapter_writer.h"
#include "model/lora_writer.h"
#include "train/check_base.h"
#include "train/mpi_ranks.h"
#include "train/new_lora.h"
#include "train/prepare_data.h"
#include "train/token_data.h"
#include "train/trained_lora.h"
#include "train/trained_model.h"
#include "train/training_log.h"
#include "train/training_report.h"
#include "train/training_run.h"

namespace slm::cli {
namespace {

struct Flags {
  ModelOptions model;
  std::string data, eval_data, token_data, output;
  double eval_share = 0;
  int64_t longest = 1024;
  bool may_cut = false, may_skip = false, removes_duplicates = false, is_in_order = false;

  bool is_full = false;
  std::string type = "f32";

  train::NewLoraOptions lora;
  std::string init_adapter, targets = "all";

  train::RunOptions run;
  std::optional<double> learning_rate;
  std::string schedule = "cosine";
  double clip = 1, weight_decay = 0, dropout = 0;
  std::string precision = "int16", checkpointing = "on";
  int64_t rows = 0;
  bool is_new = false;
  std::string log, gradients, report;
  std::string base_type = "nf4";
  std::string checkpoint;  // -m, where it is a folder of one
};

using Facts = std::vector<std::pair<std::string, std::string>>;

std::vector<std::string> Split(const std::string& list) {
  std::vector<std::string> parts;
  for (size_t at = 0; at <= list.size();) {
    const size_t comma = std::min(list.find(',', at), list.size());
    if (comma > at) parts.push_back(list.substr(at, comma - at));
    at = comma + 1;
  }
  return parts;
}

struct Data {
  std::vector<train::Sample> train, eval;
  Facts facts;
};

std::vector<train::Sample> Take(std::vector<train::TokenizedSample>* from) {
  std::vector<train::Sample> samples;
  for (train::TokenizedSample& sample : *from) samples.push_back(std::move(sample.sample));
  return samples;
}

Facts FactsOf(const Flags& flags, const train::PreparedData& data) {
  Facts facts;
  const auto add = [&](const char* name, const std::string& path, const train::PreparedPart& part) {
    facts.push_back({name, fmt::format("{}: {} samples, {} tokens, {} of them trained", path,
                                       part.samples.size(), part.tokens(), part.trained())});
  };
  add("training data", flags.data, data.train);
  if (!data.eval.samples.empty())
    add("evaluation data", flags.eval_data.empty() ? "a share of it" : flags.eval_data, data.eval);
  if (!data.duplicates.empty())
    facts.push_back({"near duplicates", fmt::format("{} left out", data.duplicates.size())});
  if (!data.leaks.empty())
    facts.push_back({"in both", fmt::format("{} left out of evaluation", data.leaks.size())});
  return facts;
}

Data ReadData(const Flags& flags, LoadedModel* loaded, bool reports) {
  if (flags.data.empty() == flags.token_data.empty())
    throw Error(Code::kUsage, "expected -d, or --token-data");
  if (!flags.token_data.empty())
    return {train::ReadTokenData(flags.token_data, loaded->model()->hparams().vocab),
            {},
            {{"training data", flags.token_data}}};
  const format::Dataset dataset = format::ReadDataset(flags.data);
  std::optional<format::Dataset> eval;
  if (!flags.eval_data.empty()) eval = format::ReadDataset(flags.eval_data);
  const bool needs_template = dataset.format != format::DataFormat::kText ||
                              (eval && eval->format != format::DataFormat::kText);
  const train::ExampleTokenizer tokenizer(
      loaded->tokenizer(), needs_template ? &loaded->chat_template() : nullptr, {flags.longest});
  train::PreparedData prepared =
      train::Prepare(dataset, eval ? &*eval : nullptr, tokenizer,
                     {flags.eval_share, flags.run.seed, flags.removes_duplicates});
  if (reports)
    std::fputs(MaskReport(prepared, dataset.format, loaded->tokenizer(), isatty(STDERR_FILENO) != 0)
                   .c_str(),
               stderr);
  CheckAllTrained(prepared.train, flags.data, flags.longest, flags.may_cut, flags.may_skip);
  if (eval || flags.eval_share > 0)
    CheckAllTrained(prepared.eval, eval ? flags.eval_data : flags.data, flags.longest,
                    flags.may_cut, flags.may_skip);
  Facts facts = FactsOf(flags, prepared);
  return {Take(&prepared.train.samples), Take(&prepared.eval.samples), std::move(facts)};
}

model::Lora FirstLora(const Flags& flags, const engine::Model& model) {
  model::Lora lora;
  if (flags.init_adapter.empty()) {
    train::NewLoraOptions options = flags.lora;
    options.targets = Split(flags.targets);
    options.seed = flags.run.seed;
    lora = train::NewLora(model, options);
  } else {
    lora = convert::ReadPeftLora(flags.init_adapter, {model.file(), model.hparams()});
  }
  lora.base = model::IdentityOf(model.file(), model.hparams());
  return lora;
}

train::TrainerOptions TrainerOptionsOf(const Flags& flags, const Data& data, int64_t context) {
  train::TrainerOptions options;
  options.clip = flags.clip;
  options.seed = flags.run.seed;
  options.adamw.weight_decay = flags.weight_decay;
  if (flags.precision != "f32" && flags.precision != "int16")
    throw Error(Code::kUsage, "--precision: expected int16 or f32, got \"{}\"", flags.precision);
  options.backward.precision =
      flags.precision == "f32" || flags.is_full ? ops::Precision::kFloats : ops::Precision::kWords;
  if (flags.checkpointing != "on" && flags.checkpointing != "off")
    throw Error(Code::kUsage, "--checkpointing: expected on or off, got \"{}\"",
                flags.checkpointing);
  options.backward.keeps_activations = flags.checkpointing == "off";
  options.backward.longest = 1;
  for (const std::vector<train::Sample>* part : {&data.train, &data.eval})
    for (const train::Sample& sample : *part)
      options.backward.longest = std::max(options.backward.longest, sample.rows());
  if (options.backward.longest > context)
    throw Error(Code::kBadInput, "a sample has {} tokens, the context of the model is {}",
                options.backward.longest, context);
  // Each time rows are computed the weights are decoded.
  const int64_t rows = flags.rows > 0                       ? flags.rows
                       : options.backward.keeps_activations ? 1024
                                                            : 512;
  options.backward.rows = std::max(rows, options.backward.longest);
  return options;
}

void WriteAdapter(const Flags& flags, const engine::Model& model, const model::Lora& lora,
                  const std::string& folder) {
  const model::LoraTargets targets(model.file(), model.hparams());
  const std::string base = flags.checkpoint.empty()
                               ? std::filesystem::path(model.file().path()).filename().string()
                               : flags.checkpoint;
  convert::WritePeftLora(folder, lora, targets,
                         {base, flags.lora.is_rank_stabilised, flags.dropout});
}

// What is trained, and what becomes of it.
struct Subject {
  std::shared_ptr<const engine::Model> model;
  std::shared_ptr<train::TrainedWeights> weights;
  // Gradients, by the names of whoever has such weights, into a file of this name and folder.
  std::function<void(std::span<const float> gradient, const std::string& folder)> write_gradients;
  const char* gradients_file;
  std::function<void()> write;  // the result
  Facts facts;
};

Subject AdapterSubject(const Flags& flags, const std::shared_ptr<const engine::Model>& model,
                       const std::shared_ptr<train::TrainedLora>& adapter) {
  const model::Lora& lora = adapter->lora();
  const model::LoraMatrix& first = lora.matrices.front();
  const double parameters = static_cast<double>(train::ParameterLayout(lora).size());
  Subject subject{model, adapter, {}, "adapter_model.safetensors", {}, {}};
  subject.facts = {{"adapter", fmt::format("{} of rank {} on {} matrices, {:.3g} M parameters, "
                                           "scale {:.3g}",
                                           first.magnitude.empty() ? "LoRA" : "DoRA", first.rank,
                                           lora.matrices.size(), parameters / 1e6, first.scale)},
                   {"computed", fmt::format("base's products in {}, checkpointing {}",
                                            flags.precision, flags.checkpointing)}};
  subject.write_gradients = [=](std::span<const float> gradient, const std::string& folder) {
    WriteAdapter(flags, *model, adapter->Shape(gradient), folder);
  };
  subject.write = [=] {
    const model::Lora& trained = adapter->lora();
    WriteAdapter(flags, *model, trained, flags.output);
    if (std::all_of(trained.matrices.begin(), trained.matrices.end(),
                    [](const model::LoraMatrix& matrix) { return matrix.magnitude.empty(); }))
      model::WriteGgufLora(flags.output + "/adapter.gguf", trained, model->file());
  };
  return subject;
}

std::string ModelOutput(const Flags& flags) { return flags.output + "/model.gguf"; }

Subject ModelSubject(const Flags& flags, const std::shared_ptr<engine::FloatModel>& model) {
  const auto weights = std::make_shared<train::TrainedModel>(model);
  double parameters = 0;
  for (const auto& piece : weights->pieces())
    parameters += static_cast<double>(piece.values.size());
  Subject subject{model->model(), weights, {}, "gradients.safetensors", {}, {}};
  subject.facts = {{"trained", fmt::format("all weights, {:.4g} M parameters", parameters / 1e6)},
                   {"computed", fmt::format("in floats, checkpointing {}", flags.checkpointing)}};
  subject.write_gradients = [=](std::span<const float> gradient, const std::string& folder) {
    convert::WriteHfGradients(weights->Shape(gradient), model->model()->hparams(), folder,
                              "gradients");
  };
  subject.write = [=] {
    compress::QuantizeOptions options;
    options.recipe = &compress::FindRecipe(flags.type);
    ProgressBar progress(STDERR_FILENO);
    const MergedFile written = WriteMerged(model->model()->file(), {}, options, ModelOutput(flags),
                                           model->model()->runtime()->pool(), &progress);
    for (const std::string& line : compress::Describe(written.fallbacks))
      std::fprintf(stderr, "slm: %s\n", line.c_str());
  };
  return subject;
}

void DumpGradients(const Flags& flags, const Subject& subject, std::span<const float> gradient) {
  const std::filesystem::path path = flags.gradients;
  const std::filesystem::path folder = path.string() + ".folder";
  if (!std::filesystem::create_directory(folder))
    throw Error(Code::kUsage, "--dump-gradients: {} is there already", folder.string());
  subject.write_gradients(gradient, folder.string());
  std::filesystem::rename(folder / subject.gradients_file, path);
  std::filesystem::remove_all(folder);
}

Facts FactsOf(const Flags& flags, const Subject& subject, const Data& data,
              const train::TrainingRun& run) {
  const format::GgufFile& file = subject.model->file();
  Facts facts = {{"base", fmt::format("{}, {}", file.path(), FormatBytes(file.file_bytes()))}};
  facts.insert(facts.end(), subject.facts.begin(), subject.facts.end());
  facts.insert(facts.end(), data.facts.begin(), data.facts.end());
  facts.insert(facts.end(),
               {{"steps", fmt::format("{} of {}, {} samples each", run.done(), run.steps(),
                                      flags.run.batch)},
                {"learning rate", fmt::format("{:g}, {}, warm-up {:g}", flags.run.learning_rate,
                                              flags.schedule, flags.run.warmup)},
                {"AdamW", fmt::format("weight decay {:g}, gradients cut to {:g}",
                                      flags.weight_decay, flags.clip)},
                {"seed", std::to_string(flags.run.seed)}});
  return facts;
}

// What is to be said of it, on rank 0.
Facts Train(const Flags& flags, const Data& data, const Subject& subject,
            const std::shared_ptr<train::Ranks>& ranks) {
  const engine::Model& model = *subject.model;
  train::Trainer trainer(subject.model, subject.weights,
                         TrainerOptionsOf(flags, data, model.hparams().context), ranks);
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
        if (report.step == 1) DumpGradients(flags, subject, trainer.gradient());
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
  Facts facts = FactsOf(flags, subject, data, run);
  facts.push_back({"planned", Describe(plan)});
  facts.push_back({"taken", Describe(taken)});
  return facts;
}

void WriteReport(const Flags& flags, Facts facts, const Data& data, const Speaker& before,
                 const Speaker& after) {
  train::TrainingReport report;
  report.title = std::filesystem::path(flags.output).lexically_normal().string();
  report.facts = std::move(facts);
  // Token data may be of a model without a vocabulary.
  if (flags.token_data.empty()) {
    report.answers_from = data.eval.empty()
                              ? "To samples that it was trained on: there was nothing else."
                              : "To samples of the evaluation data, greedily.";
    report.answers = AnswerSamples(before, after, data.eval.empty() ? data.train : data.eval, 5);
  }
  const std::string html = train::RenderReport(report, train::ReadTrainingLog(flags.log));
  ResultFile file(flags.report);
  file.Write(html.data(), html.size());
  file.Finish();
}

void Run(Flags flags, const std::shared_ptr<train::Ranks>& ranks) {
  flags.run.schedule = train::ParseSchedule(flags.schedule);
  flags.run.shuffles = !flags.is_in_order && flags.token_data.empty();
  flags.run.folder = flags.output;
  flags.run.learning_rate = flags.learning_rate.value_or(flags.is_full ? 2e-5 : 2e-4);
  compress::FindRecipe(flags.type);  // which is needed at the end
  if (flags.log.empty()) flags.log = flags.output + "/log.jsonl";
  if (flags.report.empty()) flags.report = flags.output + "/report.html";
  if (IsCheckpoint(flags.model.model)) {
    ThreadPool pool(flags.model.threads > 0 ? flags.model.threads : DefaultThreads());
    ProgressBar progress(STDERR_FILENO, ProgressBar::Rest::kNothing);
    flags.checkpoint = flags.model.model;
    flags.model.model =
        TrainingBase(flags.model.model, flags.is_full ? "f32" : flags.base_type, &pool, &progress);
  }
  flags.model.in_floats = flags.is_full;
  std::optional<LoadedModel> loaded(flags.model);
  const Data data = ReadData(flags, &*loaded, ranks->is_first());
  train::CheckFinite(*loaded->model());
  const std::string path = loaded->model()->file().path();
  if (ranks->is_first()) {
    std::filesystem::create_directories(flags.output);
    if (flags.is_full) CheckOutput(ModelOutput(flags), {path});
    if (flags.report != "off")
      CheckOutput(flags.report, {flags.data, flags.eval_data, flags.token_data, flags.log});
  }
  if (flags.is_full) {
    Facts facts = Train(flags, data, ModelSubject(flags, loaded->float_model()), ranks);
    if (!ranks->is_first()) return;
    loaded.reset();  // which takes more memory than both that answer
    if (flags.report != "off") {
      flags.model.in_floats = false;
      LoadedModel before(flags.model);
      flags.model.model = ModelOutput(flags);
      LoadedModel after(flags.model);
      WriteReport(flags, std::move(facts), data, {&before}, {&after});
    }
    std::fprintf(stderr, "slm: wrote %s; try it: slm run -m %s -p \"..\"\n",
                 ModelOutput(flags).c_str(), ModelOutput(flags).c_str());
    return;
  }
  model::Lora lora;
  Facts facts;
  {
    const auto adapter = std::make_shared<train::TrainedLora>(
        loaded->model(), FirstLora(flags, *loaded->model()), flags.dropout);
    facts = Train(flags, data, AdapterSubject(flags, loaded->model(), adapter), ranks);
    if (!ranks->is_first()) return;
    lora = adapter->lora();
  }
  if (flags.report != "off")
    WriteReport(flags, std::move(facts), data, {&*loaded},
                {&*loaded, {std::make_shared<engine::Lora>(*loaded->model(), lora, 1.0f)}});
  std::fprintf(stderr, "slm: wrote %s; try it: slm run -m %s --lora %s -p \"..\"\n",
               flags.output.c_str(), path.c_str(), flags.output.c_str());
}

// What goes wrong on one rank ends all of them, which would wait for it.
void RunOnRanks(const Flags& flags) {
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
  auto flags = std::make_shared<Flags>();
  Flags* f = flags.get();
  AddModel(app, &f->model.model);
  AddThreads(app, &f->model.threads);
  AddPack(app, &f->model.pack);
  AddChatTemplateFile(app, &f->model.chat_template_file);
  app->add_option("-o,--output", f->output, "Folder of the adapter, or with --full of model.gguf")
      ->required();
  CLI::Option* full =
      app->add_flag("--full", f->is_full,
                    "Train all weights, in floats, instead of an adapter: see docs/finetune.md");
  app->add_option("--type", f->type, "With --full: of the result, any type of slm quantize")
      ->needs(full)
      ->capture_default_str();
  CLI::Option* base_type =
      app->add_option(
             "--base-type", f->base_type,
             "Where -m is a folder of Hugging Face, its weights become: nf4, bf16, f32, q8_0 "
             "or any other of slm quantize")
          ->capture_default_str();
  app->add_option("-d,--data", f->data,
                  "Examples, JSON lines: messages, conversations (sharegpt), instruction (alpaca), "
                  "prompt and completion, or text");
  CLI::Option* eval_data = app->add_option("--eval-data", f->eval_data,
                                           "Examples to evaluate on, in any of these forms");
  CLI::Option* eval_share =
      app->add_option("--eval-share", f->eval_share, "Or a share of -d, taken out by chance")
          ->check(CLI::Range(0.0, 0.9))
          ->excludes(eval_data);
  app->add_option("--seq", f->longest, "Tokens of a sample at most")
      ->check(CLI::Range(2, 1 << 20))
      ->capture_default_str();
  app->add_flag("--allow-cut", f->may_cut, "Cut samples that are longer");
  app->add_flag("--allow-untrained", f->may_skip, "Leave out samples that train nothing");
  app->add_flag("--dedup", f->removes_duplicates, "Leave out near duplicates");
  app->add_flag("--in-order", f->is_in_order, "Do not shuffle");

  const auto add = [&](const char* name, auto& value, const char* help) {
    return app->add_option(name, value, help)->capture_default_str();
  };
  const std::vector<CLI::Option*> of_new_adapter = {
      add("--rank", f->lora.rank, "Of the adapter")->check(CLI::Range(1, 256)),
      add("--alpha", f->lora.alpha, "The adapter counts alpha / rank"),
      app->add_flag("--rslora", f->lora.is_rank_stabilised, "alpha / sqrt(rank) instead"),
      app->add_flag("--dora", f->lora.is_dora, "Train magnitudes of rows too"),
      add("--target", f->targets, "Matrices, such as q_proj,v_proj, or all")};
  CLI::Option* init =
      app->add_option("--init-adapter", f->init_adapter, "Begin with this one, a PEFT folder");
  for (CLI::Option* option : of_new_adapter) {
    init->excludes(option);
    full->excludes(option);
  }
  full->excludes(init)->excludes(base_type);

  app->add_option("--lr", f->learning_rate,
                  "Highest learning rate (default: 2e-4, with --full 2e-5)")
      ->check(CLI::PositiveNumber);
  add("--schedule", f->schedule, "constant, linear or cosine");
  add("--warmup", f->run.warmup, "Steps in which it rises, or below 1 a share of all")
      ->check(CLI::NonNegativeNumber);
  add("--epochs", f->run.epochs, "Times through the data")->check(CLI::PositiveNumber);
  app->add_option("--steps", f->run.steps, "Steps in all, instead")->check(CLI::PositiveNumber);
  add("--batch", f->run.batch, "Samples of a step")->check(CLI::Range(1, 1 << 20));
  add("--seed", f->run.seed, "Of the order of samples, of the adapter and of dropout");
  add("--clip", f->clip, "Norm that gradients are cut to; 0: they are not")
      ->check(CLI::NonNegativeNumber);
  add("--weight-decay", f->weight_decay, "AdamW's")->check(CLI::NonNegativeNumber);
  add("--dropout", f->dropout, "Share of what the adapter reads that is left out, by chance")
      ->check(CLI::Range(0.0, 0.9))
      ->excludes(full);
  add("--eval-every", f->run.evaluate_every, "Steps; 0: each epoch")->check(CLI::NonNegativeNumber);
  add("--patience", f->run.patience, "End after so many evaluations without a gain; 0: never")
      ->check(CLI::NonNegativeNumber);

  add("--precision", f->precision, "Of the base's products: int16, which is faster, or f32")
      ->excludes(full);
  add("--checkpointing", f->checkpointing,
      "on: layers are computed twice; off: their activations are kept");
  app->add_option("--rows", f->rows,
                  "Tokens that are computed at once (default 512; 1024 with --checkpointing off)")
      ->check(CLI::PositiveNumber);
  app->add_option("--save-every", f->run.save_every, "Steps (default: every ten minutes)")
      ->check(CLI::PositiveNumber);
  app->add_flag("--fresh", f->is_new, "Begin anew where a checkpoint is there");
  app->add_option("--log", f->log, "Losses, JSON lines (default: log.jsonl in the folder)");
  app->add_option("--report", f->report,
                  "Curves and answers before and after, HTML (default: report.html in the folder); "
                  "off: none");
  app->add_option("--token-data", f->token_data,
                  "Instead of -d, lines {\"ids\": .., \"labels\": ..}, in their order")
      ->excludes(eval_data)
      ->excludes(eval_share);
  app->add_option("--dump-gradients", f->gradients,
                  "Write those of the first step, by PEFT's names, or with --full transformers'");
  return [flags] { RunOnRanks(*flags); };
}

}  // namespace slm::cli
