// The flags of slm finetune, and the settings that they are.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "cli/loaded_model.h"
#include "train/new_lora.h"
#include "train/trainer.h"
#include "train/training_run.h"

namespace slm::cli {

struct FinetuneFlags {
  ModelOptions model;
  std::string data, eval_data, token_data, output;
  double eval_share = 0;
  int64_t longest = 1024;
  bool may_cut = false, may_skip = false, removes_duplicates = false, keeps_leaks = false;
  bool is_in_order = false;

  bool is_full = false;
  std::string type = "f32";

  train::NewLoraOptions lora;
  std::string init_adapter, targets = "all";

  train::RunOptions run;
  std::optional<double> learning_rate;
  std::string schedule = "cosine";
  train::AdamWOptions adamw;
  double clip = 1, dropout = 0;
  std::string precision = "int16", checkpointing = "on";
  int64_t rows = 0;
  bool is_fresh = false;
  std::string log, gradients, report;
  std::optional<std::string> base_type;
  std::string checkpoint;  // -m, where it is a folder of one
};

void AddFinetuneFlags(CLI::App* app, FinetuneFlags* flags);

// What follows from the flags, and what they leave open. Throws kUsage for values that are none.
void FillIn(FinetuneFlags* flags);

// Throws kBadInput when `longest`, tokens of the longest sample,
// is more than `context`.
train::TrainerOptions TrainerOptionsOf(const FinetuneFlags& flags, int64_t longest,
                                       int64_t context);

}  // namespace slm::cli
