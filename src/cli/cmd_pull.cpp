#include <cctype>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/options.h"
#include "hub/pull.h"

namespace slm::cli {
namespace {

struct Flags {
  hub::PullOptions options;
  bool is_json = false;
};

void Run(Flags flags) {
  const InterruptGuard interrupt;
  ProgressBar progress;
  flags.options.settings = hub::SettingsFromEnvironment();
  flags.options.is_cancelled = InterruptGuard::IsInterrupted;
  flags.options.progress = &progress;
  flags.options.on_notice = [&](const std::string& text) {
    progress.Clear();
    std::fprintf(stderr, "slm: %s\n", text.c_str());
  };
  for (char& c : flags.options.sha256)
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  const hub::PullResult result = hub::Pull(flags.options);
  if (!result.note.empty()) std::fprintf(stderr, "slm: %s\n", result.note.c_str());
  if (!flags.is_json) {
    std::printf("%s\n", result.path.c_str());
    return;
  }
  const nlohmann::ordered_json json = {
      {"path", result.path},     {"files", result.files},
      {"bytes", result.bytes},   {"received_bytes", result.received_bytes},
      {"source", result.source}, {"revision", result.revision}};
  std::printf("%s\n", json.dump().c_str());
}

}  // namespace

Work DeclarePull(CLI::App* app) {
  auto flags = std::make_shared<Flags>();
  hub::PullOptions& o = flags->options;
  app->add_option("source", o.source,
                  "hf:user/repo[:quant], hf:user/repo/file.gguf, a URL, or a local file")
      ->required();
  app->add_option("--sha256", o.sha256, "What the file's SHA-256 must be");
  app->add_option("--revision", o.revision, "Branch, tag or commit of a hub source")
      ->capture_default_str();
  app->add_flag("--force", o.is_forced, "Download again what a URL gave before");
  AddJson(app, &flags->is_json);
  return [flags] { Run(*flags); };
}

}  // namespace slm::cli
