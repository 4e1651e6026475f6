// A model made ready for a command: its name resolved, weights, tokenizer and chat template loaded.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "engine/executor.h"
#include "engine/float_model.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace slm::cli {

// Where the matrices' panels are (model/packed_weights.h).
struct PackFlags {
  bool is_not_repacked = false;
  std::string budget = "64G";
};

struct ModelOptions {
  std::string
      model;  // path, hf:user/repo[:quant], or a name of `slm models`; empty: the default model
  int64_t context = 0;
  int threads = 0;
  int batch_threads = 0;  // for prompts; 0: `threads`
  std::string k_type = "f16", v_type = "f16";
  std::string chat_template_file;
  std::vector<std::string> loras;  // FILE or FILE:SCALE
  PackFlags pack;
  bool in_floats = false;  // see LoadedModel::float_model
};

// The default model that came with the program, or "" when it is not there.
std::string BundledModelPath();

// The path that `name` means; empty: $SLM_MODEL, else the default model that came with the program.
std::string ResolveModelPath(const std::string& name);

kernels::KvType ParseKvType(const std::string& name);

// The template of a model file, or of `override_path` when that is not empty; says on stderr when
// the file has none and its family's published one is taken. Throws kBadInput when there is none.
text::ChatTemplate LoadChatTemplate(const format::GgufFile& file, const text::Tokenizer& tokenizer,
                                    const std::string& override_path);

// Says on stderr why there is no file of packed weights when there should be one.
std::shared_ptr<const engine::Model> LoadModel(const std::string& path, const PackFlags& flags,
                                               engine::Runtime* runtime, Progress* progress);

// Throws kBadInput unless distributions of both are over the same strings.
void CheckSameVocabulary(const text::Tokenizer& base, const std::string& base_name,
                         const text::Tokenizer& other, const std::string& other_name);

class LoadedModel {
 public:
  explicit LoadedModel(const ModelOptions& options);

  engine::Runtime& runtime() { return runtime_; }
  const std::shared_ptr<const engine::Model>& model() const { return model_; }
  // What the model is of, in_floats: its weights can be changed. Else nullptr.
  const std::shared_ptr<engine::FloatModel>& float_model() const { return float_model_; }
  const text::Tokenizer& tokenizer();  // made on first use: a model may have no vocabulary
  const std::vector<std::shared_ptr<const engine::Lora>>& loras() const { return loras_; }
  engine::Executor& executor() { return executor_; }
  const text::ChatTemplate& chat_template();  // loaded on first use

  // With the adapters. Says on stderr which context was chosen when the user left it open.
  engine::Session NewSession() const;

 private:
  ModelOptions options_;
  engine::Runtime runtime_;
  std::shared_ptr<engine::FloatModel> float_model_;
  std::shared_ptr<const engine::Model> model_;
  std::optional<text::Tokenizer> tokenizer_;
  std::vector<std::shared_ptr<const engine::Lora>> loras_;
  engine::Executor executor_;
  std::optional<text::ChatTemplate> chat_template_;
};

}  // namespace slm::cli
