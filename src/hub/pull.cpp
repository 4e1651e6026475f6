#include "hub/pull.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "base/error.h"
#include "hub/digest.h"
#include "hub/download.h"
#include "hub/file.h"
#include "hub/http.h"
#include "hub/names.h"
#include "hub/repository.h"
#include "hub/scan.h"
#include "hub/source.h"
#include "hub/store.h"
#include "hub/url.h"

namespace slm::hub {
namespace {

// Tells what a file is that should be a GGUF model. Throws Error kBadInput.
void CheckGguf(const std::string& path, const std::string& name) {
  const std::string start = ReadStart(path, 64).value_or("");
  if (start.starts_with("GGUF")) return;
  std::string found = "it begins with '" + Shown(start.substr(0, 16)) + "'";
  if (start.empty()) found = "it is empty";
  if (start.starts_with("version https://git-lfs")) found = "it is a Git LFS pointer, not the file";
  if (start.starts_with("<")) found = "it is a web page";
  throw Error(Code::kBadInput, "{}: not a GGUF file: {}", Shown(name), found);
}

class Puller {
 public:
  explicit Puller(const PullOptions& options)
      : options_(options),
        settings_(options.settings),
        store_(options.settings.cache),
        client_(options.settings.limits, options.is_cancelled, options.on_notice) {
    if (!options.sha256.empty() && !IsSha256(options.sha256))
      throw Error(Code::kUsage, "{}: not a SHA-256: expected 64 hex digits", Shown(options.sha256));
  }

  PullResult Run() {
    const Source source = ParseSource(options_.source, settings_.endpoint);
    switch (source.kind) {
      case SourceKind::kHub:
        PullHub(source);
        break;
      case SourceKind::kUrl:
        PullUrl(source.url);
        break;
      case SourceKind::kFile:
        PullFile(source.path);
        break;
    }
    for (const std::string& file : result_.files) result_.bytes += FileSize(file).value_or(0);
    return std::move(result_);
  }

 private:
  // --- the hub

  void PullHub(const Source& source) {
    const std::string revision = source.revision.empty() ? options_.revision : source.revision;
    if (!IsSafePath(revision))
      throw Error(Code::kUsage, "{}: not a branch, tag or commit", Shown(revision));
    result_.source = "hf:" + source.repo;
    const auto local = FindLocalCopy(store_, source, revision);
    if (settings_.is_offline) {
      if (!local)
        throw Error(Code::kFailed, "{}: not in the local store, and HF_HUB_OFFLINE is set",
                    Shown(options_.source));
      return UseLocal(source, *local, "HF_HUB_OFFLINE is set: not compared with the hub");
    }
    Repository repository;
    try {
      repository = FetchRepository(client_, settings_, source.repo, revision);
    } catch (const NetworkError& problem) {
      if (!local) throw;
      return UseLocal(
          source, *local,
          fmt::format("the hub does not answer, so this is the local copy: {}", problem.what()));
    }
    FetchAll(source, revision, repository);
  }

  void UseLocal(const Source& source, const LocalCopy& copy, const std::string& note) {
    const std::string folder = Store::HubFolder(source.repo);
    result_.path = ModelPath(store_, folder, copy.commit, copy.choice);
    for (const std::string& file : copy.choice.files)
      result_.files.push_back(store_.FilePath(folder, copy.commit, file));
    CheckLocalDigest();
    result_.revision = copy.commit;
    result_.note = note;
  }

  void FetchAll(const Source& source, const std::string& revision, const Repository& repository) {
    const std::string folder = Store::HubFolder(source.repo);
    std::vector<std::string> names;
    for (const RepoFile& file : repository.files) names.push_back(file.path);
    const Choice choice = ChooseFiles(names, source.file, source.quant, source.repo);
    if (choice.is_folder)
      client_.Notify(source.repo +
                     ": no GGUF files, so this is a checkpoint; slm cannot run it before it is "
                     "converted");
    if (!options_.sha256.empty() && choice.files.size() > 1)
      throw Error(Code::kUsage, "{}: {} files, so one SHA-256 cannot be theirs",
                  Shown(options_.source), choice.files.size());

    std::vector<RepoFile> files;
    for (const std::string& name : choice.files) {
      files.push_back(*std::find_if(repository.files.begin(), repository.files.end(),
                                    [&](const RepoFile& file) { return file.path == name; }));
      Check(source.repo, repository.commit, &files.back());
    }
    CheckRoom(folder, files);
    for (const RepoFile& file : files) {
      FetchBlob(source.repo, repository.commit, file);
      store_.Link(folder, repository.commit, file.path, file.digest);
      result_.files.push_back(store_.FilePath(folder, repository.commit, file.path));
    }
    // Last, so that the branch never stands at a commit whose files are not there.
    store_.WriteRef(folder, revision, repository.commit);
    result_.path = ModelPath(store_, folder, repository.commit, choice);
    result_.revision = repository.commit;
  }

