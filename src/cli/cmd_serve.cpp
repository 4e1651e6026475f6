#include <cstdio>
#include <filesystem>

#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/loras.h"
#include "cli/options.h"
#include "serve/http_server.h"

namespace slm::cli {
namespace {

struct Flags {
  ModelOptions model;
  std::string lookup;
  serve::ServerOptions server;
};

void Run(Flags flags) {
  std::optional<engine::Speculator> speculator = ParseLookup(flags.lookup);
  LoadedModel loaded(flags.model);
  engine::Session session = loaded.NewSession();
  const std::string name =
      WithLoras(std::filesystem::path(loaded.model()->file().path()).stem(), flags.model.loras);
  const InterruptGuard interrupt;
  flags.server.is_stopped = InterruptGuard::IsInterrupted;
  flags.server.on_ready = [&](uint16_t port) {
    const std::string& host = flags.server.host;
    const bool is_ipv6 = host.find(':') != std::string::npos;
    std::fprintf(stderr, "slm: serving %s on http://%s:%d/v1\n", name.c_str(),
                 (is_ipv6 ? "[" + host + "]" : host).c_str(), port);
  };
  serve::Serve({name, &loaded.tokenizer(), &loaded.chat_template(), &loaded.executor(), &session,
                speculator ? &*speculator : nullptr},
               flags.server);
}

}  // namespace

Work DeclareServe(CLI::App* app) {
  auto flags = std::make_shared<Flags>();
  AddModelOptions(app, &flags->model);
  AddChatTemplateFile(app, &flags->model.chat_template_file);
  AddLookup(app, &flags->lookup);
  AddOption(app, "--host", flags->server.host, "Address to listen on");
  AddOption(app, "--port", flags->server.port, "Port to listen on; 0: any free one");
  return [flags] { Run(*flags); };
}

}  // namespace slm::cli
