#include "convert/convert.h"

#include <filesystem>
#include <optional>

#include "base/error.h"
#include "convert/checkpoint.h"
#include "convert/checkpoint_tensors.h"
#include "convert/class_checks.h"
#include "convert/general_metadata.h"
#include "convert/hparams_from_config.h"
#include "convert/vocab_files.h"

namespace slm::convert {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t kQuantizationVersion = 2;  // GGML_QUANT_VERSION

// A file of the folder is replaced only where it is one that conversion makes.
void CheckOutput(const std::string& folder, const std::string& output) {
  std::error_code ignored;
  if (fs::is_directory(output, ignored))
    throw Error(Code::kUsage, "{}: expected the name of a file, got a folder", output);
  if (!fs::exists(output, ignored)) return;
  for (const auto& entry : fs::recursive_directory_iterator(
           folder, fs::directory_options::skip_permission_denied, ignored)) {
    if (entry.path().extension() != ".gguf" && fs::equivalent(entry.path(), output, ignored))
      throw Error(Code::kUsage, "{}: is a file of the folder to convert", output);
  }
}

// Mistral's own form has its template in code, so that of the family is taken, if it is clear
// which; where other checkpoints have none, it is that of a base model. Returns a notice.
std::string FindTemplate(const Checkpoint& checkpoint, const text::ModelTraits& traits,
                         HfVocab* vocab) {
  const auto published =
      checkpoint.form == Form::kMistral ? text::FindPublishedTemplate(traits) : std::nullopt;
  if (!published) return "the folder has no chat template, and so the file has none";
  vocab->chat_template = published->source;
  return fmt::format("the folder has no chat template; the published one of {} is written",
                     published->name);
}

}  // namespace

std::vector<std::string> ConvertToGguf(const ConvertOptions& options, const GgufTarget& target,
                                       ThreadPool* pool, Progress* progress) {
  Checkpoint checkpoint = OpenCheckpoint(options.folder);
  CheckOutput(options.folder, options.output);
  const model::Hparams hparams = HparamsOf(checkpoint);
  CheckClass(checkpoint, hparams);
  const CheckpointTensors tensors = ListTensors(checkpoint, hparams, options.allows_non_finite);
  std::vector<std::string> notices = checkpoint.notices;
  notices.insert(notices.end(), tensors.notices.begin(), tensors.notices.end());

  // Before the output is touched: this is where most folders are incomplete.
  std::optional<HfVocab> vocab;
  if (options.has_vocab) {
    vocab = ReadHfVocab(options.folder, checkpoint.config);
    notices.insert(notices.end(), vocab->notices.begin(), vocab->notices.end());
  }

  format::GgufWriter writer(options.output);
  int64_t parameters = 0;
  for (const format::TensorSource& source : tensors.sources) parameters += source.elements();
  text::ModelTraits traits = WriteGeneralMetadata(checkpoint, parameters, &writer, &notices);
  WriteHparams(checkpoint, hparams, &writer, &notices);
  writer.Set<uint32_t>("general.file_type", target.file_type);
  writer.Set<uint32_t>("general.quantization_version", kQuantizationVersion);
  if (vocab) {
    traits.tokenizer_pre = vocab->pre;
    if (vocab->chat_template.empty()) notices.push_back(FindTemplate(checkpoint, traits, &*vocab));
    WriteVocab(*vocab, &writer);
    vocab.reset();
  } else {
    writer.SetString("tokenizer.ggml.model", "no_vocab");
  }
  StreamTensors(tensors.sources, target.choose(tensors.sources), &writer, pool, progress);
  writer.Finish();
  return notices;
}

}  // namespace slm::convert
