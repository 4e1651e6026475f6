// A hub and its content server on the loopback interface, serving one repository.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "hub/pull.h"
#include "hub/settings.h"
#include "support/http_server.h"
#include "support/temp_folder.h"

namespace slm::hub {

// A GGUF magic and `bytes` of noise in all.
std::string FakeModel(size_t bytes, unsigned seed);

// What a command would see, without patience: waits are a few milliseconds.
Settings TestSettings(const std::string& cache, const std::string& endpoint);

class FakeHub {
 public:
  using Override =
      std::function<std::optional<testing::ServerReply>(const testing::ServerRequest&)>;

  FakeHub();

  // Adds a file (LFS unless `is_git`) and moves the branch to a new commit.
  void Add(const std::string& path, const std::string& content, bool is_git = false);
  void Remove(const std::string& path);

  Settings settings() const { return TestSettings(folder / "hub", hub.url()); }
  PullOptions options(const std::string& source) const;
  std::string commit() const;
  std::string Blob(const std::string& path) const;  // the path of its blob in the cache
  // Range headers of the requests that the content server saw.
  std::vector<std::string> Ranges() const;

  testing::TempFolder folder;
  std::string repo = "acme/tiny-GGUF";
  std::string list;              // sent in place of the JSON list when not empty
  bool lists_digests = true;     // false: as if the server knew no ?blobs=true
  Override on_hub, on_cdn;       // an answer of its own, or nothing for the usual one
  testing::HttpServer cdn, hub;  // last: no request comes before all else is there

 private:
  struct File {
    std::string content, digest;
    bool is_git = false;
  };

  testing::ServerReply Hub(const testing::ServerRequest& request);
  testing::ServerReply Cdn(const testing::ServerRequest& request);
  std::string List() const;

  std::map<std::string, File> files_;
  int version_ = 0;
};

}  // namespace slm::hub
