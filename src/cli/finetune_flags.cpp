#include "cli/finetune_flags.h"

#include <algorithm>

#include "base/error.h"
#include "cli/options.h"
#include "compress/recipe.h"

namespace slm::cli {

void AddFinetuneFlags(CLI::App* app, FinetuneFlags* f) {
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
  CLI::Option* base_type = app->add_option(
      "--base-type", f->base_type,
      "Where -m is a folder of Hugging Face, its weights become: nf4, bf16, f32, q8_0 "
      "or any other of slm quantize (default: nf4)");
  app->add_option("-d,--data", f->data,
                  "Examples, JSON lines: messages, conversations (sharegpt), instruction (alpaca), "
                  "prompt and completion, or text");
  CLI::Option* eval_data = app->add_option("--eval-data", f->eval_data,
                                           "Examples to evaluate on, in any of these forms");
  CLI::Option* eval_share =
      app->add_option("--eval-share", f->eval_share, "Or a share of -d, taken out by chance")
          ->check(CLI::Range(0.0, 0.9))
          ->excludes(eval_data);
  const std::vector<CLI::Option*> of_examples = {
      eval_data,
      eval_share,
      app->add_option("--seq", f->longest, "Tokens of a sample at most")
          ->check(CLI::Range(2, 1 << 20))
          ->capture_default_str(),
      app->add_flag("--allow-cut", f->may_cut, "Cut samples that are longer"),
      app->add_flag("--allow-untrained", f->may_skip, "Leave out samples that train nothing"),
      app->add_flag("--allow-leaks", f->keeps_leaks, "Evaluate on what is trained, too"),
      app->add_flag("--dedup", f->removes_duplicates, "Leave out near duplicates")};
  app->add_flag("--in-order", f->is_in_order, "Do not shuffle");

  const auto add = [&](const char* name, auto& value, const char* help) {
    return app->add_option(name, value, help)->capture_default_str();
  };
  const std::vector<CLI::Option*> of_new_adapter = {
      add("--rank", f->lora.rank, "Of the adapter")->check(CLI::Range(1, 256)),
      add("--alpha", f->lora.alpha, "The adapter counts alpha / rank")->check(AboveZero()),
      app->add_flag("--rslora", f->lora.is_rank_stabilised, "alpha / sqrt(rank) instead"),
      app->add_flag("--dora", f->lora.is_dora, "Train magnitudes of rows too"),
      add("--target", f->targets, "Matrices, such as q_proj,v_proj, or all")};
  CLI::Option* init = app->add_option("--init-adapter", f->init_adapter,
                                      "Begin with this one, a PEFT folder or GGUF");
  for (CLI::Option* option : of_new_adapter) {
    init->excludes(option);
    full->excludes(option);
  }
  full->excludes(init)->excludes(base_type);

  app->add_option("--lr", f->learning_rate,
                  "Highest learning rate (default: 2e-4, with --full 2e-5)")
      ->check(AboveZero());
  add("--schedule", f->schedule, "constant, linear or cosine");
  add("--warmup", f->run.warmup, "Steps in which it rises, or below 1 a share of all")
      ->check(NotNegative());
  add("--epochs", f->run.epochs, "Times through the data")->check(AboveZero());
  app->add_option("--steps", f->run.steps, "Steps in all, instead")->check(AboveZero());
  add("--batch", f->run.batch, "Samples of a step")->check(CLI::Range(1, 1 << 20));
  add("--seed", f->run.seed, "Of the order of samples, of the adapter and of dropout");
  add("--clip", f->clip, "Norm that gradients are cut to; 0: they are not")->check(NotNegative());
  add("--weight-decay", f->adamw.weight_decay, "AdamW's")->check(NotNegative());
  add("--beta1", f->adamw.beta1, "AdamW's")->check(CLI::Range(0.0, 0.9999));
  add("--beta2", f->adamw.beta2, "AdamW's")->check(CLI::Range(0.0, 0.99999));
  add("--epsilon", f->adamw.epsilon, "AdamW's")->check(AboveZero());
  add("--dropout", f->dropout, "Share of what the adapter reads that is left out, by chance")
      ->check(CLI::Range(0.0, 0.9))
      ->excludes(full);
  add("--eval-every", f->run.evaluate_every, "Steps; 0: each epoch")->check(NotNegative());
  add("--patience", f->run.patience, "End after so many evaluations without a gain; 0: never")
      ->check(NotNegative());

  add("--precision", f->precision,
      "Of the base's products: int8 (gate, up and logits forward; the rest int16), int16 or f32")
      ->check(CLI::IsMember({"int8", "int16", "f32"}))
      ->excludes(full);
  add("--checkpointing", f->checkpointing,
      "on: layers are computed twice; off: their activations are kept")
      ->check(CLI::IsMember({"on", "off"}));
  app->add_option("--rows", f->rows,
                  "Tokens that are computed at once (default 512; 1024 with --checkpointing off)")
      ->check(AboveZero());
  app->add_option("--save-every", f->run.save_every, "Steps (default: every ten minutes)")
      ->check(AboveZero());
  app->add_flag("--fresh", f->is_fresh, "Begin anew where a checkpoint is there");
  app->add_option("--log", f->log, "Losses, JSON lines (default: log.jsonl in the folder)");
  app->add_option("--report", f->report,
                  "Curves and answers before and after, HTML (default: report.html in the folder); "
                  "off: none");
  CLI::Option* token_data =
      app->add_option("--token-data", f->token_data,
                      "Instead of -d, lines {\"ids\": .., \"labels\": ..}, in their order");
  for (CLI::Option* option : of_examples) token_data->excludes(option);
  app->add_option("--dump-gradients", f->gradients,
                  "Write those of the first step, by PEFT's names, or with --full transformers'");
}

void FillIn(FinetuneFlags* flags) {
  flags->run.schedule = train::ParseSchedule(flags->schedule);
  flags->run.shuffles = !flags->is_in_order && flags->token_data.empty();
  flags->run.folder = flags->output;
  // A step of AdamW is about as long as the rate: above 1 no weight survives it.
  if (flags->learning_rate.value_or(0) > 1)
    throw Error(Code::kUsage, "--lr: expected at most 1, got {}", *flags->learning_rate);
  flags->run.learning_rate = flags->learning_rate.value_or(flags->is_full ? 2e-5 : 2e-4);
  compress::FindRecipe(flags->type);  // which is needed at the end
  if (flags->eval_data.empty() && flags->eval_share == 0 &&
      (flags->run.evaluate_every > 0 || flags->run.patience > 0))
    throw Error(Code::kUsage, "--eval-every, --patience: expected --eval-data or --eval-share");
  if (flags->log.empty()) flags->log = flags->output + "/log.jsonl";
  if (flags->report.empty()) flags->report = flags->output + "/report.html";
}

train::TrainerOptions TrainerOptionsOf(const FinetuneFlags& flags, int64_t longest,
                                       int64_t context) {
  train::TrainerOptions options;
  options.clip = flags.clip;
  options.seed = flags.run.seed;
  options.adamw = flags.adamw;
  options.backward.precision =
      flags.precision == "f32" || flags.is_full ? ops::Precision::kFloats : ops::Precision::kWords;
  options.backward.serves_gates_and_logits = flags.precision == "int8" && !flags.is_full;
  options.backward.keeps_activations = flags.checkpointing == "off";
  if (longest > context)
    throw Error(Code::kBadInput, "a sample has {} tokens, the context of the model is {}", longest,
                context);
  options.backward.longest = longest;
  // Each time rows are computed the weights are decoded.
  const int64_t rows = flags.rows > 0                       ? flags.rows
                       : options.backward.keeps_activations ? 1024
                                                            : 512;
  options.backward.rows = std::max(rows, longest);
  return options;
}

}  // namespace slm::cli
