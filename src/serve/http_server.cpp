#include "serve/http_server.h"

#include <sys/socket.h>

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <cerrno>
#include <chrono>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "base/error.h"

namespace slm::serve {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;

constexpr size_t kMaxBodyBytes = size_t{16} << 20;
constexpr size_t kMaxConnections = 64;
constexpr auto kTimeout = std::chrono::seconds(10);
constexpr auto kPoll = std::chrono::milliseconds(100);

int StatusOf(Code code) {
  switch (code) {
    case Code::kBadInput:
    case Code::kUsage:
    case Code::kUnsupported:  // clients try 5xx again
      return 400;
    case Code::kFailed:
    case Code::kInterrupted:
      break;
  }
  return 500;
}

const char* TypeOf(int status) {
  return status == 404  ? "not_found_error"
         : status < 500 ? "invalid_request_error"
                        : "server_error";
}

// What the connections share.
struct Server {
  const ServedModel& model;
  const std::function<bool()>& is_stopped;
  ChatApi api{model};
  std::mutex turn = {};  // whose turn it is to generate
};

// One request: a connection that is kept while it is idle would take one of the few there are.
class Connection {
 public:
  Connection(std::unique_ptr<asio::io_context> io, tcp::socket socket, Server* server)
      : io_(std::move(io)), stream_(std::move(socket)), server_(server) {}

  void Run() {
    http::request_parser<http::string_body> parser;
    parser.body_limit(kMaxBodyBytes);
    if (!Read(&parser)) return;
    request_ = parser.release();
    Answer();
  }

 private:
  // Runs the one operation in flight to its end: it is bounded by the stream's timeout.
  template <class Start>
  beast::error_code Wait(const Start& start) {
    beast::error_code result;
    bool is_done = false;
    stream_.expires_after(kTimeout);
    start([&](beast::error_code error, size_t) {
      result = error;
      is_done = true;
    });
    // Not run(): that would wait for the stream's timer, too, where a write has failed.
    io_->restart();
    while (!is_done) {
      io_->run_one_for(kPoll);
      if (server_->is_stopped()) stream_.cancel();
    }
    return result;
  }