  // What the server says about a file, before any of it becomes a path.
  void Check(const std::string& repo, const std::string& commit, RepoFile* file) {
    if (!IsSafePath(file->path))
      throw Error(Code::kBadInput, "{}: the hub lists a file with an unsafe name: '{}'", repo,
                  Shown(file->path));
    if (file->digest.empty() || !file->size) FetchFileFacts(client_, settings_, repo, commit, file);
    if (!IsDigest(file->digest))
      throw Error(Code::kBadInput, "{}/{}: expected a digest of 40 or 64 hex digits, got '{}'",
                  repo, Shown(file->path), Shown(file->digest));
    if (!options_.sha256.empty() && IsSha256(file->digest) && file->digest != options_.sha256)
      throw Error(Code::kFailed, "{}/{}: SHA-256 {} was asked for, the hub has {}", repo,
                  Shown(file->path), options_.sha256, file->digest);
  }

  bool IsThere(const std::string& path, const std::string& digest, std::optional<uint64_t> size) {
    const auto found = FileSize(path);
    if (!found || (size && *found != *size)) return false;
    return !options_.is_forced || FileDigest(path, digest, options_.is_cancelled) == digest;
  }

  // All parts together, so that a split model fails at once and not after hours.
  void CheckRoom(const std::string& folder, const std::vector<RepoFile>& files) {
    uint64_t needed = 0;
    for (const RepoFile& file : files) {
      const std::string blob = store_.BlobPath(folder, file.digest);
      const uint64_t size = file.size.value_or(0);
      if (FileSize(blob) == file.size) continue;
      const uint64_t rest = size - std::min(size, FileSize(blob + ".incomplete").value_or(0));
      needed = needed + rest < needed ? UINT64_MAX : needed + rest;
    }
    if (needed == 0) return;
    MakeFolders(store_.Folder(folder) + "/blobs");
    const auto free = FreeBytes(store_.Folder(folder));
    if (free && *free < needed)
      throw Error(
          Code::kFailed,
          "{}: the disk is too full: {} more needed, {} free; make room, or set HF_HUB_CACHE "
          "to a folder on another disk",
          store_.cache(), FormatBytes(needed), FormatBytes(*free));
  }

  FileLock Lock(const std::string& folder, const std::string& key, const std::string& name) {
    auto lock = FileLock::Try(store_.LockPath(folder, key));
    if (!lock)
      throw Error(Code::kFailed, "another process is downloading {}; wait until it is done",
                  Shown(name));
    return std::move(*lock);
  }

  void FetchBlob(const std::string& repo, const std::string& commit, const RepoFile& file) {
    const std::string folder = Store::HubFolder(repo);
    const std::string blob = store_.BlobPath(folder, file.digest);
    if (IsThere(blob, file.digest, file.size)) return CheckLocalDigest(blob);
    const FileLock lock = Lock(folder, file.digest, repo + "/" + file.path);
    if (IsThere(blob, file.digest, file.size)) return CheckLocalDigest(blob);
    MakeFolders(store_.Folder(folder) + "/blobs");
    Download download;
    download.url = ResolveFileUrl(settings_, repo, commit, file.path);
    download.partial = blob + ".incomplete";
    download.name = Shown(BaseName(file.path));
    download.repo = repo;
    download.size = file.size;
    download.digest = file.digest;
    download.sends_token = true;
    const Downloaded done = Fetch(client_, download, settings_, options_.progress);
    result_.received_bytes += done.received;
    if (!options_.sha256.empty() && done.sha256 != options_.sha256) {
      RemovePartial(download.partial);
      throw Error(Code::kFailed, "{}: SHA-256 {} was asked for, got {}", download.name,
                  options_.sha256, done.sha256);
    }
    store_.Publish(folder, download.partial, file.digest);
  }

  // For what was there already: the user's digest, when the name of the blob is not that.
  void CheckLocalDigest(const std::string& path) const {
    if (options_.sha256.empty() || BaseName(path) == options_.sha256) return;
    if (const std::string got = FileSha256(path, options_.is_cancelled); got != options_.sha256)
      throw Error(Code::kFailed, "{}: SHA-256 {} was asked for, the file has {}", path,
                  options_.sha256, got);
  }
  void CheckLocalDigest() const {
    for (const std::string& file : result_.files) CheckLocalDigest(file);
  }

  // --- other URLs

