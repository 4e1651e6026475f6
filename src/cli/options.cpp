#include "cli/options.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <random>

#include "base/error.h"
#include "base/result_file.h"

namespace slm::cli {

std::string EnvironmentName(const std::string& flags) {
  const size_t at = flags.find("--");
  if (at == std::string::npos) return {};
  std::string name = "SLM_";
  for (size_t i = at + 2; i < flags.size() && flags[i] != ','; ++i)
    name += flags[i] == '-' ? '_'
                            : static_cast<char>(std::toupper(static_cast<unsigned char>(flags[i])));
  return name;
}

CLI::Option* AddModel(CLI::App* app, std::string* model) {
  return app->add_option("-m,--model", *model,
                         "GGUF file, hf:user/repo[:quant], or a name from `slm models` (default: "
                         "$SLM_MODEL, else SmolLM2-135M-Instruct)");
}

void AddThreads(CLI::App* app, int* threads) {
  AddOption(app, "-t,--threads", *threads, "Threads; 0: the cores this process may use")
      ->check(CLI::Range(0, 1024));
}

void AddModelOptions(CLI::App* app, ModelOptions* options) {
  AddModel(app, &options->model);
  AddRunOptions(app, options);
}

void AddPack(CLI::App* app, PackFlags* flags) {
  app->add_flag("--no-repack", flags->is_not_repacked,
                "Multiply from the model's file as it is: slow, without a copy for the CPU")
      ->envname("SLM_NO_REPACK");
  AddOption(app, "--cache-budget", flags->budget,
            "What all such copies may take on the disk; 0: they are made in memory");
}

void AddRunOptions(CLI::App* app, ModelOptions* options) {
  AddPack(app, &options->pack);
  AddOption(app, "-c,--ctx-size", options->context,
            "Context in tokens; 0: the model's, or what free memory allows")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 24));
  AddThreads(app, &options->threads);
  AddOption(app, "--threads-batch", options->batch_threads,
            "-tb: threads for prompts; 0: as many as --threads")
      ->check(CLI::Range(0, 1024));
  AddOption(app, "--cache-type-k", options->k_type,
            "-ctk: type of the key cache: f32, f16 (default) or q8_0");
  AddOption(app, "--cache-type-v", options->v_type,
            "-ctv: type of the value cache: f32, f16 (default) or q8_0");
  AddLora(app, &options->loras);
}

void AddLora(CLI::App* app, std::vector<std::string>* loras) {
  app->add_option("--lora", *loras,
                  "FILE[:SCALE]: an adapter, a PEFT folder or a GGUF file; repeatable")
      ->envname(EnvironmentName("--lora"))
      ->take_all();
}

void AddChatTemplateFile(CLI::App* app, std::string* path) {
  AddOption(app, "--chat-template-file", *path, "Jinja template to use instead of the model's");
}

void AddLookup(CLI::App* app, std::string* lookup) {
  *lookup = "auto";
  AddOption(app, "--lookup", *lookup,
            "Guess tokens from what was said before and check them together, to the same answer: "
            "auto (default), as far as it pays; off; or how many at once, 1 to " +
                std::to_string(engine::Speculator::kMost));
}

std::optional<engine::Speculator> ParseLookup(const std::string& lookup) {
  if (lookup == "auto") return engine::Speculator();
  if (lookup == "off") return std::nullopt;
  int64_t count = 0;
  const char* end = lookup.data() + lookup.size();
  const auto [after, problem] = std::from_chars(lookup.data(), end, count);
  if (problem != std::errc() || after != end || count < 1 || count > engine::Speculator::kMost)
    throw Error(Code::kUsage, "--lookup {}: expected auto, off, or tokens from 1 to {}", lookup,
                engine::Speculator::kMost);
  return engine::Speculator(count);
}

void AddJson(CLI::App* app, bool* is_json) { app->add_flag("--json", *is_json, "Print JSON"); }

void AddChunks(CLI::App* app, text::ChunkOptions* chunks) {
  app->add_option("--chunks", chunks->count,
                  "Chunks of the context's size to take of a text; -1: all")
      ->capture_default_str();
  app->add_option("--from-chunk", chunks->first, "Chunks of a text to pass over first")
      ->capture_default_str();
}

void AddSamplerOptions(CLI::App* app, SamplerFlags* flags) {
  engine::SamplerOptions& o = flags->options;
  AddOption(app, "--temp,--temperature", o.temperature, "Temperature; 0: greedy");
  AddOption(app, "--top-k", o.top_k, "Keep the k most likely tokens; 0: all");
  AddOption(app, "--top-p", o.top_p, "Keep the most likely tokens of this total probability");
  AddOption(app, "--min-p", o.min_p, "Keep tokens of this probability relative to the best");
  AddOption(app, "-s,--seed", flags->seed, "Seed of the sampling noise; -1: random");
  AddOption(app, "--repeat-last-n", o.penalty_last_n,
            "Tokens that penalties look back on; -1: all");
  AddOption(app, "--repeat-penalty", o.repeat_penalty, "Penalty of repeated tokens; 1: off");
  AddOption(app, "--frequency-penalty", o.frequency_penalty, "Penalty per occurrence");
  AddOption(app, "--presence-penalty", o.presence_penalty, "Penalty of what has occurred");
  AddOption(app, "--dry-multiplier", o.dry_multiplier, "DRY against repeated sequences; 0: off");
  AddOption(app, "--dry-base", o.dry_base, "Base of DRY's exponential penalty");
  AddOption(app, "--dry-allowed-length", o.dry_allowed_length, "Repetition that DRY allows");
  AddOption(app, "--dry-penalty-last-n", o.dry_penalty_last_n,
            "Tokens that DRY looks back on; -1: all");
  app->add_option("--logit-bias", flags->logit_bias,
                  "ID=BIAS, added to that token's logit; repeatable");
}

