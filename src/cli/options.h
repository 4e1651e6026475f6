// Flags that several commands share, so that one name means one thing everywhere. What AddOption
// declares, how a model is run, has a twin in the environment: SLM_ and its first long name in
// capitals, e.g. SLM_CTX_SIZE. SLM_MODEL names the default model instead, see ResolveModelPath.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "cli/loaded_model.h"
#include "engine/sampler.h"
#include "engine/speculator.h"
#include "text/text_chunks.h"

namespace slm::cli {

std::string EnvironmentName(const std::string& flags);

template <class T>
CLI::Option* AddOption(CLI::App* app, const std::string& flags, T& value, const std::string& help) {
  CLI::Option* option = app->add_option(flags, value, help)->envname(EnvironmentName(flags));
  if constexpr (!std::is_same_v<T, std::string>) option->capture_default_str();
  return option;
}

CLI::Option* AddModel(CLI::App* app, std::string* model);      // -m
void AddThreads(CLI::App* app, int* threads);                  // -t
void AddPack(CLI::App* app, PackFlags* flags);                 // --no-repack, --cache-budget
void AddLora(CLI::App* app, std::vector<std::string>* loras);  // --lora
void AddRunOptions(CLI::App* app, ModelOptions* options);      // those, and -c -t -ctk -ctv
void AddModelOptions(CLI::App* app, ModelOptions* options);    // and -m
void AddChatTemplateFile(CLI::App* app, std::string* path);
// --lookup: "auto", "off" or how many tokens are guessed at once.
void AddLookup(CLI::App* app, std::string* lookup);
// Nothing for "off"; throws kUsage for what is none of these.
std::optional<engine::Speculator> ParseLookup(const std::string& lookup);

// Checks of numbers; nan and inf are none.
CLI::Validator AboveZero();
CLI::Validator NotNegative();

void AddJson(CLI::App* app, bool* is_json);
void AddChunks(CLI::App* app, text::ChunkOptions* chunks);  // --chunks, --from-chunk

struct SamplerFlags {
  engine::SamplerOptions options;
  int64_t seed = -1;                    // -1: from the system
  std::vector<std::string> logit_bias;  // ID=BIAS
  // Checked, with the seed drawn and the breakers of DRY found.
  engine::SamplerOptions Finish(const text::Tokenizer& tokenizer) const;
};
void AddSamplerOptions(CLI::App* app, SamplerFlags* flags);

// The text of -p and -f: "-" reads standard input.
struct PromptFlags {
  std::string prompt, file;
  bool is_set = false;
  std::string Read() const;  // throws kUsage when there is none, or both
};
void AddPrompt(CLI::App* app, PromptFlags* flags);

// For before the work: throws kUsage when the file `output` is one of `inputs`, and what ResultFile
// does when it cannot be written.
void CheckOutput(const std::string& output, const std::vector<std::string>& inputs);
// The first half of it, for outputs that may be a pipe.
void CheckIsNoInput(const std::string& output, const std::vector<std::string>& inputs);

std::string ReadTextFile(const std::string& path);  // "-": standard input

// "700M", "1.5G", "700MB", or bytes: powers of 1000, as sizes are shown. Throws kUsage, naming the
// flag.
uint64_t ParseBytes(const std::string& flag, const std::string& text);

// "1,2,3"
std::vector<int32_t> ParseIds(const std::string& text);

}  // namespace slm::cli
