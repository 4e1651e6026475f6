// One file from a URL into a partial file on disk: resumed, retried and verified. Nothing is
// renamed here; the store does that.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/progress.h"
#include "hub/http.h"
#include "hub/settings.h"

namespace slm::hub {

struct Download {
  std::string url;
  std::string partial;           // path; its folder exists and the caller holds the lock for it
  std::string name;              // for messages and the progress bar
  std::string repo;              // user/name, or empty: for advice on errors
  std::optional<uint64_t> size;  // promised
  std::string digest;            // SHA-256 or git blob in hex, or empty: unknown
  bool sends_token = false;
};

struct Downloaded {
  uint64_t bytes = 0;     // of the file
  uint64_t received = 0;  // by this call
  std::string sha256;
};

// What is in `partial` already is kept when it can be continued: with a known digest, or under
// the ETag or date that <partial>.validator holds. Afterwards the file is complete, verified and
// flushed to disk. Throws Error: kFailed for a full disk (the partial file stays), a wrong size or
// digest (it is removed), a refusal of the server; NetworkError (it stays); kInterrupted (it
// stays).
Downloaded Fetch(HttpClient& client, const Download& download, const Settings& settings,
                 Progress* progress);

// Removes the partial file and what belongs to it.
void RemovePartial(const std::string& partial);

}  // namespace slm::hub
