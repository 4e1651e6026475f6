// HTTP in front of ChatApi: POST /v1/chat/completions, GET /v1/models and /health. One request at a
// time: a request that comes meanwhile waits. The only file that sees the HTTP library.
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
  std::function<bool()>
      is_stopped;  // asked between connections and several times a second while idle
};

// Serves until is_stopped. Throws kFailed when the address cannot be used.
void Serve(const ServedModel& model, const ServerOptions& options);

}  // namespace slm::serve
