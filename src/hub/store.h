// The folder layout of the hub cache, as huggingface_hub defines it:
//
//   models--user--name/blobs/<digest>                  the content, named by its SHA-256 or git
//   blob models--user--name/blobs/<digest>.incomplete       a download that may be continued
//   models--user--name/refs/<revision>                 the commit that a branch or tag stood at
//   models--user--name/snapshots/<commit>/<file>       a relative link to the blob
//   .locks/models--user--name/<digest>.lock            flock(2)
//
// and two kinds of folders beside it that huggingface_hub does not look into:
//
//   urls--host/{blobs,snapshots}                       <commit> is the start of the URL's SHA-256
//   urls--host/urls/<commit>                           the URL, without what may be secret
//   local--files/<start of the path's SHA-256>/<file>  a link to a file elsewhere
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace slm::hub {

inline constexpr const char* kHubPrefix = "models--";
inline constexpr const char* kUrlPrefix = "urls--";
inline constexpr const char* kLocalFolder = "local--files";

class Store {
 public:
  explicit Store(std::string cache) : cache_(std::move(cache)) {}

  const std::string& cache() const { return cache_; }

  // Names of folders right below the cache.
  static std::string HubFolder(const std::string& repo);
  static std::string UrlFolder(const std::string& url);
  static std::string RepoOfFolder(const std::string& folder);  // user/name; "" when none

  // 40 hex digits that stand for a URL or a path where the hub has a commit.
  static std::string KeyOf(const std::string& text);

  std::string Folder(const std::string& folder) const { return cache_ + "/" + folder; }
  std::string BlobPath(const std::string& folder, const std::string& blob) const;
  std::string SnapshotPath(const std::string& folder, const std::string& commit) const;
  std::string FilePath(const std::string& folder, const std::string& commit,
                       const std::string& file) const;
  std::string LockPath(const std::string& folder, const std::string& key) const;

  // The commit that `revision` stood at when it was last asked for; a commit stands for itself.
  std::optional<std::string> ReadRef(const std::string& folder, const std::string& revision) const;
  void WriteRef(const std::string& folder, const std::string& revision,
                const std::string& commit) const;

  // Renames the complete and flushed `partial` to its blob and makes that durable.
  void Publish(const std::string& folder, const std::string& partial,
               const std::string& blob) const;

  // Makes snapshots/<commit>/<file> a link to the blob. Throws Error kFailed.
  void Link(const std::string& folder, const std::string& commit, const std::string& file,
            const std::string& blob) const;

  // Remembers a file that lies elsewhere; returns the path of the link.
  std::string RegisterLocal(const std::string& path) const;

 private:
  std::string cache_;
};

}  // namespace slm::hub
