// Redirects, and where the token goes.
#include <gtest/gtest.h>

#include "base/error.h"
#include "hub/fake_hub.h"
#include "hub/http.h"
#include "support/http_server.h"

namespace slm::hub {
namespace {

using testing::HttpServer;
using testing::ServerReply;
using testing::ServerRequest;

ServerReply RedirectTo(const std::string& location, int status = 302) {
  ServerReply reply;
  reply.status = status;
  reply.headers = {{"Location", location}};
  return reply;
}

ServerReply Text(const std::string& text) {
  ServerReply reply;
  reply.body = text;
  return reply;
}

class RedirectTest : public ::testing::Test {
 protected:
  RedirectTest()
      : other_([](const ServerRequest&) { return Text("other"); }),
        server_([this](const ServerRequest& request) { return handler_(request); }) {}

  std::string Get() {
    HttpClient client(TestSettings("", server_.url()).limits, {});
    HttpRequest request;
    request.url = server_.url() + "/start";
    request.token = "hf_secret";
    request.token_origin = server_.url();
    std::string body;
    outcome_ = client.SendWithRetries(request, 1000, &body);
    return body;
  }

  std::string Failure() {
    try {
      Get();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  std::function<ServerReply(const ServerRequest&)> handler_;
  HttpOutcome outcome_;
  HttpServer other_, server_;
};

TEST_F(RedirectTest, TheTokenStaysOnItsOrigin) {
  for (const int status : {301, 302, 303, 307, 308}) {
    handler_ = [&](const ServerRequest& request) {
      return request.target == "/start" ? RedirectTo("/next", status)
                                        : RedirectTo(other_.url() + "/far", status);
    };
    EXPECT_EQ(Get(), "other");
  }
  for (const ServerRequest& request : server_.requests())
    EXPECT_EQ(request.Header("authorization"), "Bearer hf_secret") << request.target;
  ASSERT_EQ(other_.requests().size(), 5u);
  for (const ServerRequest& request : other_.requests()) {
    for (const auto& [name, value] : request.headers)
      EXPECT_EQ(value.find("hf_secret"), std::string::npos) << name;
  }
}

TEST_F(RedirectTest, TheSameAddressUnderAnotherNameIsAnotherOrigin) {
  handler_ = [&](const ServerRequest& request) {
    return request.target == "/start"
               ? RedirectTo("http://localhost:" + std::to_string(server_.port()) + "/far")
               : Text("far");
  };
  EXPECT_EQ(Get(), "far");
  EXPECT_EQ(server_.requests()[1].Header("authorization"), "");
}

TEST_F(RedirectTest, TheTokenIsNotSentToAnUrlThatOnlyBeginsLikeTheHub) {
  handler_ = [&](const ServerRequest&) {
    return RedirectTo("http://127.0.0.1:" + std::to_string(server_.port()) +
                      "@127.0.0.1:" + std::to_string(other_.port()) + "/x");
  };
  EXPECT_EQ(Get(), "other");
  // What stands before the @ is sent as a user name, as the URL says; the token is not.
  EXPECT_EQ(other_.requests()[0].Header("authorization").find("Bearer"), std::string::npos);
}

TEST_F(RedirectTest, LoopsEnd) {
  handler_ = [](const ServerRequest& request) {
    return RedirectTo(request.target == "/a" ? "/b" : "/a");
  };
  EXPECT_NE(Failure().find("more than 8 redirects"), std::string::npos);
  EXPECT_EQ(server_.requests().size(), 9u);
}

TEST_F(RedirectTest, OnlyHttpIsSpoken) {
  for (const char* target : {"file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/x",
                             "dict://127.0.0.1/x", "ldap://127.0.0.1/x"}) {
    handler_ = [&](const ServerRequest&) { return RedirectTo(target); };
    EXPECT_NE(Failure().find("not a http(s) URL"), std::string::npos) << target;
  }
}

TEST_F(RedirectTest, TheHeadersOfTheFirstOriginAreKept) {
  handler_ = [&](const ServerRequest& request) {
    ServerReply reply = RedirectTo(request.target == "/start" ? "/next" : other_.url());
    if (request.target == "/next") reply.headers.emplace_back("X-Linked-Size", "7");
    return reply;
  };
  Get();
  EXPECT_EQ(outcome_.first.Number("x-linked-size"), 7u);
  EXPECT_EQ(outcome_.reply.status, 200);
}

TEST_F(RedirectTest, ALongBodyIsAnError) {
  handler_ = [](const ServerRequest&) { return Text(std::string(1001, 'x')); };
  EXPECT_NE(Failure().find("longer than 1000 bytes"), std::string::npos);
  // The body of an error page is not read to its end.
  handler_ = [](const ServerRequest&) {
    ServerReply reply = Text(std::string(100 << 20, 'x'));
    reply.status = 404;
    return reply;
  };
  EXPECT_EQ(Get(), "");
  EXPECT_EQ(outcome_.reply.status, 404);
}

TEST_F(RedirectTest, EndlessHeadersAreAnError) {
  handler_ = [](const ServerRequest&) {
    ServerReply reply = Text("x");
    for (int i = 0; i < 100; ++i)
      reply.headers.emplace_back("X-Long-" + std::to_string(i), std::string(8000, 'x'));
    return reply;
  };
  EXPECT_NE(Failure(), "");
}

}  // namespace
}  // namespace slm::hub
