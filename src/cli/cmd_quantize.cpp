#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/cpu.h"
#include "base/error.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "compress/feedback_quantizer.h"
#include "compress/importance.h"
#include "model/vocab.h"
#include "text/text_chunks.h"

namespace slm::cli {
namespace {

using nlohmann::ordered_json;

constexpr const char* kRounding = "rounding";
constexpr const char* kErrorFeedback = "error-feedback";

struct Flags {
  std::string in, out, type;
  std::string imatrix;
  std::vector<std::string> texts;
  int64_t chunks = 32;
  std::string method = kRounding;
  std::vector<std::string> tensor_types;
  int threads = 0;
  bool is_forced = false, is_json = false;
};

// Chunks of the calibration text, spread over all of it: its parts differ.
std::vector<std::vector<int32_t>> Sequences(const Flags& flags, const text::Tokenizer& tokenizer) {
  std::string text;
  for (const std::string& path : flags.texts) text += ReadTextFile(path);
  const text::TextChunks chunks(tokenizer, text, {.size = engine::Executor::kMaxRows});
  const int64_t count = flags.chunks > 0 ? std::min(flags.chunks, chunks.count()) : chunks.count();
  std::vector<std::vector<int32_t>> sequences;
  for (int64_t i = 0; i < count; ++i) sequences.push_back(chunks.Input(i * chunks.count() / count));
  return sequences;
}

std::string TypeName(quant::Type type) { return quant::Traits(type).name; }

// "blk.0.attn_q.weight" or "blk.0.attn_q.weight and 209 more"
std::string Some(std::span<const compress::TensorPlan* const> entries) {
  std::string text = entries.front()->tensor->name;
  if (entries.size() > 1) text += fmt::format(" and {} more", entries.size() - 1);
  return text;
}

void SayNotices(std::span<const compress::TensorPlan> plan) {
  if (const auto again = compress::Requantized(plan); !again.empty())
    std::fprintf(stderr,
                 "slm: %s: quantized already; the new error adds to the old one. Better start "
                 "from the float model\n",
                 Some(again).c_str());
  std::map<std::pair<quant::Type, quant::Type>, std::vector<const compress::TensorPlan*>> groups;
  for (const compress::TensorPlan* entry : compress::FellBack(plan))
    groups[{entry->wanted, entry->type}].push_back(entry);
  for (const auto& [types, entries] : groups)
    std::fprintf(stderr, "slm: %s: rows of %lld do not divide by %lld, so %s instead of %s\n",
                 Some(entries).c_str(), static_cast<long long>(entries.front()->tensor->dims[0]),
                 static_cast<long long>(quant::Traits(types.first).block_size),
                 TypeName(types.second).c_str(), TypeName(types.first).c_str());
}

ordered_json Report(const Flags& flags, std::span<const compress::TensorPlan> plan,
                    double seconds) {
  uint64_t before = 0, after = 0;
  int64_t elements = 0;
  std::map<std::string, uint64_t> by_type;
  ordered_json tensors = ordered_json::array();
  for (const compress::TensorPlan& entry : plan) {
    before += entry.tensor->bytes();
    after += entry.bytes();
    elements += entry.tensor->elements;
    by_type[TypeName(entry.type)] += entry.bytes();
    tensors.push_back({{"name", entry.tensor->name},
                       {"from", TypeName(entry.tensor->type)},
                       {"type", TypeName(entry.type)},
                       {"bytes", entry.bytes()}});
  }
  return {{"file", flags.out},
          {"method", flags.method},
          {"bytes_before", before},
          {"bytes", after},
          {"bits_per_weight", 8.0 * static_cast<double>(after) / static_cast<double>(elements)},
          {"seconds", seconds},
          {"peak_rss_bytes", PeakResidentBytes()},
          {"bytes_by_type", by_type},
          {"tensors", tensors}};
}

void Print(const ordered_json& r) {
  std::printf("%s: %s from %s, %.2f bits per weight, %.1f s\n",
              r.at("file").get<std::string>().c_str(), FormatBytes(r.at("bytes")).c_str(),
              FormatBytes(r.at("bytes_before")).c_str(), r.at("bits_per_weight").get<double>(),
              r.at("seconds").get<double>());
  for (const auto& [type, bytes] : r.at("bytes_by_type").items())
    std::printf("  %-7s %10s\n", type.c_str(), FormatBytes(bytes).c_str());
}

void Run(const Flags& flags) {
  compress::QuantizeOptions options;
  options.recipe = &compress::FindRecipe(flags.type);
  options.allows_non_finite = flags.is_forced;
  for (const std::string& text : flags.tensor_types)
    options.overrides.push_back(compress::TypeOverride::Parse(text));
  std::optional<compress::Importance> importance;
  if (!flags.imatrix.empty()) {
    importance = compress::Importance::Read(flags.imatrix);
    options.importance = &*importance;
    options.importance_file = flags.imatrix;
  }
  const bool has_feedback = flags.method == kErrorFeedback;
  if (has_feedback && flags.texts.empty())
    throw Error(Code::kUsage, "--method {} measures on a calibration text: -f FILE",
                kErrorFeedback);

  const auto start = std::chrono::steady_clock::now();
  const std::string in = ResolveModelPath(flags.in);
  ProgressBar progress(STDERR_FILENO, ProgressBar::Rest::kNothing);
  std::vector<compress::TensorPlan> plan;
  const auto make_plan = [&](const format::GgufFile& file) {
    plan = compress::PlanQuantization(file, options);
    SayNotices(plan);
  };
  const auto report = [&] {
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    const ordered_json json = Report(flags, plan, seconds.count());
    if (flags.is_json)
      std::printf("%s\n", json.dump().c_str());
    else
      Print(json);
  };
  if (has_feedback) {
    engine::Runtime runtime(flags.threads);
    const auto model = engine::Model::Load(in, &runtime, &progress);
    make_plan(model->file());
    compress::QuantizeWithFeedback(model, plan, options,
                                   Sequences(flags, model::MakeTokenizer(model->file())), flags.out,
                                   &progress);
    report();
  } else {
    const auto file = format::GgufFile::Open(in);
    ThreadPool pool(flags.threads > 0 ? flags.threads : DefaultThreads());
    make_plan(file);
    compress::QuantizeFile(file, plan, options, flags.out, &pool, &progress);
    report();
  }
}

}  // namespace

void DeclareQuantize(CLI::App* app) {
  auto flags = std::make_shared<Flags>();
  std::string types;
  for (const compress::Recipe& recipe : compress::AllRecipes())
    types += (types.empty() ? "" : ", ") + std::string(recipe.name);
  app->add_option("in", flags->in, "GGUF file or model name")->required();
  app->add_option("out", flags->out, "The file to write")->required();
  app->add_option("type", flags->type, types)->required();
  app->add_option("--imatrix", flags->imatrix, "Importance matrix, from slm imatrix or llama.cpp");
  app->add_option("-f,--file", flags->texts, "Calibration text; may be repeated");
  app->add_option("--chunks", flags->chunks,
                  "Pieces of 512 tokens of the calibration text, spread over it; -1: all")
      ->capture_default_str();
  app->add_option("--method", flags->method,
                  "rounding, or error-feedback: what rounding loses in one column the next ones "
                  "make up for, measured on -f")
      ->check(CLI::IsMember({kRounding, kErrorFeedback}))
      ->capture_default_str();
  app->add_option(
      "--tensor-type", flags->tensor_types,
      "REGEX=TYPE for tensors whose name it finds something in, e.g. "
      "ffn_down=q6_k or 'blk\\.[0-3]\\.=q8_0'; may be repeated, the first match counts");
  app->add_flag("--force", flags->is_forced, "Take weights that are NaN or infinite");
  AddThreads(app, &flags->threads);
  AddJson(app, &flags->is_json);
  app->parse_complete_callback([flags] { Run(*flags); });
}

}  // namespace slm::cli
