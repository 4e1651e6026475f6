#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/cpu.h"
#include "base/error.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/compare_report.h"
#include "cli/loras.h"
#include "cli/options.h"
#include "eval/compare.h"
#include "eval/npy_writer.h"
#include "model/vocab.h"

namespace slm::cli {
namespace {

struct Flags {
  ModelOptions options;  // of all models but their names; adapters of all but the base
  std::string base, base_logits;
  std::vector<std::string> files;
  std::string text, save_logits, logits_file;
  text::ChunkOptions chunks;
  bool has_no_speed = false, is_json = false;
};

// One of the models of a comparison; all share a runtime.
class ComparedModel {
 public:
  ComparedModel(const std::string& path, const PackFlags& pack,
                const std::vector<std::string>& loras, engine::Runtime* runtime, Progress* progress)
      : model_(LoadModel(path, pack, runtime, progress)),
        loras_(LoadLoras(*model_, loras)),
        tokenizer_(model::MakeTokenizer(model_->file())),
        executor_(model_) {}

  const engine::Model& model() const { return *model_; }
  const text::Tokenizer& tokenizer() const { return tokenizer_; }
  engine::Executor* executor() { return &executor_; }
  engine::Session* NewSession(engine::SessionOptions options) {
    options.loras = loras_;
    session_.emplace(model_, options);
    return &*session_;
  }

  Compared Report(const std::string& name, bool with_speed, const engine::SessionOptions& session,
                  Progress* progress) {
    Compared report;
    report.file = name;
    report.bytes = model_->file().file_bytes();
    double weights = 0, data = 0;
    for (const format::GgufTensor& tensor : model_->file().tensors()) {
      weights += static_cast<double>(tensor.elements);
      data += static_cast<double>(tensor.bytes());
    }
    report.bits_per_weight = 8 * data / weights;
    if (with_speed) {
      eval::SpeedOptions options;
      options.repeats = 3;
      options.session = {0, session.k_type, session.v_type, loras_};
      report.speed = eval::MeasureSpeed(model_, &executor_, options, progress);
    }
    return report;
  }

 private:
  std::shared_ptr<const engine::Model> model_;
  std::vector<std::shared_ptr<const engine::Lora>> loras_;
  text::Tokenizer tokenizer_;
  engine::Executor executor_;
  std::optional<engine::Session> session_;
};

void CheckVocabSize(const ComparedModel& model, int64_t expected, const std::string& base_name) {
  if (model.model().hparams().vocab != expected)
    throw Error(Code::kBadInput, "{}: expected logits of {} tokens, as {} has, got {}",
                model.model().file().path(), expected, base_name, model.model().hparams().vocab);
}

class Comparison {
 public:
  explicit Comparison(const Flags& flags)
      : flags_(flags), runtime_(flags.options.threads, flags.options.batch_threads) {
    session_options_.context = flags.options.context;
    session_options_.k_type = ParseKvType(flags.options.k_type);
    session_options_.v_type = ParseKvType(flags.options.v_type);
    for (const std::string& file : flags.files) {
      paths_.push_back(ResolveModelPath(file));
      bytes_.push_back(format::GgufFile::Open(paths_.back()).file_bytes());
    }
  }

  void Run() {
    OpenBase();
    size_t next = 0;
    do {  // as many files at a time as there is memory for
      LoadGroup(&next);
      RunGroup();
    } while (next < paths_.size());
    Print();
  }

