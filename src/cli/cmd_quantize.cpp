#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/cpu.h"
#include "base/error.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "compress/auto_types.h"
#include "compress/calibrate.h"
#include "compress/feedback_quantizer.h"
#include "compress/importance.h"
#include "kernels/table.h"
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
  std::string method;  // empty: kRounding, kErrorFeedback for an automatic mix
  std::string target_size;
  double max_kld = 0;
  std::vector<std::string> tensor_types;
  int threads = 0;
  bool is_forced = false, is_json = false;
};

bool IsAuto(const Flags& flags) { return flags.type == "auto"; }

// Beginnings of some chunks: predictions at the end of short texts are as good a measure as those
// of long ones, and sooner computed.
constexpr int64_t kProbes = 8, kProbeTokens = 128, kProbeScored = 32;

// Chunks of the calibration text, spread over all of it: its parts differ. What an automatic mix
// is judged by is not among what it was calibrated on.
struct CalibrationText {
  text::TextChunks chunks;
  std::vector<std::vector<int32_t>> probes;

  std::vector<std::vector<int32_t>> Sequences() const {
    std::vector<std::vector<int32_t>> sequences;
    for (int64_t i = 0; i < chunks.count(); ++i) sequences.push_back(chunks.Input(i));
    return sequences;
  }
};

CalibrationText ReadCalibrationText(const Flags& flags, const text::Tokenizer& tokenizer) {
  std::string text;
  for (const std::string& path : flags.texts) text += ReadTextFile(path);
  constexpr int64_t kSize = engine::Executor::kMaxRows;
  const text::TextChunks all(tokenizer, text, {.size = kSize});
  const int64_t probes =
      IsAuto(flags) ? std::clamp<int64_t>(all.count() / 4, 1, kProbes) : int64_t{0};
  const int64_t count =
      flags.chunks > 0 ? std::min(flags.chunks + probes, all.count()) : all.count();
  std::vector<std::vector<int32_t>> held_out;
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t chunk = i * all.count() / count;
    const auto taken = static_cast<int64_t>(held_out.size());
    if (taken < probes && i == taken * count / probes) {
      held_out.push_back(all.Input(chunk));
      held_out.back().resize(kProbeTokens);
    } else {
      const std::span<const int32_t> part = all.Ids(chunk);
      ids.insert(ids.end(), part.begin(), part.end());
    }
  }
  return {text::TextChunks(tokenizer, std::move(ids), kSize), std::move(held_out)};
}

std::string TypeName(quant::Type type) { return quant::Traits(type).name; }

// "blk.0.attn_q.weight" or "blk.0.attn_q.weight and 209 more"
std::string Some(std::span<const compress::TensorPlan* const> entries) {
  std::string text = entries.front()->tensor->name;
  if (entries.size() > 1) text += fmt::format(" and {} more", entries.size() - 1);
  return text;
}

void SayNotices(std::span<const compress::TensorPlan> plan,
                const compress::QuantizeOptions& options) {
  if (const auto again = compress::Requantized(plan); !again.empty())
    std::fprintf(stderr,
                 "slm: %s: quantized already; the new error adds to the old one. Better start "
                 "from the float model\n",
                 Some(again).c_str());
  if (const auto unknown = compress::WithoutImportance(plan, options); !unknown.empty())
    std::fprintf(stderr, "slm: %s: not in the importance matrix, so all columns count alike\n",
                 Some(unknown).c_str());
  for (const std::string& line : compress::Describe(compress::Fallbacks(plan)))
    std::fprintf(stderr, "slm: %s\n", line.c_str());
}

ordered_json Report(const Flags& flags, uint64_t bytes_before,
                    std::span<const compress::TensorPlan> plan, double seconds) {
  uint64_t data = 0;
  int64_t elements = 0;
  std::map<std::string, uint64_t> by_type;
  ordered_json tensors = ordered_json::array();
  for (const compress::TensorPlan& entry : plan) {
    data += entry.bytes();
    elements += entry.tensor->elements;
    by_type[TypeName(entry.type)] += entry.bytes();
    tensors.push_back({{"name", entry.tensor->name},
                       {"from", TypeName(entry.tensor->type)},
                       {"type", TypeName(entry.type)},
                       {"bytes", entry.bytes()}});
  }
  return {{"file", flags.out},
          {"method", flags.method},
          {"bytes_before", bytes_before},
          {"bytes", std::filesystem::file_size(flags.out)},
          {"bits_per_weight", 8.0 * static_cast<double>(data) / static_cast<double>(elements)},
          {"seconds", seconds},
          {"peak_rss_bytes", PeakResidentBytes()},
          {"bytes_by_type", by_type},
          {"tensors", tensors}};
}

