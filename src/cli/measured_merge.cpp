#include "cli/measured_merge.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/progress.h"
#include "cli/interrupt.h"
#include "cli/merge_report.h"
#include "cli/options.h"
#include "cli/write_merged.h"
#include "compress/importance.h"
#include "eval/compare.h"
#include "eval/speed.h"
#include "model/vocab.h"
#include "train/prepare_data.h"

namespace slm::cli {
namespace {

using eval::ExampleScore;

constexpr size_t kFewestExamples = 20;

// A file of the fine-tuned model that could be kept.
struct Candidate {
  const format::GgufFile* weights = nullptr;
  const compress::Recipe* recipe = nullptr;
  bool is_merged = true, has_imatrix = false;
};

// Candidates stand beside the result, so that the one that is picked is only renamed.
class CandidateFolder {
 public:
  explicit CandidateFolder(const std::string& output) : path_(output + ".candidates") {
    if (!std::filesystem::create_directory(path_))
      throw Error(Code::kUsage, "{} is there already; what is in it would be overwritten", path_);
  }
  ~CandidateFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  CandidateFolder(const CandidateFolder&) = delete;
  CandidateFolder& operator=(const CandidateFolder&) = delete;

  std::string operator/(size_t index) const {
    return path_ + "/" + std::to_string(index) + ".gguf";
  }

 private:
  std::string path_;
};

void CheckInterrupted() {
  if (InterruptGuard::IsInterrupted())
    throw Error(Code::kInterrupted, "stopped; nothing was written");
}

eval::Sequence SequenceOf(const train::Sample& sample) {
  std::vector<bool> is_scored;
  for (size_t i = 1; i < sample.labels.size(); ++i)
    is_scored.push_back(sample.labels[i] != train::kIgnored);
  return {sample.ids, eval::BlocksOf(is_scored)};
}

// A model to be measured, with the adapters that are beside it.
struct Measured {
  std::shared_ptr<const engine::Model> model;
  std::vector<std::shared_ptr<const engine::Lora>> loras;
  engine::Executor executor{model};
};

class MeasuredMerge {
 public:
  explicit MeasuredMerge(const MeasuredMergeFlags& flags)
      : flags_(flags), loaded_(flags.model), base_(loaded_.model()->file()) {
    std::vector<std::string> inputs = LoraPaths(flags.model.loras);
    inputs.insert(inputs.end(), {flags.data, flags.imatrix});
    for (const format::GgufFile* file : {&base_, OpenFloat()})
      if (file && file->Reads(flags.output)) inputs.push_back(flags.output);
    CheckOutput(flags.output, inputs);
    recipe_ = &ChooseRecipe();
    if (!flags.imatrix.empty()) importance_ = compress::Importance::Read(flags.imatrix);
    ReadExamples();
  }

  void Run() {
    const InterruptGuard guard;
    const CandidateFolder folder(flags_.output);
    MeasureBase();
    const std::vector<Candidate> candidates = Candidates();
    for (size_t i = 0; i < candidates.size(); ++i) Measure(candidates[i], folder / i);
    if (!flags_.has_no_speed) MeasureSpeed(candidates, folder);
    const size_t picked = Pick();
    const bool brings_nothing = rows_[0].score.loss <= rows_[kBeside].score.loss;
    const bool is_written = picked >= kMade && !brings_nothing;
    rows_[picked].is_picked = !brings_nothing;
    if (is_written) std::filesystem::rename(folder / (picked - kMade), flags_.output);
    Print(rows_[picked], is_written);
    if (brings_nothing)
      throw Error(Code::kFailed,
                  "on these examples the adapter brings nothing, so they do not tell what merging "
                  "loses, and nothing was written: give examples of what it was trained for, or "
                  "merge without -d");
    if (!is_written) throw Error(Code::kFailed, "{}", KeepBeside());
  }

 private:
  // Of the rows: the base alone, then with the adapter beside it, then what is made.
  static constexpr size_t kBeside = 1, kMade = 2;

