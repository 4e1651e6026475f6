// HTTP in front of ChatApi: POST /v1/chat/completions, GET /v1/models and /health. One answer is
// generated at a time: a request that comes meanwhile waits for its turn. The only file that sees
// the HTTP library.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "serve/chat_api.h"

namespace slm::serve {

struct ServerOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 8080;  // 0: any free one
  std::function<void(uint16_t port)> on_ready;
  // Asked several times a second, from several threads; ends what is being answered, too.
  std::function<bool()> is_stopped;
};

// Serves until is_stopped. A client that leaves ends its answer. Throws kFailed when the address
// cannot be used.
void Serve(const ServedModel& model, const ServerOptions& options);

}  // namespace slm::serve