// "blk.3.ffn_down.weight": "ffn_down"
std::string RoleOf(const std::string& name) {
  std::string role = name.starts_with("blk.") ? name.substr(name.find('.', 4) + 1) : name;
  if (role.ends_with(".weight")) role.resize(role.size() - 7);
  return role;
}

// Why the types are as they are: by role, what the tensors cost when they alone are made worse.
void PrintReasons(const ordered_json& r) {
  struct Row {
    int count = 0;
    double probe_kld = 0;
    std::map<std::string, int> types;
  };
  std::map<std::string, Row> rows;
  for (const ordered_json& tensor : r.at("tensors")) {
    if (!tensor.contains("probe_kld")) continue;
    Row& row = rows[RoleOf(tensor.at("name"))];
    ++row.count;
    row.probe_kld += tensor.at("probe_kld").get<double>();
    ++row.types[tensor.at("type").get<std::string>()];
  }
  std::printf(
      "mean KL divergence: expected %.5f, measured %.5f nats on parts of the calibration "
      "text that nothing else was measured on\n%-12s %5s %16s  types\n",
      r.at("expected_kld").get<double>(), r.at("measured_kld").get<double>(), "role", "count",
      "alone in 4 bits");
  for (const auto& [role, row] : rows) {
    std::string types;
    for (const auto& [type, count] : row.types)
      types += (types.empty() ? "" : ", ") + fmt::format("{} x {}", count, type);
    std::printf("%-12s %5d %16.5f  %s\n", role.c_str(), row.count, row.probe_kld, types.c_str());
  }
}

void Print(const ordered_json& r) {
  std::printf("%s: %s from %s, %.2f bits per weight, %.1f s\n",
              r.at("file").get<std::string>().c_str(), FormatBytes(r.at("bytes")).c_str(),
              FormatBytes(r.at("bytes_before")).c_str(), r.at("bits_per_weight").get<double>(),
              r.at("seconds").get<double>());
  for (const auto& [type, bytes] : r.at("bytes_by_type").items())
    std::printf("  %-7s %10s\n", type.c_str(), FormatBytes(bytes).c_str());
  if (r.contains("expected_kld")) PrintReasons(r);
}

class Job {
 public:
  explicit Job(const Flags& flags)
      : flags_(flags), progress_(STDERR_FILENO, ProgressBar::Rest::kNothing) {
    if (!IsAuto(flags)) options_.recipe = &compress::FindRecipe(flags.type);
    if (options_.recipe && options_.recipe->base == quant::Type::kNF4)
      throw Error(Code::kUsage, "NF4 is for training: slm convert and slm finetune make it");
    if (flags_.method.empty()) flags_.method = IsAuto(flags) ? kErrorFeedback : kRounding;
    if (IsAuto(flags) != (!flags.target_size.empty() || flags.max_kld > 0) ||
        (!flags.target_size.empty() && flags.max_kld > 0))
      throw Error(Code::kUsage, "the type auto goes with one of --target-size and --max-kld");
    if (!flags.target_size.empty()) {
      limit_.file_bytes = ParseBytes("--target-size", flags.target_size);
      if (limit_.file_bytes == 0)
        throw Error(Code::kUsage, "--target-size: expected a size above 0");
    }
    if (flags.max_kld > 0) limit_.kld = flags.max_kld;
    if ((IsAuto(flags) || HasFeedback()) && flags.texts.empty())
      throw Error(Code::kUsage, "{} measures on a calibration text: -f FILE",
                  IsAuto(flags) ? "auto" : "--method error-feedback");
    if (!IsAuto(flags) && !HasFeedback() && !flags.texts.empty())
      throw Error(Code::kUsage,
                  "-f is for --method error-feedback and auto; slm imatrix makes an importance "
                  "matrix of a text");
    if (flags.chunks == 0 || flags.chunks < -1)
      throw Error(Code::kUsage, "expected --chunks of at least 1, or -1, got {}", flags.chunks);
    std::vector<std::string> inputs = flags.texts;
    if (!flags.imatrix.empty()) inputs.push_back(flags.imatrix);
    CheckOutput(flags.out, inputs);
    options_.allows_non_finite = flags.is_forced;
    for (const std::string& text : flags.tensor_types)
      options_.overrides.push_back(compress::TypeOverride::Parse(text));
    if (!flags.imatrix.empty()) {
      importance_ = compress::Importance::Read(flags.imatrix);
      options_.importance = &*importance_;
      options_.importance_file = flags.imatrix;
    }
  }