  const format::GgufFile* OpenFloat() {
    if (flags_.float_model.empty()) return nullptr;
    float_.emplace(format::GgufFile::Open(ResolveModelPath(flags_.float_model)));
    if (const quant::Type type = CommonestType(*float_); IsQuantized(type))
      throw Error(Code::kBadInput, "{}: expected float weights, most are {}", float_->path(),
                  quant::Traits(type).name);
    CheckSameVocabulary(loaded_.tokenizer(), base_.path(), model::MakeTokenizer(*float_),
                        float_->path());
    return &*float_;
  }

  // As the base is, where nothing was asked for.
  const compress::Recipe& ChooseRecipe() const {
    if (!flags_.type.empty()) return compress::FindRecipe(flags_.type);
    const quant::Type commonest = CommonestType(base_);
    if (!IsQuantized(commonest)) return compress::FindRecipe(quant::Traits(commonest).name);
    const auto file_type = base_.metadata().FindUint("general.file_type");
    for (const compress::Recipe& recipe : compress::AllRecipes())
      if (file_type == recipe.file_type) return recipe;
    throw Error(Code::kUsage, "--type: {} does not say what it was quantized to; say it",
                base_.path());
  }

  void ReadExamples() {
    format::Dataset data = format::ReadDataset(flags_.data);
    if (flags_.limit > 0)
      data.examples.resize(std::min(data.examples.size(), static_cast<size_t>(flags_.limit)));
    const int64_t longest = loaded_.model()->hparams().context;
    const train::ExampleTokenizer tokenizer(
        loaded_.tokenizer(),
        data.format == format::DataFormat::kText ? nullptr : &loaded_.chat_template(), {longest});
    const train::PreparedPart part = train::Prepare(data, nullptr, tokenizer, {}).train;
    if (!part.cut.empty())
      throw Error(Code::kBadInput, "{}:{}: longer than the {} tokens of the model's context",
                  flags_.data, part.cut.front(), longest);
    if (!part.untrained.empty())
      std::fprintf(stderr, "slm: %zu examples have no answer and are left out\n",
                   part.untrained.size());
    if (part.samples.size() < kFewestExamples)
      throw Error(Code::kBadInput, "{}: expected at least {} examples to measure on, got {}",
                  flags_.data, kFewestExamples, part.samples.size());
    for (const train::TokenizedSample& sample : part.samples) {
      examples_.push_back(SequenceOf(sample.sample));
      context_ = std::max(context_, static_cast<int64_t>(examples_.back().ids.size()));
    }
  }

  // `model` beside the base that has the adapter beside it.
  eval::SequenceDivergences Compare(Measured* model) {
    engine::Session beside(loaded_.model(), {.context = context_, .loras = loaded_.loras()});
    eval::ModelBase reference(&loaded_.executor(), &beside);
    engine::Session session(model->model, {.context = context_, .loras = model->loras});
    const eval::Candidate candidate = {&model->executor, &session};
    const auto example = [&](int64_t i) {
      CheckInterrupted();
      return examples_[static_cast<size_t>(i)];
    };
    return eval::CompareSequences(static_cast<int64_t>(examples_.size()), example, &reference,
                                  {&candidate, 1}, {}, &progress_)
        .front();
  }

  // In turns, so that what else the machine does falls on all forms alike. Each is loaded again for
  // its turn: beside the base there is never more than one in memory.
  void MeasureSpeed(const std::vector<Candidate>& candidates, const CandidateFolder& folder) {
    constexpr uint64_t kTurns = 3;
    const auto measure = [&](Measured model, MergeRow* row) {
      CheckInterrupted();
      eval::SpeedOptions options;
      options.prompt = 256;
      options.predict = 32;
      options.repeats = 1;
      options.session.loras = model.loras;
      const eval::SpeedReport speed = eval::MeasureSpeed(model.model, &model.executor, options);
      row->prefill.push_back(speed.prefill.tokens_per_second);
      row->decode.push_back(speed.decode.tokens_per_second);
    };
    progress_.Start("timing", ProgressUnit::kCount, 0, kTurns);
    for (uint64_t turn = 0; turn < kTurns; ++turn) {
      measure({loaded_.model(), loaded_.loras()}, &rows_[kBeside]);
      for (size_t i = 0; i < candidates.size(); ++i)
        measure(Load(candidates[i], folder / i, nullptr), &rows_[kMade + i]);
      progress_.Update(turn + 1);
    }
    progress_.Finish();
  }

