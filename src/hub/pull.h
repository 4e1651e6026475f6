// `slm pull`: get a model into the local store, or find it there.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/progress.h"
#include "hub/settings.h"

namespace slm::hub {

struct PullOptions {
  std::string source;             // hf:user/repo[:quant], hf:user/repo/file, a URL, or a local path
  std::string sha256;             // expected, 64 hex digits; empty: what the hub says
  std::string revision = "main";  // of hf: sources: branch, tag or commit
  bool is_forced = false;         // download again what a URL gave before
  Settings settings;              // e.g. SettingsFromEnvironment()
  std::function<bool()> is_cancelled;  // asked often, from this thread; may be empty
  Progress* progress = nullptr;
  // What the user should know while it runs, e.g. that a connection is tried again; may be empty.
  std::function<void(const std::string&)> on_notice;
};

struct PullResult {
  std::string path;                // of the model, or of the first part of a split one
  std::vector<std::string> files;  // all parts
  uint64_t bytes = 0;              // of all files
  uint64_t received_bytes = 0;     // over the network, now
  std::string source;              // normalised, without secrets
  std::string revision;            // the commit of a hub source
  std::string note;  // what the user should know afterwards, e.g. that the hub is not reachable
};

// Downloads what is not there yet; files that huggingface_hub downloaded are used as they are. A
// local file is checked and remembered for `slm models`, never copied or changed. When the hub
// cannot be reached (or settings.is_offline), a complete local copy serves. Throws Error: kUsage
// for a bad source, kFailed (network, disk, another process downloads the same file, wrong digest),
// kBadInput (the server's answer or the file makes no sense), kInterrupted.
// The program ignores SIGPIPE and SIGXFSZ, so that a cut line and a file size limit become errors.
PullResult Pull(const PullOptions& options);

}  // namespace slm::hub