  void Run() {
    const auto start = std::chrono::steady_clock::now();
    const std::string in = ResolveModelPath(flags_.in);
    file_.emplace(format::GgufFile::Open(in));
    if (file_->Reads(flags_.out))
      throw Error(Code::kUsage, "{} is what is read; name another file for the result", flags_.out);
    const uint64_t bytes_before = file_->file_bytes();
    if (IsAuto(flags_)) {
      SetMetadataBytes();
      if (limit_.file_bytes)  // throws now, not after minutes of measuring
        compress::ChooseTypes(*file_, compress::TypesToChooseFrom(*file_), options_.overrides,
                              limit_);
    } else {
      plan_ = compress::PlanQuantization(*file_, options_);
      SayNotices(plan_, options_);
    }
    if (IsAuto(flags_) || HasFeedback()) {
      file_.reset();
      runtime_.emplace(flags_.threads);
      model_ = engine::Model::Load(in, &*runtime_, &progress_);
      text_.emplace(ReadCalibrationText(flags_, model::MakeTokenizer(model_->file())));
      if (IsAuto(flags_)) {
        RunAuto();
      } else {
        plan_ = compress::PlanQuantization(model_->file(), options_);
        Write(flags_.out);
      }
    } else {
      pool_.emplace(flags_.threads > 0 ? flags_.threads : DefaultThreads());
      Write(flags_.out);
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    ordered_json json = Report(flags_, bytes_before, plan_, seconds.count());
    if (IsAuto(flags_)) AddReasons(&json);
    if (flags_.is_json)
      std::printf("%s\n", json.dump().c_str());
    else
      Print(json);
  }

 private:
  bool HasFeedback() const { return flags_.method == kErrorFeedback; }

  void Write(const std::string& path) {
    if (HasFeedback())
      compress::QuantizeWithFeedback(model_, plan_, options_, text_->Sequences(), path, &progress_);
    else if (model_)
      compress::QuantizeFile(model_->file(), plan_, options_, path, runtime_->kernels(),
                             runtime_->pool(), &progress_);
    else
      compress::QuantizeFile(*file_, plan_, options_, path, kernels::Kernels(), &*pool_,
                             &progress_);
  }

  // A few keys of numbers, and what is noted of the importance matrix.
  void SetMetadataBytes() {
    limit_.metadata_bytes = 512 + flags_.imatrix.size();
    const auto& datasets = importance_ ? importance_->origin().datasets : flags_.texts;
    for (const std::string& name : datasets) limit_.metadata_bytes += name.size();
  }

  void RunAuto() {
    if (!importance_) {
      compress::ImportanceCollector collector(runtime_->pool());
      engine::Executor executor(model_);
      const text::TextChunks& chunks = text_->chunks;
      engine::Session session(model_, {.context = chunks.size()});
      compress::Calibrate(chunks, true, &executor, &session, &collector, &progress_);
      importance_ =
          collector.Finish(flags_.in, {flags_.texts, static_cast<uint32_t>(chunks.count()),
                                       static_cast<uint32_t>(chunks.size())});
      options_.importance = &*importance_;
    }
    compress::Probe probe(model_, text_->probes, kProbeScored);
    sensitivities_ = compress::MeasureSensitivities(model_, *importance_, &probe, &progress_);
    const auto choose = [&](const compress::AutoLimit& limit) {
      compress::AutoTypes types =
          compress::ChooseTypes(model_->file(), sensitivities_, options_.overrides, limit);
      plan_ = std::move(types.plan);
      expected_kld_ = types.expected_kld;
      options_.recipe = types.nearest;
    };
    const auto measure = [&](const std::string& path) {
      measured_kld_ = probe.MeasureModel(engine::Model::Load(path, &*runtime_, &progress_));
    };
    if (limit_.file_bytes) {
      choose(limit_);
      SayNotices(plan_, options_);
      Write(flags_.out);
      measure(flags_.out);
      return;
    }
    // Expectations are sums over tensors by themselves; what comes out is measured, and the
    // expectation that is asked for corrected by it.
    constexpr int kRounds = 4;
    const std::string candidate = flags_.out + ".candidate";
    if (std::filesystem::exists(candidate))
      throw Error(Code::kUsage, "{} exists; it would be overwritten on the way", candidate);
    compress::AutoLimit limit = limit_;
    std::vector<compress::TensorPlan> best;
    double best_expected = 0, best_measured = 0;
    for (int round = 0; round < kRounds; ++round) {
      choose(limit);
      Write(candidate);
      measure(candidate);
      const bool fits = measured_kld_ <= *limit_.kld;
      if (fits && (best.empty() || Bytes(plan_) < Bytes(best))) {
        std::filesystem::rename(candidate, flags_.out);
        best = plan_;
        best_expected = expected_kld_;
        best_measured = measured_kld_;
      } else {
        std::filesystem::remove(candidate);
      }
      if (fits && measured_kld_ > 0.8 * *limit_.kld) break;
      if (measured_kld_ <= 0) break;
      limit.kld = expected_kld_ * 0.93 * *limit_.kld / measured_kld_;
      if (round == kRounds - 2 && best.empty()) limit.kld = 0;  // the best that there is
    }
    if (best.empty())
      throw Error(Code::kFailed,
                  "a divergence of {} was asked for, and {:.5f} was reached; some thousandths come "
                  "from rounded activations alone",
                  *limit_.kld, measured_kld_);
    plan_ = std::move(best);
    SayNotices(plan_, options_);
    expected_kld_ = best_expected;
    measured_kld_ = best_measured;
  }

  static uint64_t Bytes(std::span<const compress::TensorPlan> plan) {
    uint64_t bytes = 0;
    for (const compress::TensorPlan& entry : plan) bytes += entry.bytes();
    return bytes;
  }

  // What each tensor was found to cost, beside the type it got.
  void AddReasons(ordered_json* json) const {
    (*json)["expected_kld"] = expected_kld_;
    (*json)["measured_kld"] = measured_kld_;
    (*json)["calibration"] = flags_.texts;
    std::map<std::string, const compress::TensorSensitivity*> by_name;
    for (const compress::TensorSensitivity& s : sensitivities_) by_name[s.tensor->name] = &s;
    for (ordered_json& tensor : (*json)["tensors"]) {
      const auto found = by_name.find(tensor["name"].get<std::string>());
      if (found == by_name.end()) continue;
      tensor["probe_kld"] = found->second->probe_kld;
      tensor["probe_type"] = TypeName(found->second->probe_type);
      ordered_json options = ordered_json::object();
      for (const compress::TypeOption& option : found->second->options)
        options[TypeName(option.type)] = option.cost;
      tensor["expected_kld_by_type"] = options;
    }
  }

  Flags flags_;
  ProgressBar progress_;
  compress::QuantizeOptions options_;
  compress::AutoLimit limit_;
  std::optional<compress::Importance> importance_;
  std::optional<format::GgufFile> file_;  // without a model
  std::optional<ThreadPool> pool_;
  std::optional<engine::Runtime> runtime_;
  std::shared_ptr<const engine::Model> model_;
  std::optional<CalibrationText> text_;
  std::vector<compress::TensorPlan> plan_;
  std::vector<compress::TensorSensitivity> sensitivities_;
  double expected_kld_ = 0, measured_kld_ = 0;
};

void Run(const Flags& flags) { Job(flags).Run(); }

}  // namespace