  template <class SumUp>
  void Add(MergeRow row, const eval::SequenceDivergences& found, const SumUp& sum_up) {
    scores_.emplace_back();
    for (const std::vector<eval::TokenDivergence>& tokens : found)
      scores_.back().push_back(sum_up(tokens));
    row.score = eval::Mean(scores_.back());
    rows_.push_back(std::move(row));
  }
  void Add(MergeRow row, const eval::SequenceDivergences& found) {
    Add(std::move(row), found, [](const auto& tokens) { return eval::SumUp(tokens); });
  }

  void MeasureBase() {
    Measured alone{loaded_.model(), {}};
    const eval::SequenceDivergences found = Compare(&alone);
    MergeRow row;
    row.name = "base alone";
    row.form = "alone";
    row.weights = base_.path();
    row.bytes = base_.file_bytes();
    Add(row, found);
    row.name = "adapter beside";
    row.form = "beside";
    row.adapter_bytes = AdapterBytes();
    Add(row, found, [](const auto& tokens) { return eval::SumUpBase(tokens); });
  }

  uint64_t AdapterBytes() const {
    uint64_t numbers = 0;
    for (const NamedLora& named : LorasFor(base_))
      for (const model::LoraMatrix& m : named.lora.matrices)
        numbers += m.a.size() + m.b.size() + m.magnitude.size();
    return numbers * sizeof(float);
  }

  std::vector<NamedLora> LorasFor(const format::GgufFile& file) const {
    const model::Hparams hparams = ReadHparams(file, loaded_.model()->family());
    return ReadLoras({file, hparams}, flags_.model.loras);
  }

  std::vector<Candidate> Candidates() const {
    std::vector<Candidate> candidates;
    const bool is_quantized = IsQuantized(recipe_->base);
    const auto add = [&](const format::GgufFile* weights, bool is_merged) {
      candidates.push_back({weights, recipe_, is_merged, false});
      if (importance_ && is_quantized) candidates.push_back({weights, recipe_, is_merged, true});
    };
    if (HasMadeStandard()) add(&base_, false);
    if (float_) add(&*float_, true);
    add(&base_, true);
    const compress::Recipe& eight_bits = compress::FindRecipe("Q8_0");
    if (is_quantized && recipe_ != &eight_bits) candidates.push_back({&base_, &eight_bits});
    return candidates;
  }

  // Of a float base that is to be quantized, quantizing it is no loss of merging.
  bool HasMadeStandard() const {
    return IsQuantized(recipe_->base) && !IsQuantized(CommonestType(base_));
  }

  void Measure(const Candidate& candidate, const std::string& path) {
    CheckInterrupted();
    MergeRow row;
    row.form = candidate.is_merged ? "merged" : "beside";
    row.name = candidate.is_merged ? "merged" : "adapter beside";
    if (float_ && candidate.weights == &*float_) row.name += " into float";
    row.name += std::string(", ") + candidate.recipe->name;
    if (candidate.has_imatrix) row.name += ", imatrix";
    row.weights = candidate.weights->path();
    row.type = candidate.recipe->name;
    row.has_imatrix = candidate.has_imatrix;
    if (!candidate.is_merged) row.adapter_bytes = AdapterBytes();
    std::vector<NamedLora> loras;
    if (candidate.is_merged) loras = LorasFor(*candidate.weights);
    compress::QuantizeOptions options;
    options.recipe = candidate.recipe;
    if (candidate.has_imatrix) {
      options.importance = &*importance_;
      options.importance_file = flags_.imatrix;
    }
    const MergedFile merged =
        WriteMerged(*candidate.weights, loras, options, path, loaded_.runtime().pool(), &progress_);
    for (const std::string& line : compress::Describe(merged.fallbacks))
      if (std::find(said_.begin(), said_.end(), line) == said_.end()) {
        std::fprintf(stderr, "slm: %s\n", line.c_str());
        said_.push_back(line);
      }
    row.bytes = std::filesystem::file_size(path);
    CheckInterrupted();
    Measured measured = Load(candidate, path, &progress_);
    Add(std::move(row), Compare(&measured));
  }

