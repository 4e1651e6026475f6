// What the hub knows about a repository: one request for the commit and the list of its files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hub/http.h"
#include "hub/settings.h"

namespace slm::hub {

// As the server says it: names are not checked yet.
struct RepoFile {
  std::string path;
  std::optional<uint64_t> size;
  std::string digest;  // SHA-256 (LFS) or git blob; empty when the server does not say
};

struct Repository {
  std::string commit;
  std::vector<RepoFile> files;
};

// Reads the JSON of /api/models/{repo}/revision/{revision}?blobs=true. Throws Error kBadInput.
Repository ParseRepository(std::string_view json, const std::string& repo);

// Throws Error kFailed with advice (gated, not found, ...), NetworkError, kBadInput, kInterrupted.
Repository FetchRepository(HttpClient& client, const Settings& settings, const std::string& repo,
                           const std::string& revision);

// The download URL of a file at a commit.
std::string ResolveFileUrl(const Settings& settings, const std::string& repo,
                           const std::string& commit, const std::string& path);

// Fills in the size and digest of `file` from the headers of its download URL, for servers whose
// list lacks them. Throws as FetchRepository.
void FetchFileFacts(HttpClient& client, const Settings& settings, const std::string& repo,
                    const std::string& commit, RepoFile* file);

}  // namespace slm::hub
