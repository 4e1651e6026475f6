#include "support/http_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <string_view>

namespace slm::testing {
namespace {

constexpr size_t kChunkBytes = 1000;

std::optional<ServerRequest> ReadRequest(int fd, std::string* buffer) {
  size_t end = 0;
  while ((end = buffer->find("\r\n\r\n")) == std::string::npos) {
    char block[4096];
    const ssize_t got = recv(fd, block, sizeof block, 0);
    if (got <= 0 || buffer->size() > 1 << 20) return std::nullopt;
    buffer->append(block, static_cast<size_t>(got));
  }
  const std::string head = buffer->substr(0, end + 2);
  buffer->erase(0, end + 4);
  ServerRequest request;
  const size_t first = head.find(' '), second = head.find(' ', first + 1);
  request.method = head.substr(0, first);
  request.target = head.substr(first + 1, second - first - 1);
  for (size_t at = head.find("\r\n") + 2; at < head.size();) {
    const size_t stop = head.find("\r\n", at), colon = head.find(':', at);
    std::string name = head.substr(at, colon - at);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    size_t value = colon + 1;
    while (head[value] == ' ') ++value;
    request.headers[name] = head.substr(value, stop - value);
    at = stop + 2;
  }
  return request;
}

}  // namespace

std::string ServerRequest::Header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? "" : found->second;
}

std::string ServerRequest::Path() const { return target.substr(0, target.find('?')); }

ServerReply ServeContent(const ServerRequest& request, const std::string& content,
                         const std::string& etag) {
  ServerReply reply;
  reply.headers = {{"ETag", etag}, {"Accept-Ranges", "bytes"}};
  const std::string range = request.Header("range"), condition = request.Header("if-range");
  if (!range.starts_with("bytes=") || (!condition.empty() && condition != etag)) {
    reply.body = content;
    return reply;
  }
  const size_t begin = std::stoul(range.substr(6));
  if (begin >= content.size()) {
    reply.status = 416;
    reply.headers.emplace_back("Content-Range", fmt::format("bytes */{}", content.size()));
    return reply;
  }
  reply.status = 206;
  reply.headers.emplace_back(
      "Content-Range", fmt::format("bytes {}-{}/{}", begin, content.size() - 1, content.size()));
  reply.body = content.substr(begin);
  return reply;
}

HttpServer::HttpServer(Handler handler) : handler_(std::move(handler)) {
  setenv("no_proxy", "127.0.0.1,localhost", 1);  // a proxy of the machine is not for these tests
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      listen(listener_, 16) != 0 ||
      getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    throw std::runtime_error("cannot listen on the loopback interface");
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

HttpServer::~HttpServer() {
  is_stopping_ = true;
  acceptor_.join();
  close(listener_);
  {
    const std::lock_guard lock(mutex_);
    for (const int fd : connections_) shutdown(fd, SHUT_RDWR);
  }
  for (std::thread& thread : threads_) thread.join();
  for (const int fd : connections_) close(fd);
}

std::string HttpServer::url() const { return fmt::format("http://127.0.0.1:{}", port_); }

std::vector<ServerRequest> HttpServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

void HttpServer::Accept() {
  while (!is_stopping_) {
    pollfd waiting = {listener_, POLLIN, 0};
    if (poll(&waiting, 1, 10) <= 0) continue;
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    const std::lock_guard lock(mutex_);
    connections_.push_back(fd);  // closed by the destructor, so that the number stays ours
    threads_.emplace_back([this, fd] { Serve(fd); });
  }
}

void HttpServer::Serve(int fd) {
  std::string buffer;
  while (!is_stopping_) {
    const auto request = ReadRequest(fd, &buffer);
    if (!request) break;
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(*request);
    }
    ServerReply reply;
    {
      const std::lock_guard lock(handler_mutex_);
      reply = handler_(*request);
    }
    if (!Answer(fd, *request, reply)) break;
  }
  shutdown(fd, SHUT_RDWR);
}

bool HttpServer::SendAll(int fd, std::string_view data) {
  while (!data.empty()) {
    const ssize_t put = send(fd, data.data(), data.size(), MSG_NOSIGNAL);
    if (put <= 0) return false;
    data.remove_prefix(static_cast<size_t>(put));
  }
  return true;
}

// False when the connection is to be closed.
bool HttpServer::Answer(int fd, const ServerRequest& request, const ServerReply& reply) {
  std::string head = fmt::format("HTTP/1.1 {} Test\r\n", reply.status);
  bool has_length = false;
  for (const auto& [name, value] : reply.headers) {
    head += name + ": " + value + "\r\n";
    has_length |= name == "Content-Length";
  }
  if (reply.is_chunked)
    head += "Transfer-Encoding: chunked\r\n";
  else if (reply.says_length && !has_length)
    head += fmt::format("Content-Length: {}\r\n", reply.body.size());
  if (!SendAll(fd, head + "\r\n")) return false;
  if (request.method == "HEAD") return true;
  for (int waited = 0; waited < reply.stall_ms && !is_stopping_; waited += 10)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));

  std::string_view rest = reply.body;
  if (reply.cut_after) rest = rest.substr(0, *reply.cut_after);
  while (!rest.empty() && !is_stopping_) {
    size_t step = rest.size();
    if (reply.is_chunked) step = std::min(step, kChunkBytes);
    if (reply.trickle_bytes > 0) step = std::min(step, reply.trickle_bytes);
    const std::string part(rest.substr(0, step));
    if (!SendAll(fd, reply.is_chunked ? fmt::format("{:x}\r\n{}\r\n", step, part) : part))
      return false;
    body_bytes_ += step;
    rest.remove_prefix(step);
    if (reply.trickle_bytes > 0) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  if (reply.cut_after) return false;
  if (reply.is_chunked) return SendAll(fd, "0\r\n\r\n");
  return reply.says_length && !has_length;
}

}  // namespace slm::testing