  Measured Load(const Candidate& candidate, const std::string& path, Progress* progress) {
    auto model = engine::Model::Load(path, &loaded_.runtime(), progress);
    if (model->hparams().vocab != loaded_.model()->hparams().vocab)
      throw Error(Code::kBadInput, "{}: expected logits of {} tokens, as {} has, got {}",
                  candidate.weights->path(), loaded_.model()->hparams().vocab, base_.path(),
                  model->hparams().vocab);
    std::vector<std::shared_ptr<const engine::Lora>> loras;
    if (!candidate.is_merged) loras = LoadLoras(*model, flags_.model.loras);
    return {std::move(model), std::move(loras)};
  }

  size_t Pick() {
    const size_t standard = HasMadeStandard() ? kMade : kBeside;
    std::vector<eval::Form> forms;
    for (size_t i = kBeside; i < rows_.size(); ++i) {
      MergeRow& row = rows_[i];
      row.verdict = eval::Judge(scores_[0], scores_[standard], scores_[i]);
      // With the adapter beside nothing was merged that could be regretted.
      if (row.form == "beside") row.verdict.has_regret = false;
      forms.push_back({row.bytes + row.adapter_bytes,
                       row.decode.empty() ? 0 : eval::Median(row.decode), row.score.kld,
                       row.verdict.has_regret});
    }
    return kBeside + eval::Choose(forms);
  }

  void Print(const MergeRow& picked, bool is_written) const {
    const eval::MeanScore& score = picked.score;
    const bool needs_lora = picked.form == "beside";
    if (flags_.is_json) {
      nlohmann::ordered_json json = {
          {"path", is_written ? nlohmann::ordered_json(flags_.output) : nlohmann::ordered_json()},
          {"needs_lora", needs_lora},
          {"examples", score.right.n},
          {"tokens", score.tokens}};
      for (const MergeRow& row : rows_) json["forms"].push_back(ToJson(row));
      std::printf("%s\n", json.dump().c_str());
    } else {
      std::printf(
          "%s: %lld answers of %lld tokens; divergence is from the adapter beside the base\n",
          flags_.data.c_str(), static_cast<long long>(score.right.n),
          static_cast<long long>(score.tokens));
      PrintTable(rows_);
    }
    if (!is_written) return;
    std::fprintf(stderr, "slm: wrote %s\n", flags_.output.c_str());
    if (needs_lora)
      std::fprintf(stderr, "slm: the adapter is not merged; keep it beside: %s\n",
                   ServeCommand(flags_.output).c_str());
  }

  std::string ServeCommand(const std::string& model) const {
    std::string command = "slm serve -m " + model;
    for (const std::string& lora : flags_.model.loras) command += " --lora " + lora;
    return command;
  }

  std::string KeepBeside() const {
    return "the adapter is not merged and nothing was written; keep it beside: " +
           ServeCommand(base_.path());
  }

  const MeasuredMergeFlags& flags_;
  LoadedModel loaded_;
  const format::GgufFile& base_;
  std::optional<format::GgufFile> float_;
  const compress::Recipe* recipe_ = nullptr;
  std::vector<eval::Sequence> examples_;
  std::optional<compress::Importance> importance_;
  int64_t context_ = 0;  // of the longest example
  ProgressBar progress_{STDERR_FILENO, ProgressBar::Rest::kNothing};
  std::vector<MergeRow> rows_;
  std::vector<std::vector<ExampleScore>> scores_;  // of the rows
  std::vector<std::string> said_;
};

}  // namespace

void RunMeasuredMerge(const MeasuredMergeFlags& flags) { MeasuredMerge(flags).Run(); }

}  // namespace slm::cli
