#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include "base/error.h"
#include "hub/download.h"
#include "hub/file.h"
#include "hub/find_model.h"
#include "hub/models.h"
#include "hub/names.h"
#include "hub/scan.h"
#include "hub/source.h"
#include "hub/store.h"
#include "hub/url.h"

namespace slm::hub {
namespace {

namespace fs = std::filesystem;

class Remover {
 public:
  explicit Remover(const Settings& settings) : store_(settings.cache) {}

  RemoveResult Run(const ModelEntry& entry) {
    if (entry.source.starts_with("file://")) {
      RemoveLocal(entry.path);
    } else {
      RemoveSnapshotFiles(entry);
    }
    return std::move(result_);
  }

 private:
  void Unlink(const std::string& path) {
    if (unlink(path.c_str()) != 0 && errno != ENOENT)
      throw Error(Code::kFailed, "{}: cannot remove: {}", path, std::strerror(errno));
    result_.removed.push_back(path);
  }

  // Removes `folder` and what is above it, up to and without `top`, as far as they are empty.
  static void RemoveEmpty(fs::path folder, const fs::path& top) {
    while (folder != top && folder.has_parent_path() && rmdir(folder.c_str()) == 0)
      folder = folder.parent_path();
  }

  void RemoveLocal(const std::string& path) {
    const std::string top = store_.Folder(kLocalFolder);
    const std::string folder = top + "/" + Store::KeyOf(path);
    Unlink(folder + "/" + BaseName(path));
    RemoveEmpty(folder, store_.cache());
  }

  void RemoveSnapshotFiles(const ModelEntry& entry) {
    // The path is <cache>/<folder>/snapshots/<commit>/...
    const std::string rest = entry.paths[0].substr(store_.cache().size() + 1);
    const std::string folder = rest.substr(0, rest.find('/'));
    const std::string snapshots = store_.Folder(folder) + "/snapshots";

    std::vector<FileLock> locks;
    for (const std::string& path : entry.paths) {
      const std::string blob = BlobOf(path);
      if (blob.empty()) continue;
      auto lock = FileLock::Try(store_.LockPath(folder, blob));
      if (!lock)
        throw Error(Code::kFailed, "another process is downloading {}; wait until it is done",
                    BaseName(path));
      locks.push_back(std::move(*lock));
    }
    for (const std::string& path : entry.paths) {
      const std::string blob = BlobOf(path);
      if (blob.empty()) result_.freed_bytes += FileSize(path).value_or(0);
      Unlink(path);
      RemoveEmpty(fs::path(path).parent_path(), snapshots);
      if (blob.empty() || IsReferenced(store_, folder, blob)) continue;
      const std::string blob_path = store_.BlobPath(folder, blob);
      result_.freed_bytes += FileSize(blob_path).value_or(0);
      Unlink(blob_path);
    }
    if (entry.source.starts_with("http"))
      unlink((store_.Folder(folder) + "/urls/" + entry.revision).c_str());
    if (ListFolder(snapshots).empty()) RemoveRest(folder);
  }

  // Nothing of the repository is left but marks and pieces.
  void RemoveRest(const std::string& folder) {
    const std::string top = store_.Folder(folder);
    for (const std::string& name : ListFolder(top + "/blobs")) {
      if (!name.ends_with(".incomplete")) continue;
      const std::string path = top + "/blobs/" + name;
      const std::string key = name.substr(0, name.size() - std::strlen(".incomplete"));
      if (!FileLock::Try(store_.LockPath(folder, key))) continue;  // somebody is at it
      result_.freed_bytes += FileSize(path).value_or(0);
      RemovePartial(path);
    }
    std::error_code ignored;
    fs::remove_all(top + "/refs", ignored);
    fs::remove_all(top + "/.no_exist", ignored);
    for (const char* name : {"/snapshots", "/blobs", "/urls", ""}) rmdir((top + name).c_str());
  }

  Store store_;
  RemoveResult result_;
};

}  // namespace

RemoveResult RemoveModel(const std::string& name, const Settings& settings) {
  const Source source = ParseSource(name, settings.endpoint);
  const Store store(settings.cache);
  std::string wanted = name;
  if (source.kind == SourceKind::kHub) {
    const auto copy =
        FindLocalCopy(store, source, source.revision.empty() ? "main" : source.revision);
    if (!copy) throw Error(Code::kFailed, "{}: not in the local store", Shown(name));
    wanted = ModelPath(store, Store::HubFolder(source.repo), copy->commit, copy->choice);
  } else if (source.kind == SourceKind::kUrl) {
    wanted = ResolveModel(name, settings);
  } else {
    // A local file goes by its absolute path.
    std::error_code problem;
    if (fs::exists(source.path, problem))
      wanted = fs::absolute(source.path, problem).lexically_normal();
  }
  return Remover(settings).Run(FindModel(wanted, settings));
}

}  // namespace slm::hub