  // A client that has closed its side is taken to have left.
  bool IsGone() {
    char byte;
    const ssize_t n = recv(stream_.socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
  }

  bool IsCancelled() { return server_->is_stopped() || IsGone(); }

  bool Read(http::request_parser<http::string_body>* parser) {
    beast::flat_buffer buffer;
    const beast::error_code error =
        Wait([&](auto done) { http::async_read(stream_, buffer, *parser, std::move(done)); });
    if (error == http::error::body_limit) {
      request_ = {};
      SendError(413, "the body is too large");
    } else if (error && error != http::error::end_of_stream && parser->got_some()) {
      request_ = {};
      SendError(400, "malformed request: " + error.message());
    }
    return !error;
  }

  bool Write(const std::string& bytes) {
    return !Wait(
        [&](auto done) { asio::async_write(stream_, asio::buffer(bytes), std::move(done)); });
  }

  void Send(int status, const std::string& body) {
    http::response<http::string_body> response(static_cast<http::status>(status),
                                               request_.version());
    response.set(http::field::content_type, "application/json");
    response.keep_alive(false);
    response.body() = body;
    response.prepare_payload();
    Wait([&](auto done) { http::async_write(stream_, response, std::move(done)); });
  }

  void SendError(int status, const std::string& message) {
    Send(status, ChatApi::ErrorJson(message, TypeOf(status)));
  }

  void Answer() {
    const std::string_view target(request_.target().data(), request_.target().size());
    const std::string_view path = target.substr(0, target.find('?'));
    try {
      if (path == "/health" && request_.method() == http::verb::get)
        return Send(200, R"({"status":"ok"})");
      if (path == "/v1/models" && request_.method() == http::verb::get) {
        const nlohmann::ordered_json entry = {
            {"id", server_->model.name}, {"object", "model"}, {"owned_by", "slm"}};
        return Send(200, nlohmann::ordered_json{{"object", "list"}, {"data", {entry}}}.dump());
      }
      if (path == "/v1/chat/completions") {
        if (request_.method() != http::verb::post) return SendError(405, "use POST");
        return Complete();
      }
      return SendError(404, "no such path");
    } catch (const Error& error) {
      return SendError(StatusOf(error.code()), error.what());
    } catch (const std::exception& error) {
      return SendError(500, error.what());
    }
  }

  void Complete() {
    const auto request = server_->api.Parse(request_.body());
    const std::lock_guard<std::mutex> turn(server_->turn);
    const auto is_cancelled = [this] { return IsCancelled(); };
    if (!ChatApi::IsStreamed(*request)) {
      const std::string answer = server_->api.Complete(*request, is_cancelled);
      return answer.empty() ? SendError(503, "the server is stopping") : Send(200, answer);
    }
    // The head goes out with the first chunk, so that what fails before it is a plain error
    // response.
    bool has_head = false;
    const auto send = [&](std::string_view data) {
      std::string bytes;
      if (!has_head)
        bytes =
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: "
            "no-cache\r\nConnection: close\r\n\r\n";
      has_head = true;
      bytes.append("data: ").append(data).append("\n\n");
      return Write(bytes);
    };
    try {
      if (!server_->api.Stream(*request, send, is_cancelled)) return;
    } catch (const std::exception& error) {
      if (!has_head) throw;
      send(ChatApi::ErrorJson(error.what(), "server_error"));
      return;
    }
    send("[DONE]");
  }

  std::unique_ptr<asio::io_context> io_;  // of this connection alone
  beast::tcp_stream stream_;
  Server* server_;
  http::request<http::string_body> request_;
};

// The threads of the connections; those that have ended are joined when the next one comes.
class Connections {
 public:
  void Add(std::unique_ptr<Connection> connection) {
    auto is_done = std::make_unique<std::atomic<bool>>(false);
    std::atomic<bool>* done = is_done.get();
    threads_.push_back({std::move(is_done), std::jthread([c = std::move(connection), done] {
                          try {
                            c->Run();
                          } catch (...) {
                            // Not even the error could be sent, as when memory is out: the client
                            // sees its connection close, the others go on.
                          }
                          done->store(true);
                        })});
  }
  bool IsFull() {
    std::erase_if(threads_, [](const Entry& entry) { return entry.is_done->load(); });
    return threads_.size() >= kMaxConnections;
  }

 private:
  struct Entry {
    std::unique_ptr<std::atomic<bool>> is_done;
    std::jthread thread;  // joined before is_done goes
  };
  std::vector<Entry> threads_;
};

}  // namespace

void Serve(const ServedModel& model, const ServerOptions& options) {
  asio::io_context io;
  tcp::acceptor acceptor(io);
  beast::error_code error;
  const auto address =
      asio::ip::make_address(options.host == "localhost" ? "127.0.0.1" : options.host, error);
  const tcp::endpoint endpoint(address, options.port);
  if (!error) acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error)
    throw Error(Code::kFailed, "cannot listen on {}:{}: {}", options.host, options.port,
                error.message());
  if (options.on_ready) options.on_ready(acceptor.local_endpoint().port());
  Server server{model, options.is_stopped};
  Connections connections;
  while (!options.is_stopped()) {
    if (connections.IsFull()) {
      std::this_thread::sleep_for(kPoll);
      continue;
    }
    auto client_io = std::make_unique<asio::io_context>(1);
    tcp::socket socket(*client_io);
    bool is_done = false, has_client = false;
    acceptor.async_accept(socket, [&](beast::error_code problem) {
      is_done = true;
      has_client = !problem;
    });
    io.restart();
    while (!is_done) {
      io.run_one_for(kPoll);
      if (options.is_stopped()) acceptor.cancel(error);
    }
    // As when there are too many open files: it may pass.
    if (!has_client) std::this_thread::sleep_for(kPoll);
    if (has_client)
      connections.Add(
          std::make_unique<Connection>(std::move(client_io), std::move(socket), &server));
  }
}

}  // namespace slm::serve