 private:
  void OpenBase() {
    const bool is_stored = !flags_.base_logits.empty();
    base_name_ = is_stored ? flags_.base_logits : ResolveModelPath(flags_.base);
    std::vector<std::string> inputs = paths_;
    inputs.insert(inputs.end(), {base_name_, flags_.text});
    for (const std::string& output : {flags_.save_logits, flags_.logits_file})
      if (!output.empty()) CheckOutput(output, inputs);
    if (!is_stored) {
      const std::string text = ReadTextFile(flags_.text);
      base_.emplace(base_name_, flags_.options.pack, std::vector<std::string>(), &runtime_,
                    &progress_);
      chunks_.emplace(base_->tokenizer(), text, flags_.chunks);
      vocab_ = base_->model().hparams().vocab;
      if (!flags_.save_logits.empty()) saved_.emplace(flags_.save_logits, *chunks_, vocab_);
    } else {
      stored_.emplace(eval::BaseLogits::Open(base_name_));
      vocab_ = stored_->vocab();
      if (session_options_.context != 0 && session_options_.context != stored_->chunk_size())
        throw Error(Code::kUsage, "{}: its chunks have {} tokens, -c {} was given", base_name_,
                    stored_->chunk_size(), session_options_.context);
      session_options_.context = stored_->chunk_size();
    }
  }

  void LoadGroup(size_t* next) {
    group_.clear();
    const auto fits = [&] {
      uint64_t mapped = base_ ? base_->model().packed().mapped_bytes() : 0;
      for (const auto& model : group_) mapped += model->model().packed().mapped_bytes();
      const uint64_t available = GetMemoryInfo().available_bytes;
      return bytes_[*next] < (available - std::min(available, mapped)) / 2;
    };
    while (*next < paths_.size() && (group_.empty() || fits())) {
      group_.push_back(std::make_unique<ComparedModel>(
          paths_[*next], flags_.options.pack, flags_.options.loras, &runtime_, &progress_));
      const ComparedModel& model = *group_.back();
      CheckVocabSize(model, vocab_, base_name_);
      if (base_)
        CheckSameVocabulary(base_->tokenizer(), base_name_, model.tokenizer(),
                            model.model().file().path());
      if (!chunks_) chunks_.emplace(model.tokenizer(), StoredIds(), stored_->chunk_size());
      ++*next;
    }
  }

  // Those of the first --chunks.
  std::vector<int32_t> StoredIds() const {
    std::vector<int32_t> ids = stored_->ids();
    if (flags_.chunks.count > stored_->chunks())
      throw Error(Code::kBadInput, "{}: it has {} chunks, {} were asked for", base_name_,
                  stored_->chunks(), flags_.chunks.count);
    if (flags_.chunks.count != -1)
      ids.resize(static_cast<size_t>(flags_.chunks.count * stored_->chunk_size()));
    return ids;
  }

  void RunGroup() {
    std::vector<eval::Candidate> candidates;
    for (const auto& model : group_)
      candidates.push_back({model->executor(), model->NewSession(session_options_)});
    std::unique_ptr<eval::Base> base;
    if (stored_)
      base = std::make_unique<eval::StoredBase>(&*stored_, runtime_.pool());
    else
      base = std::make_unique<eval::ModelBase>(
          base_->executor(), base_->NewSession(session_options_), saved_ ? &*saved_ : nullptr);
    std::optional<eval::NpyWriter> logits;
    eval::RowSink sink;
    if (!flags_.logits_file.empty()) {
      const int64_t shape[] = {chunks_->count() * chunks_->scored(), 2, vocab_};
      logits.emplace(flags_.logits_file, shape);
      sink = [&](size_t, const eval::LogProbs& of_base, const eval::LogProbs& of_model) {
        logits->Append(of_base.values);
        logits->Append(of_model.values);
      };
    }
    const std::vector<eval::Divergence> found =
        eval::Compare(*chunks_, base.get(), candidates, sink, &progress_);
    if (logits) logits->Finish();
    if (saved_) saved_->Finish();
    saved_.reset();
    for (size_t i = 0; i < group_.size(); ++i) {
      files_.push_back(group_[i]->Report(flags_.files[files_.size()], !flags_.has_no_speed,
                                         session_options_, &progress_));
      files_.back().divergence = found[i];
    }
  }