Work DeclareQuantize(CLI::App* app) {
  auto flags = std::make_shared<Flags>();
  std::string types;
  for (const compress::Recipe& recipe : compress::AllRecipes())
    types += (types.empty() ? "" : ", ") + std::string(recipe.name);
  app->add_option("in", flags->in, "GGUF file or model name")->required();
  app->add_option("out", flags->out, "The file to write")->required();
  app->add_option("type", flags->type, "auto, or " + types)->required();
  app->add_option("--imatrix", flags->imatrix, "Importance matrix, from slm imatrix or llama.cpp");
  app->add_option("-f,--file", flags->texts, "Calibration text; may be repeated");
  app->add_option("--chunks", flags->chunks,
                  "Pieces of 512 tokens of the calibration text, spread over it; -1: all")
      ->needs("--file")
      ->capture_default_str();
  app->add_option("--method", flags->method,
                  "rounding (default), or error-feedback (default with auto): what rounding loses "
                  "in one column the next ones "
                  "make up for, measured on -f")
      ->check(CLI::IsMember({kRounding, kErrorFeedback}));
  app->add_option("--target-size", flags->target_size,
                  "With auto: the size of the file, as in 700M; types are chosen to lose least");
  app->add_option("--max-kld", flags->max_kld,
                  "With auto: the mean KL divergence from the float model; the smallest file that "
                  "keeps it")
      ->check(AboveZero());
  app->add_option(
      "--tensor-type", flags->tensor_types,
      "REGEX=TYPE for tensors whose name it finds something in, e.g. "
      "ffn_down=q6_k or 'blk\\.[0-3]\\.=q8_0'; may be repeated, the first match counts");
  app->add_flag("--force", flags->is_forced, "Take weights that are NaN or infinite");
  AddThreads(app, &flags->threads);
  AddJson(app, &flags->is_json);
  return [flags] { Run(*flags); };
}

}  // namespace slm::cli
