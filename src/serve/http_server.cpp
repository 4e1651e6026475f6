#include "serve/http_server.h"

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace slm::serve {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;

constexpr size_t kMaxBodyBytes = size_t{16} << 20;
constexpr auto kTimeout = std::chrono::seconds(10);
constexpr auto kPoll = std::chrono::milliseconds(200);

int StatusOf(Code code) {
  switch (code) {
    case Code::kBadInput:
    case Code::kUsage:
      return 400;
    case Code::kUnsupported:
      return 501;
    case Code::kFailed:
    case Code::kInterrupted:
      break;
  }
  return 500;
}

const char* TypeOf(int status) {
  return status == 400   ? "invalid_request_error"
         : status == 404 ? "not_found_error"
         : status == 501 ? "not_supported_error"
                         : "server_error";
}

class Connection {
 public:
  Connection(asio::io_context* io, tcp::socket socket, ChatApi* api, const std::string& model)
      : io_(io), stream_(std::move(socket)), api_(api), model_(model) {}

  // One request: a connection that is kept while it is idle would keep every other client waiting.
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
    while (!is_done) io_->run_one();
    return result;
  }

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
            {"id", model_}, {"object", "model"}, {"owned_by", "slm"}};
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
    const auto request = api_->Parse(request_.body());
    if (!ChatApi::IsStreamed(*request)) return Send(200, api_->Complete(*request));
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
      api_->Stream(*request, send);
    } catch (const std::exception& error) {
      if (!has_head) throw;
      send(ChatApi::ErrorJson(error.what(), "server_error"));
      return;
    }
    send("[DONE]");
  }

  asio::io_context* io_;
  beast::tcp_stream stream_;
  ChatApi* api_;
  const std::string& model_;
  http::request<http::string_body> request_;
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
  ChatApi api(model);
  while (!options.is_stopped()) {
    tcp::socket socket(io);
    bool has_client = false;
    acceptor.async_accept(socket, [&](beast::error_code problem) { has_client = !problem; });
    io.restart();
    while (!has_client && !options.is_stopped()) {
      if (io.stopped()) break;
      io.run_one_for(kPoll);
    }
    if (!has_client) {
      acceptor.cancel(error);
      io.restart();
      io.run();  // lets the cancelled accept end before its socket goes
      continue;
    }
    Connection(&io, std::move(socket), &api, model.name).Run();
  }
}

}  // namespace slm::serve
