// Walks through the local store.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "hub/names.h"
#include "hub/source.h"
#include "hub/store.h"

namespace slm::hub {

// Names of the entries of a folder, sorted; empty when it cannot be read.
std::vector<std::string> ListFolder(const std::string& path);

// The paths of the files below a snapshot that are there (links to nothing are not), sorted.
std::vector<std::string> ListFiles(const std::string& folder);

// The commits that the refs of a repository name.
std::vector<std::string> ListRefs(const std::string& repo_folder);

// The blob that a link of a snapshot points to; empty when it is no such link.
std::string BlobOf(const std::string& path);

// True when some snapshot of the folder has a link to the blob.
bool IsReferenced(const Store& store, const std::string& folder, const std::string& blob);

struct LocalCopy {
  std::string commit;
  Choice choice;
};

// A complete copy of a hub source at `revision`, or nothing. When no commit is on record for
// "main", the newest snapshot that has it serves.
std::optional<LocalCopy> FindLocalCopy(const Store& store, const Source& source,
                                       const std::string& revision);

// The path of the model in a snapshot: the first file, or the folder.
std::string ModelPath(const Store& store, const std::string& folder, const std::string& commit,
                      const Choice& choice);

}  // namespace slm::hub
