#include "convert/general_metadata.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <initializer_list>
#include <iterator>

#include "base/error.h"
#include "convert/model_card.h"
#include "convert/model_name.h"
#include "text/unicode.h"

namespace slm::convert {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kHub = "https://huggingface.co/";

class Writer {
 public:
  Writer(const ModelCard& card, int64_t parameters, format::GgufWriter* writer)
      : card_(card), parameters_(parameters), writer_(writer) {}

  // The first of the values that says something. Returns it, or "".
  std::string Text(const std::string& key, std::initializer_list<std::string> values) {
    for (const std::string& value : values) {
      if (value.empty() || !text::IsUtf8(value)) continue;
      writer_->SetString("general." + key, value);
      return value;
    }
    return "";
  }

  std::string Card(std::initializer_list<const char*> keys) const {
    for (const char* key : keys) {
      const auto at = card_.find(key);
      if (at != card_.end() && !at->second.empty()) return at->second.front();
    }
    return "";
  }

  std::string JoinedCard(const char* key) const {
    const auto at = card_.find(key);
    return at == card_.end() ? "" : fmt::format("{}", fmt::join(at->second, ","));
  }

  void Texts(const std::string& key, std::initializer_list<const char*> from) {
    std::vector<std::string> all;
    for (const char* name : from) {
      const auto at = card_.find(name);
      if (at != card_.end())
        std::copy_if(at->second.begin(), at->second.end(), std::back_inserter(all), text::IsUtf8);
    }
    if (!all.empty()) writer_->SetStrings("general." + key, std::span<const std::string>(all));
  }

  // base_model and datasets: names of the hub, or addresses.
  void Origins(const std::string& key, std::initializer_list<const char*> from) {
    for (const char* name : from) {
      const auto at = card_.find(name);
      if (at == card_.end()) continue;
      writer_->Set<uint32_t>("general." + key + ".count", static_cast<uint32_t>(at->second.size()));
      for (size_t i = 0; i < at->second.size(); ++i)
        Origin(fmt::format("{}.{}.", key, i), at->second[i]);
      return;
    }
  }

 private:
  void Origin(const std::string& prefix, const std::string& id) {
    std::string name = id;
    if (id.find("://") != std::string::npos) {
      Text(prefix + "repo_url", {id});
      if (!id.starts_with(kHub)) return;
      name = id.substr(kHub.size());
    }
    const ModelName parts = ParseModelName(name, parameters_);
    Text(prefix + "name", {TitleOf(parts.full)});
    Text(prefix + "version", {parts.version});
    if (parts.organization.empty()) return;
    Text(prefix + "organization", {TitleOf(parts.organization)});
    if (name == id) Text(prefix + "repo_url", {std::string(kHub) + id});
  }

  const ModelCard& card_;
  int64_t parameters_;
  format::GgufWriter* writer_;
};

// Sampling defaults, where the publisher gives some.
void WriteSampling(const std::string& folder, format::GgufWriter* writer,
                   std::vector<std::string>* notices) {
  const std::string path = fs::path(folder) / "generation_config.json";
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return;
  const Config config = Config::Read(path);
  const std::string prefix = "general.sampling.";
  const auto number = [&](const char* from, const char* to) {
    if (const auto value = config.FindFloat(from))
      writer->Set<float>(prefix + to, static_cast<float>(*value));
  };
  const auto integer = [&](const char* from, const char* to) {
    const nlohmann::json* raw = config.Find(from);
    if (raw && raw->is_number() && *raw < 0) {
      notices->push_back(fmt::format("{}: {}: {} is left out", path, from, raw->dump()));
      return;
    }
    if (const auto value = config.FindInt(from))
      writer->Set<int32_t>(prefix + to, static_cast<int32_t>(*value));
  };
  if (const auto value = config.FindString("sequence"))
    writer->SetString(prefix + "sequence", *value);
  integer("top_k", "top_k");
  number("top_p", "top_p");
  number("min_p", "min_p");
  number("xtc_probability", "xtc_probability");
  number("xtc_threshold", "xtc_threshold");
  number("temperature", "temp");
  integer("penalty_last_n", "penalty_last_n");
  number("repetition_penalty", "penalty_repeat");
  number("penalty_repeat", "penalty_repeat");
  integer("mirostat", "mirostat");
  number("mirostat_tau", "mirostat_tau");
  number("mirostat_eta", "mirostat_eta");
}

// "Folder/" and "." have names, too. A snapshot of the hub's cache is called by its hash, in
// models--ORG--NAME/snapshots: ORG/NAME.
std::string FolderName(const std::string& folder) {
  std::error_code ignored;
  const fs::path path = fs::weakly_canonical(folder, ignored);
  constexpr std::string_view kModels = "models--", kSlash = "--";
  const std::string cached = path.parent_path().parent_path().filename();
  if (path.parent_path().filename() != "snapshots" || !cached.starts_with(kModels))
    return path.filename();
  std::string name = cached.substr(kModels.size());
  if (const size_t at = name.find(kSlash); at != std::string::npos)
    name.replace(at, kSlash.size(), "/");
  return name;
}

}  // namespace

