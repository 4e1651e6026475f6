#include "hub/scan.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "hub/file.h"

namespace slm::hub {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxDepth = 16;

void ListInto(const std::string& folder, const std::string& prefix, int depth,
              std::vector<std::string>* files) {
  if (depth > kMaxDepth) return;
  for (const std::string& name : ListFolder(folder)) {
    const std::string path = folder + "/" + name;
    std::error_code problem;
    // Links to folders are not followed: they could lead in circles.
    if (fs::is_directory(fs::symlink_status(path, problem))) {
      ListInto(path, prefix + name + "/", depth + 1, files);
    } else if (FileSize(path)) {
      files->push_back(prefix + name);
    }
  }
}

std::optional<Choice> ChooseComplete(const std::string& snapshot, const Source& source) {
  const std::vector<std::string> files = ListFiles(snapshot);
  if (files.empty()) return std::nullopt;
  try {
    Choice choice = ChooseFiles(files, source.file, source.quant, source.repo);
    if (!HasAllParts(choice.files)) return std::nullopt;
    return choice;
  } catch (const Error&) {
    return std::nullopt;  // not here
  }
}

}  // namespace

std::vector<std::string> ListFolder(const std::string& path) {
  std::vector<std::string> names;
  std::error_code problem;
  for (fs::directory_iterator it(path, problem), end; !problem && it != end; it.increment(problem))
    names.push_back(it->path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> ListFiles(const std::string& folder) {
  std::vector<std::string> files;
  ListInto(folder, "", 0, &files);
  return files;
}

std::vector<std::string> ListRefs(const std::string& repo_folder) {
  std::vector<std::string> commits;
  for (const std::string& name : ListFiles(repo_folder + "/refs")) {
    if (const auto commit = ReadStart(repo_folder + "/refs/" + name, 256))
      commits.push_back(commit->substr(0, 40));
  }
  return commits;
}

std::string BlobOf(const std::string& path) {
  std::error_code problem;
  const fs::path target = fs::read_symlink(path, problem);
  const std::string blob = target.filename();
  const bool is_blob = !problem && IsDigest(blob) && target.parent_path().filename() == "blobs";
  return is_blob ? blob : "";
}

bool IsReferenced(const Store& store, const std::string& folder, const std::string& blob) {
  const std::string snapshots = store.Folder(folder) + "/snapshots";
  for (const std::string& file : ListFiles(snapshots)) {
    if (BlobOf(snapshots + "/" + file) == blob) return true;
  }
  return false;
}

std::optional<LocalCopy> FindLocalCopy(const Store& store, const Source& source,
                                       const std::string& revision) {
  const std::string folder = Store::HubFolder(source.repo);
  if (const auto commit = store.ReadRef(folder, revision)) {
    if (auto choice = ChooseComplete(store.SnapshotPath(folder, *commit), source))
      return LocalCopy{*commit, std::move(*choice)};
    return std::nullopt;
  }
  if (revision != "main") return std::nullopt;
  std::optional<LocalCopy> newest;
  fs::file_time_type newest_time;
  for (const std::string& commit : ListFolder(store.Folder(folder) + "/snapshots")) {
    std::error_code problem;
    const auto time = fs::last_write_time(store.SnapshotPath(folder, commit), problem);
    if (problem || !IsCommit(commit) || (newest && time <= newest_time)) continue;
    if (auto choice = ChooseComplete(store.SnapshotPath(folder, commit), source)) {
      newest = LocalCopy{commit, std::move(*choice)};
      newest_time = time;
    }
  }
  return newest;
}

std::string ModelPath(const Store& store, const std::string& folder, const std::string& commit,
                      const Choice& choice) {
  return choice.is_folder ? store.SnapshotPath(folder, commit)
                          : store.FilePath(folder, commit, choice.files[0]);
}

}  // namespace slm::hub