  void Print() {
    if (flags_.is_json) {
      nlohmann::ordered_json list = nlohmann::ordered_json::array();
      for (const Compared& file : files_) {
        list.push_back(ToJson(file));
        if (!flags_.options.loras.empty()) list.back()["lora"] = flags_.options.loras;
        list.back()["base"] = stored_ ? flags_.base_logits : flags_.base;
        if (base_) list.back()["base_bytes"] = base_->model().file().file_bytes();
        if (base_) list.back()["text"] = flags_.text;
      }
      std::printf("%s\n", list.dump().c_str());
      return;
    }
    if (files_.empty()) return;
    for (Compared& file : files_) file.file = WithLoras(file.file, flags_.options.loras);
    std::optional<Compared> base;
    if (base_)
      base = base_->Report(flags_.base, !flags_.has_no_speed, session_options_, &progress_);
    for (const Compared& file : files_) PrintDivergence(file);
    PrintTable(base, files_);
  }

  const Flags& flags_;
  engine::Runtime runtime_;
  engine::SessionOptions session_options_;
  std::vector<std::string> paths_;
  std::vector<uint64_t> bytes_;
  ProgressBar progress_{STDERR_FILENO, ProgressBar::Rest::kNothing};

  std::string base_name_;
  std::optional<ComparedModel> base_;  // one of these two
  std::optional<eval::BaseLogits> stored_;
  int64_t vocab_ = 0;
  std::optional<text::TextChunks> chunks_;
  std::optional<eval::BaseLogitsWriter> saved_;

  std::vector<std::unique_ptr<ComparedModel>> group_;
  std::vector<Compared> files_;
};

void Run(Flags flags) {
  const bool is_stored = !flags.base_logits.empty();
  if (is_stored == !flags.base.empty())
    throw Error(Code::kUsage, "give the base by --base or by --base-logits");
  if (is_stored && (!flags.text.empty() || flags.chunks.first != 0 || !flags.save_logits.empty()))
    throw Error(Code::kUsage,
                "--base-logits has the text and the logits: it goes without -f, --from-chunk and "
                "--save-logits");
  if (!is_stored && flags.text.empty()) throw Error(Code::kUsage, "give the text by -f");
  if (flags.files.empty() && flags.save_logits.empty())
    throw Error(Code::kUsage, "expected models to compare, or --save-logits");
  if (!flags.logits_file.empty() && flags.files.size() != 1)
    throw Error(Code::kUsage, "--logits-file takes one model, got {}", flags.files.size());
  // The context is that of a chunk, as in llama.cpp.
  if (!is_stored && flags.options.context == 0) flags.options.context = 512;
  if (!is_stored) flags.chunks.size = flags.options.context;
  text::CheckChunkOptions(flags.chunks);
  Comparison(flags).Run();
}

}  // namespace

Work DeclareCompare(CLI::App* app) {
  auto flags = std::make_shared<Flags>();
  app->add_option("files", flags->files, "Models to hold against the base");
  app->add_option("--base", flags->base, "The model that they are held against");
  app->add_option("--base-logits", flags->base_logits,
                  "Its logits in a file of llama.cpp (--kl-divergence-base) or of --save-logits");
  AddRunOptions(app, &flags->options);
  app->get_option("--lora")->description(
      "FILE[:SCALE]: an adapter of the models compared, not of the base; repeatable");
  app->get_option("--ctx-size")
      ->description("Tokens of a chunk; 0: 512, or those of --base-logits");
  app->add_option("-f,--file", flags->text, "Text to measure on");
  AddChunks(app, &flags->chunks);
  app->add_option("--save-logits", flags->save_logits,
                  "Write the base's logits, as llama.cpp does; needs no model to compare");
  app->add_option("--logits-file", flags->logits_file,
                  "Write the logits of base and model as floats, a NumPy array [tokens, 2, V]");
  app->add_flag("--no-speed", flags->has_no_speed, "Do not measure prefill and decode");
  AddJson(app, &flags->is_json);
  return [flags] { Run(*flags); };
}

}  // namespace slm::cli