text::ModelTraits WriteGeneralMetadata(const Checkpoint& checkpoint, int64_t parameters,
                                       format::GgufWriter* writer,
                                       std::vector<std::string>* notices) {
  text::ModelTraits traits;
  traits.architecture = checkpoint.family->arch;
  writer->SetString("general.architecture", checkpoint.family->arch);
  writer->SetString("general.type", "model");
  WriteSampling(checkpoint.folder, writer, notices);

  ModelCard card;
  const std::string readme = fs::path(checkpoint.folder) / "README.md";
  std::error_code ignored;
  if (fs::is_regular_file(readme, ignored) && fs::file_size(readme, ignored) > 0)
    card = ParseModelCard(ReadWholeFile(readme));
  Writer out(card, parameters, writer);

  // A path of somebody's computer is no name.
  ModelName own;
  const auto id = checkpoint.config.FindString("_name_or_path");
  if (id && std::count(id->begin(), id->end(), '/') <= 1) own = ParseModelName(*id, parameters);
  const std::string folder_name = FolderName(checkpoint.folder);
  const ModelName folder = ParseModelName(folder_name, parameters);

  traits.name = out.Text("name", {out.Card({"name", "model_name"}), TitleOf(own.full),
                                  TitleOf(folder.full), folder_name, "model"});
  out.Text("author", {out.Card({"author", "model_author", "model_creator"})});
  out.Text("version", {out.Card({"version", "model_version"}), own.version, folder.version});
  out.Text("organization", {out.Card({"organization", "model_organization"}), own.organization,
                            folder.organization});
  out.Text("finetune", {out.Card({"finetune", "model_finetune"}), own.finetune, folder.finetune});
  traits.basename = out.Text("basename", {out.Card({"basename", "model_basename", "model_type"}),
                                          own.basename, folder.basename});
  out.Text("description", {out.Card({"description", "model_description"})});
  out.Text("size_label", {out.Card({"size_label", "model_size_label"}), own.size_label,
                          folder.size_label, SizeLabel(parameters)});
  out.Text("license", {out.JoinedCard("license")});
  out.Text("license.name", {out.Card({"license_name"})});
  out.Text("license.link", {out.Card({"license_link"})});
  out.Text("source.url", {out.Card({"url", "model_url"})});
  out.Text("source.doi", {out.Card({"doi", "model_doi"})});
  out.Text("source.uuid", {out.Card({"uuid", "model_uuid"})});
  out.Text("source.repo_url", {out.Card({"repo_url", "model_repo_url"})});
  out.Origins("base_model", {"base_model", "base_models", "base_model_sources"});
  out.Origins("dataset", {"datasets", "dataset", "dataset_sources"});
  out.Texts("tags", {"tags", "pipeline_tag"});
  out.Texts("languages", {"languages", "language"});
  return traits;
}

}  // namespace slm::convert
