#include "hub/models.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>

#include "base/error.h"
#include "base/nearest_names.h"
#include "hub/file.h"
#include "hub/find_model.h"
#include "hub/names.h"
#include "hub/scan.h"
#include "hub/source.h"
#include "hub/store.h"
#include "hub/url.h"

namespace slm::hub {
namespace {

namespace fs = std::filesystem;

constexpr size_t kSuggestions = 5;
constexpr size_t kMaxUrlRecordBytes = 8192;

void AddFacts(ModelEntry* entry) {
  entry->is_complete = HasAllParts(entry->paths);
  for (const std::string& path : entry->paths) {
    struct stat info = {};
    if (stat(path.c_str(), &info) != 0) {
      entry->is_complete = false;  // a local file that has been moved
      continue;
    }
    entry->bytes += static_cast<uint64_t>(info.st_size);
    entry->last_used_s = std::max<int64_t>(entry->last_used_s, info.st_atime);
  }
}

ModelEntry MakeEntry(const std::string& folder, const std::vector<std::string>& files) {
  ModelEntry entry;
  entry.file = files[0];
  entry.path = folder + "/" + files[0];
  for (const std::string& file : files) entry.paths.push_back(folder + "/" + file);
  if (const auto name = ParseModelFileName(files[0])) entry.quant = name->quant;
  AddFacts(&entry);
  return entry;
}

// One entry per GGUF model, and one for the checkpoint, of a snapshot.
std::vector<ModelEntry> ListSnapshot(const std::string& snapshot) {
  std::vector<std::string> files = ListFiles(snapshot);
  std::erase_if(files, [](const std::string& file) { return !IsSafePath(file); });
  std::vector<ModelEntry> entries;
  for (const auto& group : GroupByModel(files)) entries.push_back(MakeEntry(snapshot, group));
  if (const auto checkpoint = CheckpointFiles(files); !checkpoint.empty()) {
    entries.push_back(MakeEntry(snapshot, checkpoint));
    entries.back().file.clear();
    entries.back().path = snapshot;
  }
  return entries;
}

void ListHub(const Store& store, const std::string& folder, std::vector<ModelEntry>* all) {
  const std::string repo = Store::RepoOfFolder(folder);
  const std::vector<std::string> refs = ListRefs(store.Folder(folder));
  for (const std::string& commit : ListFolder(store.Folder(folder) + "/snapshots")) {
    if (!IsCommit(commit)) continue;
    std::vector<ModelEntry> entries = ListSnapshot(store.SnapshotPath(folder, commit));
    std::map<std::string, int> quants;
    for (const ModelEntry& entry : entries) ++quants[entry.quant];
    for (ModelEntry& entry : entries) {
      entry.source = fmt::format("hf:{}", repo);
      entry.revision = commit;
      entry.is_current = refs.empty() || std::find(refs.begin(), refs.end(), commit) != refs.end();
      entry.name = repo;
      if (!entry.quant.empty() && quants[entry.quant] == 1)
        entry.name = fmt::format("{}:{}", repo, entry.quant);
      else if (!entry.file.empty())
        entry.name = fmt::format("{}/{}", repo, entry.file);
      if (!entry.is_current) entry.name = fmt::format("{}@{}", entry.name, commit.substr(0, 8));
      all->push_back(std::move(entry));
    }
  }
}

void ListUrls(const Store& store, const std::string& folder, std::vector<ModelEntry>* all) {
  for (const std::string& commit : ListFolder(store.Folder(folder) + "/snapshots")) {
    if (!IsCommit(commit)) continue;
    for (ModelEntry& entry : ListSnapshot(store.SnapshotPath(folder, commit))) {
      const auto record = ReadStart(store.Folder(folder) + "/urls/" + commit, kMaxUrlRecordBytes);
      entry.source = Shown(record.value_or(folder));
      entry.revision = commit;
      entry.name = entry.file;
      all->push_back(std::move(entry));
    }
  }
}

void ListLocal(const Store& store, std::vector<ModelEntry>* all) {
  for (const std::string& key : ListFolder(store.Folder(kLocalFolder))) {
    const std::string folder = store.Folder(kLocalFolder) + "/" + key;
    for (const std::string& name : ListFolder(folder)) {
      std::error_code problem;
      const std::string target = fs::read_symlink(folder + "/" + name, problem);
      if (problem) continue;
      std::vector<std::string> files = {BaseName(target)};
      if (const auto split = ParseModelFileName(target); split && split->parts > 1) {
        files.clear();
        for (int part = 1; part <= split->parts; ++part) {
          const std::string path = SplitPartName(*split, part);
          if (FileSize(path) || part == 1) files.push_back(BaseName(path));
        }
      }
      ModelEntry entry = MakeEntry(fs::path(target).parent_path(), files);
      entry.source = fmt::format("file://{}", EscapeUrl(target, true));
      entry.name = entry.file;
      all->push_back(std::move(entry));
    }
  }
}

// All the ways to say it: short forms first come from the parts of the name.
std::set<std::string> Aliases(const ModelEntry& entry) {
  std::set<std::string> aliases = {entry.name, entry.source};
  const std::string stem =
      entry.file.empty() ? "" : ParseModelFileName(entry.file).value_or(ModelFileName()).stem;
  std::vector<std::string> forms = {entry.name.substr(0, entry.name.find('@')), entry.file, stem};
  if (entry.source.starts_with("hf:")) {
    const std::string repo = entry.source.substr(3);
    forms.insert(forms.end(), {repo, repo + "/" + entry.file});
    if (!entry.quant.empty()) {
      forms.push_back(repo + ":" + entry.quant);
      forms.push_back(BaseName(repo) + ":" + entry.quant);
    }
  }
  for (const std::string& form : forms) {
    if (form.empty()) continue;
    aliases.insert(form);
    aliases.insert(BaseName(form));
  }
  std::set<std::string> upper;
  for (const std::string& alias : aliases) upper.insert(UpperCase(alias));
  return upper;
}

void TouchAccessTime(const std::string& path) {
  const timespec times[2] = {{0, UTIME_NOW}, {0, UTIME_OMIT}};
  utimensat(AT_FDCWD, path.c_str(), times, 0);  // only for "last used": it may fail
}

}  // namespace

std::vector<ModelEntry> ListModels(const Settings& settings) {
  const Store store(settings.cache);
  std::vector<ModelEntry> entries;
  for (const std::string& folder : ListFolder(store.cache())) {
    if (folder.starts_with(kHubPrefix)) ListHub(store, folder, &entries);
    if (folder.starts_with(kUrlPrefix)) ListUrls(store, folder, &entries);
  }
  ListLocal(store, &entries);
  std::sort(entries.begin(), entries.end(), [](const ModelEntry& a, const ModelEntry& b) {
    return std::tie(a.name, a.path) < std::tie(b.name, b.path);
  });
  return entries;
}

ModelEntry FindModel(const std::string& name, const Settings& settings) {
  const std::vector<ModelEntry> entries = ListModels(settings);
  const std::string wanted = UpperCase(name);
  std::vector<const ModelEntry*> matches;
  for (const ModelEntry& entry : entries) {
    // A full name is never ambiguous with somebody else's short form.
    if (UpperCase(entry.name) == wanted || entry.path == name) matches.push_back(&entry);
  }
  if (matches.empty()) {
    for (const ModelEntry& entry : entries) {
      if (Aliases(entry).contains(wanted)) matches.push_back(&entry);
    }
  }
  if (std::any_of(matches.begin(), matches.end(), [](const auto* m) { return m->is_current; }))
    std::erase_if(matches, [](const auto* m) { return !m->is_current; });
  if (matches.size() == 1) return *matches[0];

  std::vector<std::string> names;
  if (matches.empty()) {
    for (const ModelEntry& entry : entries) names.push_back(entry.name);
    names = NearestNames(name, names, kSuggestions);
  } else {
    for (const ModelEntry* entry : matches)
      names.push_back(std::count_if(matches.begin(), matches.end(),
                                    [&](const auto* m) { return m->name == entry->name; }) > 1
                          ? entry->path
                          : entry->name);
  }
  for (std::string& one : names) one = Shown(one);
  const std::string listed = fmt::format("{}", fmt::join(names, ", "));
  if (!matches.empty())
    throw Error(Code::kUsage, "{}: several models have this name: {}", Shown(name), listed);
  std::string text = fmt::format("{}: no such file or local model", Shown(name));
  if (!listed.empty()) text += "; nearest: " + listed;
  text += "; slm models lists what is here";
  if (IsRepoId(name.substr(0, name.find(':')))) text += "; from the hub: slm pull hf:" + name;
  throw Error(Code::kFailed, "{}", text);
}

std::string ResolveModel(const std::string& name, const Settings& settings) {
  const Source source = ParseSource(name, settings.endpoint);
  const Store store(settings.cache);
  std::error_code problem;
  if (source.kind == SourceKind::kFile) {
    if (fs::exists(source.path, problem)) return source.path;
    if (name.starts_with("file://"))
      throw Error(Code::kFailed, "{}: no such file", Shown(source.path));
  }
  std::string path;
  if (source.kind == SourceKind::kHub) {
    const auto copy =
        FindLocalCopy(store, source, source.revision.empty() ? "main" : source.revision);
    if (copy) path = ModelPath(store, Store::HubFolder(source.repo), copy->commit, copy->choice);
  } else if (source.kind == SourceKind::kUrl) {
    const std::string folder =
        store.SnapshotPath(Store::UrlFolder(source.url), Store::KeyOf(source.url));
    if (const auto files = ListFiles(folder); !files.empty()) path = folder + "/" + files[0];
  } else {
    const ModelEntry entry = FindModel(name, settings);
    const bool is_local = entry.source.starts_with("file://");
    if (is_local && !FileSize(entry.path))
      throw Error(Code::kFailed,
                  "{}: not where it was, at {}; run: slm pull with its new place, or: slm models "
                  "--rm {}",
                  entry.name, Shown(entry.path), entry.name);
    if (!entry.is_complete)
      throw Error(Code::kFailed, "{}: parts of it are missing; run: slm pull {}", entry.name,
                  entry.source.starts_with("hf:") ? entry.source + "/" + entry.file : entry.source);
    path = entry.path;
    if (is_local) return path;  // not ours to touch
  }
  if (path.empty())
    throw Error(Code::kFailed, "{}: not in the local store; run: slm pull {}", Shown(name),
                Shown(name));
  TouchAccessTime(path);
  return path;
}

}  // namespace slm::hub
