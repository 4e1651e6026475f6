#include "hub/names.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "base/nearest_names.h"
#include "hub/url.h"

namespace slm::hub {
namespace {

constexpr const char* kDefaultQuant = "Q4_K_M";
constexpr size_t kMaxComponentBytes = 255, kMaxPathBytes = 1024;
constexpr size_t kMaxRepoBytes = 96;  // the hub's own limit
constexpr size_t kMaxListed = 40;     // names in one message
constexpr std::string_view kSplitExample = "-00001-of-00003";

bool IsHex(std::string_view text, size_t digits) {
  return text.size() == digits && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

bool IsBorder(char c) { return c == '-' || c == '.' || c == '_' || c == ' ' || c == '/'; }

// Length of the quant word at the start of `text` (upper case), or 0.
size_t MatchQuant(std::string_view text) {
  for (const std::string_view word :
       {"BF16", "F16", "F32", "FP16", "FP32", "MXFP4_MOE", "MXFP4", "NVFP4"}) {
    if (text.starts_with(word)) return word.size();
  }
  size_t length = 0;
  if (text.starts_with("UD-")) length = 3;  // "dynamic" recipes carry this prefix
  if (length < text.size() && (text[length] == 'I' || text[length] == 'T')) ++length;
  if (length + 1 >= text.size() || text[length] != 'Q') return 0;
  if (text[length + 1] < '1' || text[length + 1] > '8') return 0;
  length += 2;
  static const std::set<std::string_view> kSuffixes = {"0",  "1",   "K",  "S", "M", "L", "XL",
                                                       "XS", "XXS", "NL", "H", "4", "8"};
  while (length < text.size() && text[length] == '_') {
    const size_t end = std::min(text.find_first_of("-._ /", length + 1), text.size());
    if (!kSuffixes.contains(text.substr(length + 1, end - length - 1))) break;
    length = end;
  }
  return length;
}

bool IsBesideModel(std::string_view path) {
  const std::string name = BaseName(path);
  for (const char* word : {"mmproj", "imatrix", "mtp-", "eagle3-", "dflash-", "dspark-"}) {
    if (name.find(word) != std::string::npos) return true;
  }
  return false;
}

// `stem` without the "-00001-of-00003" at its end, if it has one.
std::string_view SplitOff(std::string_view stem, int* part, int* parts) {
  if (stem.size() <= kSplitExample.size()) return stem;
  const std::string_view tail = stem.substr(stem.size() - kSplitExample.size());
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  for (size_t i = 0; i < tail.size(); ++i) {
    if (is_digit(kSplitExample[i]) ? !is_digit(tail[i]) : tail[i] != kSplitExample[i]) return stem;
  }
  const int first = std::stoi(std::string(tail.substr(1, 5)));
  const int second = std::stoi(std::string(tail.substr(10, 5)));
  if (first < 1 || first > second) return stem;
  *part = first;
  *parts = second;
  return stem.substr(0, stem.size() - kSplitExample.size());
}

// The models of a repository: each is one file or one split.
struct Model {
  std::string quant;
  int parts = 1;
  std::map<int, std::string> files;
};

std::map<std::string, Model> GroupModels(const std::vector<std::string>& files) {
  std::map<std::string, Model> models;
  for (const std::string& file : files) {
    const auto name = ParseModelFileName(file);
    if (!name) continue;
    // A split and a whole file of one stem are two models.
    Model& model = models[fmt::format("{} {}", name->stem, name->parts)];
    model.quant = name->quant;
    model.parts = name->parts;
    model.files[name->part] = file;
  }
  return models;
}

std::vector<std::string> PartsOf(const Model& model, const std::string& repo) {
  std::vector<std::string> result;
  for (const auto& [part, file] : model.files) result.push_back(file);
  if (static_cast<int>(result.size()) == model.parts) return result;
  int missing = 1;
  while (model.files.contains(missing)) ++missing;
  throw Error(Code::kBadInput, "{}: part {} of {} of {} is missing", repo, missing, model.parts,
              Shown(result[0]));
}

std::string Listing(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size() && i < kMaxListed; ++i)
    text += (i ? ", " : "") + Shown(names[i]);
  if (names.size() > kMaxListed) text += fmt::format(" and {} more", names.size() - kMaxListed);
  return text;
}

bool IsTagged(const std::string& stem, const std::string& tag) {
  const std::string name = UpperCase(stem);
  const size_t at = name.rfind(tag);
  if (at == std::string::npos) return false;
  const size_t end = at + tag.size();
  return (at == 0 || IsBorder(name[at - 1])) && (end == name.size() || IsBorder(name[end]));
}

const Model& ChooseByQuant(const std::map<std::string, Model>& models, const std::string& quant,
                           const std::string& repo) {
  std::set<std::string> quants;
  for (const auto& [stem, model] : models) {
    const std::string& file = model.files.begin()->second;
    quants.insert(model.quant.empty() ? "(" + file + ")" : model.quant);
  }
  const std::vector<std::string> listed(quants.begin(), quants.end());

  const std::string wanted = quant.empty() ? kDefaultQuant : UpperCase(quant);
  std::vector<const Model*> matches;
  const auto match = [&](const auto& predicate) {
    if (!matches.empty()) return;
    for (const auto& [stem, model] : models) {
      if (predicate(stem.substr(0, stem.rfind(' ')), model)) matches.push_back(&model);
    }
  };
  match([&](const std::string&, const Model& model) { return model.quant == wanted; });
  match([&](const std::string&, const Model& model) { return model.quant == "UD-" + wanted; });
  match([&](const std::string& stem, const Model&) { return IsTagged(stem, wanted); });
  if (matches.empty() && quant.empty() && models.size() == 1)
    matches.push_back(&models.begin()->second);
  if (matches.empty())
    throw Error(Code::kFailed, "{}: no {} model there; available: {}", repo, Shown(wanted),
                Listing(listed));
  if (matches.size() > 1) {
    std::vector<std::string> names;
    for (const Model* model : matches)
      names.push_back("hf:" + repo + "/" + model->files.begin()->second);
    throw Error(Code::kFailed, "{}: several {} models there; name one: {}", repo, Shown(wanted),
                Listing(names));
  }
  return *matches[0];
}

std::vector<std::string> ChooseByFile(const std::vector<std::string>& files,
                                      const std::string& file, const std::string& repo) {
  if (std::find(files.begin(), files.end(), file) == files.end())
    throw Error(Code::kFailed, "{}: no file {} there; nearest: {}", repo, Shown(file),
                Listing(NearestNames(file, files, 5)));
  const auto name = ParseModelFileName(file);
  if (!name || name->parts == 1) return {file};
  return PartsOf(GroupModels(files)[fmt::format("{} {}", name->stem, name->parts)], repo);
}

}  // namespace

bool IsSafePath(std::string_view path) {
  if (path.empty() || path.size() > kMaxPathBytes) return false;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view component = path.substr(begin, end - begin);
    if (component.empty() || component == "." || component == "..") return false;
    if (component.size() > kMaxComponentBytes) return false;
    for (const char c : component) {
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '\\') return false;
    }
    begin = end + 1;
  }
  return true;
}

