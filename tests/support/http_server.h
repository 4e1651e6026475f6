// A small HTTP/1.1 server on 127.0.0.1 for tests: a function answers each request, and may lie,
// stall or cut the line.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace slm::testing {

struct ServerRequest {
  std::string method, target;                  // as sent, with the query
  std::map<std::string, std::string> headers;  // names in lower case

  std::string Header(const std::string& name) const;  // "" when absent
  std::string Path() const;                           // target without the query
};

struct ServerReply {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  bool says_length = true;          // Content-Length: body.size(), unless `headers` has one
  bool is_chunked = false;          // in chunks of 1000 bytes, without a length
  std::optional<size_t> cut_after;  // close the connection after so many bytes of the body
  size_t trickle_bytes = 0;         // send so many bytes, wait 20 ms, and so on
  int stall_ms = 0;                 // wait before the body
};

// The whole `content`, or the part that Range and If-Range ask for.
ServerReply ServeContent(const ServerRequest& request, const std::string& content,
                         const std::string& etag);

class HttpServer {
 public:
  using Handler = std::function<ServerReply(const ServerRequest&)>;

  explicit HttpServer(Handler handler);  // called from several threads, one call at a time
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  int port() const { return port_; }
  std::string url() const;  // http://127.0.0.1:port

  std::vector<ServerRequest> requests() const;         // so far
  uint64_t body_bytes() const { return body_bytes_; }  // of bodies, handed to the socket

 private:
  void Accept();
  void Serve(int fd);
  bool Answer(int fd, const ServerRequest& request, const ServerReply& reply);
  bool SendAll(int fd, std::string_view data);

  Handler handler_;
  int listener_ = -1, port_ = 0;
  std::atomic<bool> is_stopping_ = false;
  std::atomic<uint64_t> body_bytes_ = 0;
  mutable std::mutex mutex_;
  std::mutex handler_mutex_;
  std::vector<ServerRequest> requests_;
  std::vector<int> connections_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace slm::testing