  void PullUrl(const std::string& url) {
    const std::string folder = Store::UrlFolder(url);
    const std::string path = SplitUrl(url).path;
    const auto name = ParseModelFileName(path);
    const int parts = name ? name->parts : 1;
    if (parts > 1 && !options_.sha256.empty())
      throw Error(Code::kUsage, "{}: {} files, so one SHA-256 cannot be theirs", ShownUrl(url),
                  parts);
    if (parts > 1 && url.find(path) == std::string::npos)
      throw Error(Code::kUsage, "{}: cannot tell the other parts of this URL", ShownUrl(url));

    // All parts lie in one folder, under the URL of the first: a loader looks for them there.
    std::vector<std::string> urls = {url};
    for (int part = 1; parts > 1 && part <= parts; ++part) {
      urls.resize(static_cast<size_t>(parts));
      std::string& one = urls[static_cast<size_t>(part) - 1] = url;
      one.replace(url.find(path), path.size(), SplitPartName(*name, part));
    }
    const std::string commit = Store::KeyOf(urls[0]);
    for (const std::string& one : urls) FetchUrl(one, folder, commit);
    result_.path = result_.files[0];
    result_.source = ShownUrl(urls[0]);
  }

  void FetchUrl(const std::string& url, const std::string& folder, const std::string& commit) {
    std::string file = UnescapeUrl(BaseName(SplitUrl(url).path));
    if (!IsSafePath(file) || file.find('/') != std::string::npos) file = "download";
    const std::string path = store_.FilePath(folder, commit, file);
    result_.files.push_back(path);
    const auto is_there = [&] {
      return !options_.is_forced && FileSize(path) &&
             (options_.sha256.empty() ||
              FileSha256(path, options_.is_cancelled) == options_.sha256);
    };
    if (is_there()) {
      result_.note = "it was downloaded before and is not compared with the server";
      return;
    }
    if (settings_.is_offline)
      throw Error(Code::kFailed, "{}: not in the local store, and HF_HUB_OFFLINE is set",
                  ShownUrl(url));
    const std::string key = Store::KeyOf(url);
    const FileLock lock = Lock(folder, key, ShownUrl(url));
    if (is_there()) return;
    MakeFolders(store_.Folder(folder) + "/blobs");
    Download download;
    download.url = url;
    download.partial = store_.BlobPath(folder, key + ".incomplete");
    download.name = Shown(file);
    download.digest = options_.sha256;
    // Only if the URL happens to be one of the hub's: http.h looks at the origin.
    download.sends_token = true;
    const Downloaded done = Fetch(client_, download, settings_, options_.progress);
    result_.received_bytes += done.received;
    try {
      CheckGguf(download.partial, file);
    } catch (...) {
      RemovePartial(download.partial);
      throw;
    }
    MakeFolders(store_.Folder(folder) + "/urls");
    WriteFileAtomically(store_.Folder(folder) + "/urls/" + commit, ShownUrl(url));
    const std::string before = BlobOf(path);
    store_.Publish(folder, download.partial, done.sha256);
    store_.Link(folder, commit, file, done.sha256);
    if (!before.empty() && before != done.sha256 && !IsReferenced(store_, folder, before))
      std::remove(store_.BlobPath(folder, before).c_str());
  }

  // --- local files

  void PullFile(const std::string& given) {
    namespace fs = std::filesystem;
    std::error_code problem;
    const std::string path = fs::absolute(given, problem).lexically_normal();
    const fs::file_status status = fs::status(path, problem);
    if (!fs::exists(status)) {
      const bool looks_like_hub = IsRepoId(given.substr(0, given.find(':')));
      throw Error(Code::kFailed, "{}: no such file{}", Shown(given),
                  looks_like_hub ? "; for the hub write hf:" + given : "");
    }
    if (!fs::is_regular_file(status))
      throw Error(Code::kBadInput, "{}: not a regular file", Shown(given));
    const auto name = ParseModelFileName(path);
    if (name && name->parts > 1) {
      for (int part = 1; part <= name->parts; ++part) {
        result_.files.push_back(SplitPartName(*name, part));
        if (!FileSize(result_.files.back()))
          throw Error(Code::kBadInput, "{}: part {} of {} is missing: {}", Shown(given), part,
                      name->parts, result_.files.back());
      }
    } else {
      result_.files.push_back(path);
    }
    if (result_.files.size() > 1 && !options_.sha256.empty())
      throw Error(Code::kUsage, "{}: {} files, so one SHA-256 cannot be theirs", Shown(given),
                  result_.files.size());
    for (const std::string& file : result_.files) CheckGguf(file, file);
    CheckLocalDigest();
    result_.path = result_.files[0];
    result_.source = "file://" + EscapeUrl(result_.path, true);
    if (result_.path.starts_with(store_.cache() + "/")) return;  // the store knows it already
    try {
      store_.RegisterLocal(result_.path);
    } catch (const Error& why) {
      result_.note = fmt::format("it will not show up in the list of models: {}", why.what());
    }
  }

  const PullOptions& options_;
  const Settings& settings_;
  Store store_;
  HttpClient client_;
  PullResult result_;
};

}  // namespace

PullResult Pull(const PullOptions& options) { return Puller(options).Run(); }

}  // namespace slm::hub