bool IsRepoId(std::string_view repo) {
  const size_t slash = repo.find('/');
  if (slash == std::string_view::npos || repo.size() > 2 * kMaxRepoBytes) return false;
  if (repo.find("--") != std::string_view::npos || repo.find("..") != std::string_view::npos)
    return false;
  for (const std::string_view part : {repo.substr(0, slash), repo.substr(slash + 1)}) {
    if (part.empty() || part.size() > kMaxRepoBytes) return false;
    if (part.front() == '-' || part.front() == '.' || part.back() == '-' || part.back() == '.')
      return false;
    for (const char c : part) {
      const bool is_word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                           (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.';
      if (!is_word) return false;
    }
  }
  return true;
}

bool IsCommit(std::string_view commit) { return IsHex(commit, 40); }
bool IsSha256(std::string_view digest) { return IsHex(digest, 64); }
bool IsDigest(std::string_view digest) { return IsHex(digest, 40) || IsHex(digest, 64); }

std::string BaseName(std::string_view path) {
  const size_t slash = path.rfind('/');
  return std::string(slash == std::string_view::npos ? path : path.substr(slash + 1));
}

std::optional<ModelFileName> ParseModelFileName(std::string_view path) {
  if (!UpperCase(path).ends_with(".GGUF")) return std::nullopt;
  ModelFileName name;
  name.stem = SplitOff(path.substr(0, path.size() - 5), &name.part, &name.parts);
  name.quant = QuantFromName(name.stem);
  return name;
}

std::string QuantFromName(std::string_view stem) {
  const std::string text = UpperCase(stem);
  std::string quant;
  for (size_t i = 0; i < text.size();) {
    const size_t length =
        i == 0 || IsBorder(text[i - 1]) ? MatchQuant(std::string_view(text).substr(i)) : 0;
    if (length > 0 && (i + length == text.size() || IsBorder(text[i + length]))) {
      quant = text.substr(i, length);
      i += length;
    } else {
      ++i;
    }
  }
  if (quant == "FP16") return "F16";
  if (quant == "FP32") return "F32";
  return quant;
}

std::string SplitPartName(const ModelFileName& name, int part) {
  if (name.parts == 1) return name.stem + ".gguf";
  return fmt::format("{}-{:05}-of-{:05}.gguf", name.stem, part, name.parts);
}

Choice ChooseFiles(const std::vector<std::string>& files, const std::string& file,
                   const std::string& quant, const std::string& repo) {
  if (!file.empty()) return {ChooseByFile(files, file, repo), false};
  std::map<std::string, Model> models = GroupModels(files);
  std::erase_if(models,
                [](const auto& m) { return IsBesideModel(m.second.files.begin()->second); });
  if (models.empty() && quant.empty()) {
    if (std::vector<std::string> checkpoint = CheckpointFiles(files); !checkpoint.empty())
      return {std::move(checkpoint), true};
  }
  if (models.empty()) throw Error(Code::kFailed, "{}: no GGUF model in this repository", repo);
  return {PartsOf(ChooseByQuant(models, quant, repo), repo), false};
}

std::vector<std::vector<std::string>> GroupByModel(const std::vector<std::string>& files) {
  std::vector<std::vector<std::string>> groups;
  for (const auto& [stem, model] : GroupModels(files)) {
    groups.emplace_back();
    for (const auto& [part, file] : model.files) groups.back().push_back(file);
  }
  return groups;
}

std::vector<std::string> CheckpointFiles(const std::vector<std::string>& files) {
  std::vector<std::string> result;
  bool has_weights = false, has_config = false;
  for (const std::string& file : files) {
    if (file.find('/') != std::string::npos) continue;
    has_weights |= file.ends_with(".safetensors");
    has_config |= file == "config.json";
    for (const char* ending : {".safetensors", ".json", ".model", ".jinja", ".txt"}) {
      if (file.ends_with(ending)) result.push_back(file);
    }
  }
  if (!has_weights || !has_config) return {};
  return result;
}

bool HasAllParts(const std::vector<std::string>& files) {
  std::map<std::string, std::pair<int, int>> found;  // stem and count -> parts seen, parts
  for (const std::string& file : files) {
    const size_t dot = file.rfind('.');
    int part = 1, parts = 1;
    const std::string_view stem =
        SplitOff(std::string_view(file).substr(0, std::min(dot, file.size())), &part, &parts);
    auto& seen = found[fmt::format("{} {}", stem, parts)];
    ++seen.first;
    seen.second = parts;
  }
  return std::all_of(found.begin(), found.end(), [](const auto& entry) {
    return entry.second.second == 1 || entry.second.first == entry.second.second;
  });
}

}  // namespace slm::hub
