#include "cli/loaded_model.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "base/cpu.h"
#include "base/error.h"
#include "base/progress.h"
#include "cli/loras.h"
#include "cli/options.h"
#include "hub/models.h"
#include "hub/settings.h"
#include "model/vocab.h"

namespace slm::cli {
namespace {

constexpr char kDefaultModel[] = "SmolLM2-135M-Instruct.Q4_1.gguf";
constexpr char kDefaultModelName[] = "SmolLM2-135M-Instruct";

std::string DefaultModelPath() {
  if (const char* path = std::getenv("SLM_MODEL"); path && *path) return ResolveModelPath(path);
  if (const std::string path = BundledModelPath(); !path.empty()) return path;
  throw Error(Code::kUsage, "no model: name one with -m, or run ./run once, which fetches {}",
              kDefaultModel);
}

std::shared_ptr<const engine::Model> Load(const ModelOptions& options, engine::Runtime* runtime) {
  ProgressBar progress(STDERR_FILENO, ProgressBar::Rest::kNothing);
  return LoadModel(ResolveModelPath(options.model), options.pack, runtime, &progress);
}

}  // namespace

std::shared_ptr<const engine::Model> LoadModel(const std::string& path, const PackFlags& flags,
                                               engine::Runtime* runtime, Progress* progress) {
  model::PackOptions pack;
  using Where = model::PackOptions::Where;
  pack.budget_bytes = ParseBytes("--cache-budget", flags.budget);
  pack.where = flags.is_not_repacked    ? Where::kNowhere
               : pack.budget_bytes == 0 ? Where::kMemory
                                        : Where::kStore;
  try {
    pack.folder = hub::PackedFolder();
  } catch (const Error& error) {
    pack.no_folder = error.what();
  }
  auto model = engine::Model::Load(path, runtime, progress, pack);
  if (const std::string& notice = model->packed().notice(); !notice.empty())
    std::fprintf(stderr, "slm: %s\n", notice.c_str());
  return model;
}

// Beside the folder of the program, which in a release is that of the loader.
std::string BundledModelPath() {
  const std::filesystem::path folder = std::filesystem::path(ExecutablePath()).parent_path();
  const std::filesystem::path path = folder.parent_path() / "models" / kDefaultModel;
  return std::filesystem::exists(path) ? path.string() : "";
}

std::string ResolveModelPath(const std::string& name) {
  if (name.empty()) return DefaultModelPath();
  // Before the settings of the hub, which may be wrong and do not matter for a file.
  std::error_code problem;
  if (std::filesystem::is_directory(name, problem))
    throw Error(Code::kBadInput,
                "{0}: a folder, not a model file; of a Hugging Face checkpoint slm convert {0} -o "
                "FILE.gguf makes one",
                name);
  if (std::filesystem::exists(name, problem)) return name;
  if (name == kDefaultModel || name == kDefaultModelName)
    if (const std::string path = BundledModelPath(); !path.empty()) return path;
  return hub::ResolveModel(name, hub::SettingsFromEnvironment());
}

kernels::KvType ParseKvType(const std::string& name) {
  if (name == "f32") return kernels::KvType::kF32;
  if (name == "f16") return kernels::KvType::kF16;
  if (name == "q8_0") return kernels::KvType::kQ8_0;
  throw Error(Code::kUsage, "cache type \"{}\": expected f32, f16 or q8_0", name);
}

text::ChatTemplate LoadChatTemplate(const format::GgufFile& file, const text::Tokenizer& tokenizer,
                                    const std::string& override_path) {
  const auto text_of = [&](int32_t id) {
    return id < 0 ? std::string() : std::string(tokenizer.TokenBytes(id));
  };
  const std::string bos = text_of(tokenizer.bos()), eos = text_of(tokenizer.eos());
  if (!override_path.empty())
    return text::ChatTemplate(override_path, ReadTextFile(override_path), bos, eos);
  const format::GgufMetadata& metadata = file.metadata();
  if (const auto source = metadata.FindString("tokenizer.chat_template"))
    return text::ChatTemplate(file.path(), std::string(*source), bos, eos);
  const auto published = text::FindPublishedTemplate(
      {std::string(metadata.FindString("general.architecture").value_or("")),
       std::string(metadata.FindString("general.name").value_or("")),
       std::string(metadata.FindString("general.basename").value_or("")),
       std::string(metadata.FindString("tokenizer.ggml.pre").value_or(""))});
  if (!published)
    throw Error(Code::kBadInput,
                "{}: the file has no chat template and its family's is not known; give one with "
                "--chat-template-file, or use --raw",
                file.path());
  std::fprintf(stderr, "slm: the file has no chat template; using the published one of %s\n",
               std::string(published->name).c_str());
  return text::ChatTemplate(std::string(published->name), std::string(published->source), bos, eos);
}

void CheckSameVocabulary(const text::Tokenizer& base, const std::string& base_name,
                         const text::Tokenizer& other, const std::string& other_name) {
  if (other.size() != base.size())
    throw Error(Code::kBadInput, "{}: expected the {} tokens of {}, got {}", other_name,
                base.size(), base_name, other.size());
  for (int32_t id = 0; id < base.size(); ++id)
    if (other.TokenBytes(id) != base.TokenBytes(id))
      throw Error(Code::kBadInput, "{}: token {} is not that of {}", other_name, id, base_name);
}

LoadedModel::LoadedModel(const ModelOptions& options)
    : options_(options),
      runtime_(options.threads, options.batch_threads),
      float_model_(options.in_floats ? std::make_shared<engine::FloatModel>(
                                           ResolveModelPath(options.model), &runtime_)
                                     : nullptr),
      model_(float_model_ ? float_model_->model() : Load(options, &runtime_)),
      loras_(LoadLoras(*model_, options.loras)),
      executor_(model_) {}

const text::Tokenizer& LoadedModel::tokenizer() {
  if (!tokenizer_) tokenizer_.emplace(model::MakeTokenizer(model_->file()));
  return *tokenizer_;
}

const text::ChatTemplate& LoadedModel::chat_template() {
  if (!chat_template_)
    chat_template_ = LoadChatTemplate(model_->file(), tokenizer(), options_.chat_template_file);
  return *chat_template_;
}

engine::Session LoadedModel::NewSession() const {
  engine::SessionOptions session;
  session.k_type = ParseKvType(options_.k_type);
  session.v_type = ParseKvType(options_.v_type);
  session.loras = loras_;
  const model::Hparams& h = model_->hparams();
  session.context =
      options_.context > 0 ? options_.context : engine::DefaultContext(*model_, session);
  if (options_.context == 0)
    std::fprintf(stderr, "slm: context of %lld tokens%s\n", static_cast<long long>(session.context),
                 session.context < h.context ? ", as memory allows; the model's is longer" : "");
  else if (options_.context > h.context)
    std::fprintf(
        stderr,
        "slm: the context of %lld tokens is longer than the %lld that the model was made for\n",
        static_cast<long long>(session.context), static_cast<long long>(h.context));
  return engine::Session(model_, session);
}

}  // namespace slm::cli
