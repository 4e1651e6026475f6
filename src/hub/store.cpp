#include "hub/store.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "hub/digest.h"
#include "hub/download.h"
#include "hub/file.h"
#include "hub/names.h"
#include "hub/url.h"

namespace slm::hub {
namespace {

constexpr size_t kKeyDigits = 40;
constexpr size_t kMaxRefBytes = 256;

std::string Parent(const std::string& path) { return std::filesystem::path(path).parent_path(); }

}  // namespace

std::string Store::HubFolder(const std::string& repo) {
  SLM_CHECK(IsRepoId(repo));
  std::string folder = kHubPrefix;
  for (const char c : repo) {
    if (c == '/')
      folder += "--";
    else
      folder += c;
  }
  return folder;
}

std::string Store::UrlFolder(const std::string& url) {
  const UrlParts parts = SplitUrl(url);
  std::string host = parts.host;
  if (parts.port != (parts.scheme == "https" ? "443" : "80")) host += "_" + parts.port;
  for (char& c : host) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
    if (!is_plain) c = '_';
  }
  return kUrlPrefix + host.substr(0, 200);
}

std::string Store::RepoOfFolder(const std::string& folder) {
  if (!folder.starts_with(kHubPrefix)) return "";
  std::string repo = folder.substr(std::strlen(kHubPrefix));
  // The hub allows no "--" in names, so this is unique.
  for (size_t at = repo.find("--"); at != std::string::npos; at = repo.find("--", at))
    repo.erase(at, 1)[at] = '/';
  return repo;
}

std::string Store::KeyOf(const std::string& text) { return Sha256(text).substr(0, kKeyDigits); }

std::string Store::BlobPath(const std::string& folder, const std::string& blob) const {
  return Folder(folder) + "/blobs/" + blob;
}

std::string Store::SnapshotPath(const std::string& folder, const std::string& commit) const {
  return Folder(folder) + "/snapshots/" + commit;
}

std::string Store::FilePath(const std::string& folder, const std::string& commit,
                            const std::string& file) const {
  return SnapshotPath(folder, commit) + "/" + file;
}

std::string Store::LockPath(const std::string& folder, const std::string& key) const {
  return cache_ + "/.locks/" + folder + "/" + key + ".lock";
}

std::optional<std::string> Store::ReadRef(const std::string& folder,
                                          const std::string& revision) const {
  if (IsCommit(revision)) return revision;
  if (!IsSafePath(revision)) return std::nullopt;
  std::string commit = ReadStart(Folder(folder) + "/refs/" + revision, kMaxRefBytes).value_or("");
  while (!commit.empty() && (commit.back() == '\n' || commit.back() == ' ')) commit.pop_back();
  if (!IsCommit(commit)) return std::nullopt;
  return commit;
}

void Store::WriteRef(const std::string& folder, const std::string& revision,
                     const std::string& commit) const {
  SLM_CHECK(IsSafePath(revision) && IsCommit(commit));
  if (revision == commit || ReadRef(folder, revision) == commit) return;
  const std::string path = Folder(folder) + "/refs/" + revision;
  MakeFolders(Parent(path));
  WriteFileAtomically(path, commit);
}

void Store::Publish(const std::string& folder, const std::string& partial,
                    const std::string& blob) const {
  const std::string path = BlobPath(folder, blob);
  if (std::rename(partial.c_str(), path.c_str()) != 0)
    throw Error(Code::kFailed, "{}: cannot rename to {}: {}", partial, path, std::strerror(errno));
  RemovePartial(partial);
  SyncFolder(Parent(path));
}

void Store::Link(const std::string& folder, const std::string& commit, const std::string& file,
                 const std::string& blob) const {
  SLM_CHECK(IsSafePath(file) && IsCommit(commit) && IsDigest(blob));
  const std::string path = FilePath(folder, commit, file);
  std::string target;
  for (const char c : file) {
    if (c == '/') target += "../";
  }
  target += "../../blobs/" + blob;
  std::error_code ignored;
  if (std::filesystem::read_symlink(path, ignored) == target) return;
  MakeFolders(Parent(path));
  LinkAtomically(path, target);
}

std::string Store::RegisterLocal(const std::string& path) const {
  const std::string folder = Folder(kLocalFolder) + "/" + KeyOf(path);
  const std::string link = folder + "/" + BaseName(path);
  std::error_code ignored;
  if (std::filesystem::read_symlink(link, ignored) == path) return link;
  MakeFolders(folder);
  LinkAtomically(link, path);
  return link;
}

}  // namespace slm::hub
