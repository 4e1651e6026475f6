// The server over a socket: paths, errors, streams, and clients that misbehave.
#include "serve/http_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "serve/tiny_server.h"

namespace slm::serve {
namespace {

using nlohmann::json;

class Client {
 public:
  explicit Client(uint16_t port) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    is_connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~Client() { close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool is_connected() const { return is_connected_; }
  void Send(const std::string& bytes) const {
    for (size_t at = 0; at < bytes.size();) {
      const ssize_t n = send(fd_, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
      if (n <= 0) return;
      at += static_cast<size_t>(n);
    }
  }
  // Until the server closes.
  std::string ReadAll() const {
    std::string all;
    char buffer[4096];
    for (ssize_t n; (n = recv(fd_, buffer, sizeof buffer, 0)) > 0;)
      all.append(buffer, static_cast<size_t>(n));
    return all;
  }

 private:
  int fd_ = socket(AF_INET, SOCK_STREAM, 0);
  bool is_connected_ = false;
};

class HttpServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::promise<uint16_t> ready;
    ServerOptions options;
    options.port = 0;
    options.on_ready = [&](uint16_t port) { ready.set_value(port); };
    options.is_stopped = [this] { return is_stopped_.load(); };
    thread_ = std::thread([this, options] { Serve(tiny_.served(), options); });
    port_ = ready.get_future().get();
  }
  void TearDown() override {
    is_stopped_ = true;
    thread_.join();
  }

  std::string Exchange(const std::string& request) const {
    const Client client(port_);
    EXPECT_TRUE(client.is_connected());
    client.Send(request);
    return client.ReadAll();
  }
  static std::string Request(const std::string& line, const std::string& body = "") {
    return line + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  static int Status(const std::string& response) {
    return response.starts_with("HTTP/1.1 ") ? std::stoi(response.substr(9)) : 0;
  }
  static std::string Body(const std::string& response) {
    return response.substr(std::min(response.size(), response.find("\r\n\r\n") + 4));
  }

  testing::TinyServer tiny_;
  std::atomic<bool> is_stopped_ = false;
  std::thread thread_;
  uint16_t port_ = 0;
};

// An answer of about 900 tokens, which an unbiased end would cut short.
std::string LongChat() {
  return R"({"messages":[{"role":"user","content":"hi"}],"max_tokens":900,)"
         R"("logit_bias":{"257":-100,"259":-100}})";
}

const char kChat[] =
    R"({"messages":[{"role":"user","content":"hi"}],"temperature":0,"max_tokens":9})";

TEST_F(HttpServerTest, Paths) {
  EXPECT_EQ(Body(Exchange(Request("GET /health"))), R"({"status":"ok"})");
  const json models = json::parse(Body(Exchange(Request("GET /v1/models"))));
  EXPECT_EQ(models["data"][0]["id"], "tiny");
  EXPECT_EQ(Status(Exchange(Request("GET /nothing"))), 404);
  EXPECT_EQ(Status(Exchange(Request("GET /v1/chat/completions"))), 405);
  const std::string answer = Exchange(Request("POST /v1/chat/completions", kChat));
  EXPECT_EQ(Status(answer), 200);
  EXPECT_EQ(json::parse(Body(answer))["object"], "chat.completion");
}

TEST_F(HttpServerTest, ErrorsAreJsonWithTheirStatus) {
  const std::string response = Exchange(Request("POST /v1/chat/completions", "{"));
  EXPECT_EQ(Status(response), 400);
  EXPECT_EQ(json::parse(Body(response))["error"]["type"], "invalid_request_error");
  EXPECT_EQ(Status(Exchange(Request("POST /v1/chat/completions",
                                    R"({"messages":[{"role":"user","content":"x"}],"n":3})"))),
            400);
  // An error before the first chunk of a stream is a plain response, too.
  EXPECT_EQ(
      Status(Exchange(Request(
          "POST /v1/chat/completions",
          R"({"messages":[{"role":"user","content":"x"}],"stream":true,"max_tokens":5000})"))),
      400);
  EXPECT_EQ(Status(Exchange("NONSENSE\r\n\r\n")), 400);
  EXPECT_EQ(
      Status(Exchange("POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n")),
      413);
}

TEST_F(HttpServerTest, Streams) {
  std::string body = kChat;
  body.insert(1, R"("stream":true,)");
  const std::string response = Exchange(Request("POST /v1/chat/completions", body));
  EXPECT_EQ(Status(response), 200);
  EXPECT_NE(response.find("Content-Type: text/event-stream"), std::string::npos);
  std::string text, events = Body(response);
  EXPECT_TRUE(events.ends_with("data: [DONE]\n\n")) << events;
  while (!events.starts_with("data: [DONE]")) {
    const size_t end = events.find("\n\n");
    ASSERT_NE(end, std::string::npos);
    const json chunk = json::parse(events.substr(6, end - 6));
    text += chunk["choices"][0]["delta"].value("content", "");
    events = events.substr(end + 2);
  }
  const json whole = json::parse(Body(Exchange(Request("POST /v1/chat/completions", kChat))));
  EXPECT_EQ(text, whole["choices"][0]["message"]["content"]);
}

TEST_F(HttpServerTest, OutlivesClientsThatLeave) {
  for (const char* part : {"", "POST /v1/chat", "POST /v1/chat/completions HTTP/1.1\r\n"})
    Client(port_).Send(part);
  Client(port_).Send(Request("POST /v1/chat/completions", LongChat()));
  std::string streamed = LongChat();
  streamed.insert(1, R"("stream":true,)");
  Client(port_).Send(Request("POST /v1/chat/completions", streamed));
  EXPECT_EQ(Status(Exchange(Request("GET /health"))), 200);
}

TEST_F(HttpServerTest, AnswersAboutItselfWhileOthersIdleOrGenerate) {
  const Client idle(port_), busy(port_);
  busy.Send(Request("POST /v1/chat/completions", LongChat()));
  EXPECT_EQ(Status(Exchange(Request("GET /health"))), 200);
  EXPECT_EQ(Status(Exchange(Request("POST /v1/chat/completions", kChat))), 200);  // in its turn
  EXPECT_EQ(Status(busy.ReadAll()), 200);
}

TEST_F(HttpServerTest, StopsInMidAnswer) {
  const Client busy(port_), waiting(port_), idle(port_);
  busy.Send(Request("POST /v1/chat/completions", LongChat()));
  waiting.Send(Request("POST /v1/chat/completions", LongChat()));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const auto start = std::chrono::steady_clock::now();
  is_stopped_ = true;
  thread_.join();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  thread_ = std::thread([] {});
}

}  // namespace
}  // namespace slm::serve