engine::SamplerOptions SamplerFlags::Finish(const text::Tokenizer& tokenizer) const {
  engine::SamplerOptions o = options;
  o.seed = seed >= 0 ? static_cast<uint64_t>(seed)
                     : (uint64_t{std::random_device()()} << 32) + std::random_device()();
  if (o.dry_multiplier > 0)
    for (int32_t id = 0; id < tokenizer.size(); ++id)
      if (tokenizer.TokenBytes(id).find_first_of("\n:\"*") != std::string_view::npos)
        o.dry_breakers.insert(id);
  for (const std::string& entry : logit_bias) {
    int32_t id = 0;
    float bias = 0;
    const char* end = entry.data() + entry.size();
    const auto [after_id, id_problem] = std::from_chars(entry.data(), end, id);
    const bool has_id = id_problem == std::errc() && after_id != end && *after_id == '=';
    if (!has_id || std::from_chars(after_id + 1, end, bias).ptr != end || after_id + 1 == end ||
        id < 0 || id >= tokenizer.size())
      throw Error(Code::kUsage, "--logit-bias {}: expected ID=BIAS with an id below {}", entry,
                  tokenizer.size());
    o.logit_bias.emplace_back(id, bias);
  }
  engine::CheckOptions(o);
  return o;
}

void AddPrompt(CLI::App* app, PromptFlags* flags) {
  app->add_option("-p,--prompt", flags->prompt, "Prompt; - reads standard input")
      ->each([flags](const std::string&) { flags->is_set = true; });
  app->add_option("-f,--file", flags->file, "File to read the prompt from; - for standard input");
}

void CheckIsNoInput(const std::string& output, const std::vector<std::string>& inputs) {
  std::error_code ignored;
  for (const std::string& input : inputs)
    if (std::filesystem::equivalent(output, input, ignored))
      throw Error(Code::kUsage, "{}: expected another file to write than the input {}", output,
                  input);
}

void CheckOutput(const std::string& output, const std::vector<std::string>& inputs) {
  CheckIsNoInput(output, inputs);
  ResultFile{output};
}

std::string ReadTextFile(const std::string& path) {
  const auto close = [](FILE* file) { return file == stdin ? 0 : std::fclose(file); };
  const std::unique_ptr<FILE, decltype(close)> file(
      path == "-" ? stdin : std::fopen(path.c_str(), "rb"), close);
  if (!file) throw Error(Code::kFailed, "{}: cannot open: {}", path, std::strerror(errno));
  std::string text;
  char part[1 << 16];
  while (const size_t count = std::fread(part, 1, sizeof part, file.get()))
    text.append(part, count);
  if (std::ferror(file.get()))
    throw Error(Code::kFailed, "{}: cannot read: {}", path, std::strerror(errno));
  return text;
}

std::string PromptFlags::Read() const {
  if (is_set == !file.empty()) throw Error(Code::kUsage, "give the prompt by -p or by -f");
  if (!file.empty()) return ReadTextFile(file);
  return prompt == "-" ? ReadTextFile("-") : prompt;
}

namespace {

CLI::Validator Number(const char* expected, bool (*is_right)(double)) {
  return {[=](const std::string& text) {
            double value = 0;
            const bool is_number = CLI::detail::lexical_cast(text, value) && std::isfinite(value);
            return is_number && is_right(value)
                       ? ""
                       : fmt::format("expected {}, got {}", expected, text);
          },
          "NUMBER"};
}

}  // namespace

CLI::Validator AboveZero() {
  return Number("a number above 0", [](double x) { return x > 0; });
}

CLI::Validator NotNegative() {
  return Number("0 or more", [](double x) { return x >= 0; });
}

uint64_t ParseBytes(const std::string& flag, const std::string& text) {
  size_t end = 0;
  double value = 0;
  try {
    value = std::stod(text, &end);
  } catch (const std::exception&) {
    end = 0;
  }
  std::string unit = text.substr(end);
  if (unit.ends_with('B') || unit.ends_with('b')) unit.pop_back();
  const double scale = unit.empty()                 ? 1
                       : unit == "k" || unit == "K" ? 1e3
                       : unit == "M"                ? 1e6
                       : unit == "G"                ? 1e9
                       : unit == "T"                ? 1e12
                                                    : 0;
  if (end == 0 || scale == 0 || !(value >= 0) || value * scale > 1e15)
    throw Error(Code::kUsage, "{} {}: expected a size as 700M or 1.5G", flag, text);
  return static_cast<uint64_t>(value * scale);
}

std::vector<int32_t> ParseIds(const std::string& text) {
  std::vector<int32_t> ids;
  const char* at = text.data();
  const char* end = at + text.size();
  const auto skip_spaces = [&] { at = std::find_if(at, end, [](char c) { return c != ' '; }); };
  for (skip_spaces(); at < end; skip_spaces()) {
    int32_t id = 0;
    const auto [after, problem] = std::from_chars(at, end, id);
    at = after;
    skip_spaces();
    if (problem != std::errc() || (at != end && *at != ','))
      throw Error(Code::kUsage, "\"{}\": expected token ids like 1,2,3", text);
    ids.push_back(id);
    if (at != end) ++at;
  }
  return ids;
}

}  // namespace slm::cli
