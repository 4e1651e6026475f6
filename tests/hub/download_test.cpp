// One file over a line that breaks and a server that lies.
#include "hub/download.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>

#include "base/error.h"
#include "hub/digest.h"
#include "hub/fake_hub.h"
#include "support/data.h"
#include "support/http_server.h"
#include "support/temp_folder.h"

namespace slm::hub {
namespace {

using testing::HttpServer;
using testing::ServeContent;
using testing::ServerReply;
using testing::ServerRequest;

class DownloadTest : public ::testing::Test {
 protected:
  DownloadTest() : server_([this](const ServerRequest& request) { return handler_(request); }) {
    handler_ = [this](const ServerRequest& request) {
      return ServeContent(request, content_, "\"v1\"");
    };
    download_.url = server_.url() + "/model.bin";
    download_.partial = folder_ / "x.incomplete";
    download_.name = "model.bin";
    download_.size = content_.size();
    download_.digest = Sha256(content_);
  }

  Downloaded Run() {
    const Settings settings = TestSettings(folder_.path(), server_.url());
    HttpClient client(settings.limits, is_cancelled_);
    return Fetch(client, download_, settings, nullptr);
  }

  // The message of the error that a run throws.
  std::string Failure(Code code = Code::kFailed) {
    try {
      Run();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      return error.what();
    }
    ADD_FAILURE() << "no error";
    return "";
  }

  void Partial(const std::string& content, const std::string& validator) {
    testing::WriteFile(download_.partial, content);
    if (!validator.empty()) testing::WriteFile(download_.partial + ".validator", validator);
  }

  bool HasPartial() const { return std::filesystem::exists(download_.partial); }

  std::string Range(size_t request) const { return server_.requests().at(request).Header("range"); }

  void ExpectComplete(const Downloaded& done) {
    EXPECT_EQ(done.bytes, content_.size());
    EXPECT_EQ(done.sha256, Sha256(content_));
    EXPECT_EQ(testing::ReadFile(download_.partial), content_);
  }

  testing::TempFolder folder_;
  std::string content_ = FakeModel(200'000, 1);
  Download download_;
  std::function<bool()> is_cancelled_;
  std::function<ServerReply(const ServerRequest&)> handler_;
  HttpServer server_;
};

TEST_F(DownloadTest, WholeFile) {
  const Downloaded done = Run();
  ExpectComplete(done);
  EXPECT_EQ(done.received, content_.size());
  EXPECT_EQ(server_.requests().size(), 1u);
  EXPECT_EQ(Range(0), "");
}

TEST_F(DownloadTest, ResumesAfterEachCutWithoutSendingAnythingTwice) {
  handler_ = [this](const ServerRequest& request) {
    ServerReply reply = ServeContent(request, content_, "\"v1\"");
    if (reply.body.size() > 60'000) reply.cut_after = 60'000;
    return reply;
  };
  ExpectComplete(Run());
  ASSERT_EQ(server_.requests().size(), 4u);
  EXPECT_EQ(Range(1), "bytes=60000-");
  EXPECT_EQ(Range(2), "bytes=120000-");
  EXPECT_EQ(Range(3), "bytes=180000-");
  EXPECT_EQ(server_.requests()[1].Header("if-range"), "\"v1\"");
  EXPECT_EQ(server_.body_bytes(), content_.size());
}

TEST_F(DownloadTest, ResumesWhatAnEarlierRunLeft) {
  Partial(content_.substr(0, 150'000), "");  // as Python leaves it: the digest will tell
  const Downloaded done = Run();
  ExpectComplete(done);
  EXPECT_EQ(done.received, 50'000u);
  EXPECT_EQ(Range(0), "bytes=150000-");
  EXPECT_EQ(server_.requests()[0].Header("if-range"), "");
  EXPECT_EQ(server_.body_bytes(), 50'000u);
}

TEST_F(DownloadTest, ACompletePartialFileNeedsNoRequest) {
  Partial(content_, "");
  EXPECT_EQ(Run().received, 0u);
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(DownloadTest, WithoutADigestOnlyAnEtagAllowsToResume) {
  download_.digest.clear();
  download_.size.reset();
  Partial("garbage", "");
  ExpectComplete(Run());
  EXPECT_EQ(Range(0), "");

  Partial(content_.substr(0, 1000), "\"v1\"");
  ExpectComplete(Run());
  EXPECT_EQ(Range(1), "bytes=1000-");
  EXPECT_EQ(server_.requests()[1].Header("if-range"), "\"v1\"");
}

TEST_F(DownloadTest, ADateOfChangeDoesButAWeakEtagDoesNot) {
  download_.digest.clear();
  download_.size.reset();
  for (const bool has_date : {true, false}) {
    const size_t first = server_.requests().size();
    handler_ = [&](const ServerRequest& request) {
      const std::string date = "Sun, 06 Nov 1994 08:49:37 GMT";
      ServerReply reply = ServeContent(request, content_, date);
      reply.headers[0] = {"ETag", "W/\"v1\""};
      if (has_date) reply.headers.emplace_back("Last-Modified", date);
      if (server_.requests().size() == first + 1) reply.cut_after = 50'000;
      return reply;
    };
    ExpectComplete(Run());
    EXPECT_EQ(server_.requests().size(), first + 2);
    EXPECT_EQ(Range(first + 1), has_date ? "bytes=50000-" : "");
    std::filesystem::remove(download_.partial);
  }
}

TEST_F(DownloadTest, StartsAgainWhenTheFileChangedOnTheServer) {
  download_.digest.clear();
  download_.size.reset();
  Partial(std::string(1000, 'x'), "\"v0\"");
  ExpectComplete(Run());  // If-Range makes the server send all of it
  EXPECT_EQ(server_.requests().size(), 1u);

  // A server that knows no If-Range, but shows another ETag.
  handler_ = [this](const ServerRequest& request) {
    ServerRequest other = request;
    other.headers.erase("if-range");
    return ServeContent(other, content_, "\"v1\"");
  };
  Partial(std::string(1000, 'x'), "\"v0\"");
  ExpectComplete(Run());
  EXPECT_EQ(Range(1), "bytes=1000-");
  EXPECT_EQ(Range(2), "");
}

TEST_F(DownloadTest, StartsAgainWhenTheServerIgnoresRanges) {
  Partial(content_.substr(0, 100'000), "");
  handler_ = [this](const ServerRequest&) {
    ServerReply reply;
    reply.body = content_;
    return reply;
  };
  const Downloaded done = Run();
  ExpectComplete(done);
  EXPECT_EQ(done.received, content_.size());
  EXPECT_EQ(server_.requests().size(), 1u);
}

TEST_F(DownloadTest, StartsAgainWhenTheRangeIsNotTheOneAskedFor) {
  for (const char* range :
       {"bytes 0-199999/200000", "bytes 100-199999/200000", "bytes 1000-199999/300000",
        "bytes 1000-5/9", "bytes 1000-199999", "1000-199999/200000", "bytes x", "",
        "bytes 99999999999999999999-1/2"}) {
    Partial(content_.substr(0, 1000), "");
    bool is_first = true;
    handler_ = [&](const ServerRequest& request) {
      ServerReply reply = ServeContent(request, content_, "\"v1\"");
      if (is_first) {
        reply.headers = {{"Content-Range", range}};
        reply.status = 206;
      }
      is_first = false;
      return reply;
    };
    const Downloaded done = Run();
    ExpectComplete(done);
    EXPECT_EQ(done.received, content_.size()) << range;  // nothing of that part was taken
    std::filesystem::remove(download_.partial);
  }
}

TEST_F(DownloadTest, APartThatNobodyAskedForIsNotTaken) {
  handler_ = [this](const ServerRequest&) {
    ServerReply reply;
    reply.status = 206;
    reply.headers = {{"Content-Range", "bytes 0-199999/200000"}};
    reply.body = content_;
    return reply;
  };
  EXPECT_NE(Failure().find("another range"), std::string::npos);
  EXPECT_EQ(server_.requests().size(), 4u);  // bounded
}

TEST_F(DownloadTest, StartsAgainWhenThePartIsLongerThanTheFile) {
  download_.size.reset();
  Partial(content_ + "more", "");
  ExpectComplete(Run());  // 416
  EXPECT_EQ(Range(0), "bytes=200004-");
  EXPECT_EQ(Range(1), "");

  download_.size = content_.size();
  Partial(content_ + "more", "");
  ExpectComplete(Run());  // seen at once
  EXPECT_EQ(Range(2), "");
}

TEST_F(DownloadTest, StartsAgainWhenOldBytesAreWrong) {
  Partial(std::string(100'000, 'x'), "");
  ExpectComplete(Run());
  EXPECT_EQ(Range(0), "bytes=100000-");
  EXPECT_EQ(Range(1), "");
}

TEST_F(DownloadTest, AWrongDigestRemovesTheFile) {
  download_.digest = Sha256("something else");
  const std::string message = Failure();
  EXPECT_NE(message.find(download_.digest), std::string::npos) << message;
  EXPECT_NE(message.find(Sha256(content_)), std::string::npos) << message;
  EXPECT_FALSE(HasPartial());
  EXPECT_EQ(server_.requests().size(), 1u);  // nothing gets better by asking again
}

TEST_F(DownloadTest, AGitBlobIsVerifiedToo) {
  testing::WriteFile(folder_ / "git", content_);
  download_.digest = FileGitBlob(folder_ / "git", {});
  ExpectComplete(Run());
  std::filesystem::remove(download_.partial);
  download_.digest[0] = download_.digest[0] == '0' ? '1' : '0';
  EXPECT_NE(Failure().find("not what was promised"), std::string::npos);
}

TEST_F(DownloadTest, LiesAboutTheSize) {
  // Content-Length contradicts what was promised.
  download_.size = content_.size() + 1;
  EXPECT_NE(Failure().find("200001 bytes were promised, but the server sends 200000"),
            std::string::npos);
  // Fewer bytes than Content-Length, again and again.
  download_.size.reset();
  handler_ = [this](const ServerRequest& request) {
    ServerReply reply = ServeContent(request, content_, "\"v1\"");
    if (reply.status == 206) reply.body.clear();
    if (reply.status == 200) reply.headers.emplace_back("Content-Length", "200007");
    return reply;
  };
  EXPECT_NE(Failure().find("the download stopped"), std::string::npos);
  EXPECT_EQ(server_.requests().size(), 1u + 4u);
}

TEST_F(DownloadTest, MoreBytesThanPromised) {
  handler_ = [this](const ServerRequest&) {
    ServerReply reply;
    reply.is_chunked = true;  // so that the length is not told before
    reply.body = content_ + "and more";
    return reply;
  };
  EXPECT_NE(Failure().find("more than the 200000 bytes promised"), std::string::npos);
  EXPECT_FALSE(HasPartial());
}

TEST_F(DownloadTest, Chunked) {
  for (const bool is_promised : {true, false}) {
    if (!is_promised) {
      download_.size.reset();
      download_.digest.clear();
    }
    handler_ = [this](const ServerRequest&) {
      ServerReply reply;
      reply.is_chunked = true;
      reply.body = content_;
      return reply;
    };
    ExpectComplete(Run());
    std::filesystem::remove(download_.partial);
  }
  // A cut is seen even without a length.
  handler_ = [this](const ServerRequest&) {
    ServerReply reply;
    reply.is_chunked = true;
    reply.body = content_;
    reply.cut_after = 150'000;
    return reply;
  };
  EXPECT_NE(Failure().find("the download stopped"), std::string::npos);
}

TEST_F(DownloadTest, AnEndThatCannotBeToldFromACutIsNotTrusted) {
  handler_ = [this](const ServerRequest&) {
    ServerReply reply;
    reply.says_length = false;
    reply.body = content_;
    return reply;
  };
  ExpectComplete(Run());  // the digest tells
  std::filesystem::remove(download_.partial);
  download_.digest.clear();
  download_.size.reset();
  EXPECT_NE(Failure().find("give its SHA-256"), std::string::npos);
}

TEST_F(DownloadTest, AnEmptyFile) {
  content_.clear();
  download_.size = 0;
  download_.digest = Sha256("");
  ExpectComplete(Run());
  EXPECT_TRUE(server_.requests().empty());
  std::filesystem::remove(download_.partial);
  download_.size.reset();
  ExpectComplete(Run());
}

TEST_F(DownloadTest, EncodedBodiesAreRefused) {
  handler_ = [this](const ServerRequest& request) {
    EXPECT_EQ(request.Header("accept-encoding"), "identity");
    ServerReply reply = ServeContent(request, content_, "\"v1\"");
    reply.headers.emplace_back("Content-Encoding", "gzip");
    return reply;
  };
  EXPECT_NE(Failure().find("encoded (gzip)"), std::string::npos);
}

TEST_F(DownloadTest, RetriesAreBounded) {
  handler_ = [](const ServerRequest&) {
    ServerReply reply;
    reply.status = 503;
    return reply;
  };
  EXPECT_NE(Failure().find("503"), std::string::npos);
  EXPECT_EQ(server_.requests().size(), 4u);  // one and three retries
  // One byte at a time is no progress.
  handler_ = [this](const ServerRequest& request) {
    ServerReply reply = ServeContent(request, content_, "\"v1\"");
    reply.cut_after = 1;
    return reply;
  };
  EXPECT_NE(Failure().find("4 B are kept"), std::string::npos);
  EXPECT_EQ(server_.requests().size(), 8u);
}

TEST_F(DownloadTest, RetryAfterIsHonoured) {
  int requests = 0;
  handler_ = [&](const ServerRequest& request) {
    ServerReply reply;
    if (++requests > 1) return ServeContent(request, content_, "\"v1\"");
    reply.status = 429;
    reply.headers = {{"Retry-After", "1"}};
    return reply;
  };
  const auto begin = std::chrono::steady_clock::now();
  ExpectComplete(Run());
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(950));
}

TEST_F(DownloadTest, ALongRetryAfterIsSaidAndNotWaitedFor) {
  handler_ = [](const ServerRequest&) {
    ServerReply reply;
    reply.status = 429;
    reply.headers = {{"Retry-After", "3600"}};
    return reply;
  };
  EXPECT_NE(Failure().find("try again in 3600 s"), std::string::npos);
  EXPECT_EQ(server_.requests().size(), 1u);
}

TEST(RetryAfter, ReadsSecondsAndDates) {
  HttpReply reply;
  EXPECT_FALSE(RetryAfterMs(reply));
  reply.headers["retry-after"] = "7";
  EXPECT_EQ(RetryAfterMs(reply), 7000);
  reply.headers["retry-after"] = "99999999999999999999";
  EXPECT_FALSE(RetryAfterMs(reply));
  reply.headers["retry-after"] = "-5";
  EXPECT_FALSE(RetryAfterMs(reply));
  reply.headers["retry-after"] = "Sun, 06 Nov 1994 08:49:37 GMT";
  EXPECT_EQ(RetryAfterMs(reply), 0);
  reply.headers["retry-after"] = "Wed, 06 Nov 2148 08:49:37 GMT";
  EXPECT_EQ(RetryAfterMs(reply), 1'000'000'000);
}

TEST_F(DownloadTest, ADeadLineIsGivenUp) {
  handler_ = [this](const ServerRequest& request) {
    ServerReply reply = ServeContent(request, content_, "\"v1\"");
    reply.stall_ms = 60'000;
    return reply;
  };
  Settings settings = TestSettings(folder_.path(), server_.url());
  settings.limits.low_speed_time_s = 1;
  settings.limits.retries = 0;
  HttpClient client(settings.limits, {});
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THROW(Fetch(client, download_, settings, nullptr), NetworkError);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

TEST_F(DownloadTest, NobodyListens) {
  {
    const HttpServer gone([](const ServerRequest&) { return ServerReply(); });
    download_.url = gone.url() + "/x";
  }
  EXPECT_NE(Failure().find("the download stopped"), std::string::npos);
  EXPECT_FALSE(HasPartial());
}

TEST_F(DownloadTest, CancellingKeepsWhatThereIs) {
  handler_ = [this](const ServerRequest& request) {
    ServerReply reply = ServeContent(request, content_, "\"v1\"");
    reply.trickle_bytes = 20'000;
    return reply;
  };
  is_cancelled_ = [this] { return server_.body_bytes() >= 60'000; };
  Failure(Code::kInterrupted);
  ASSERT_TRUE(HasPartial());
  const std::string kept = testing::ReadFile(download_.partial);
  EXPECT_GT(kept.size(), 0u);
  EXPECT_EQ(kept, content_.substr(0, kept.size()));
  is_cancelled_ = nullptr;
  EXPECT_EQ(Run().received, content_.size() - kept.size());
}

TEST_F(DownloadTest, CancellingEndsAWaitAndASilentServer) {
  handler_ = [](const ServerRequest&) {
    ServerReply reply;
    reply.status = 503;
    reply.headers = {{"Retry-After", "1"}};
    return reply;
  };
  is_cancelled_ = [this] { return !server_.requests().empty(); };
  const auto begin = std::chrono::steady_clock::now();
  Failure(Code::kInterrupted);
  handler_ = [this](const ServerRequest& request) {
    ServerReply reply = ServeContent(request, content_, "\"v1\"");
    reply.stall_ms = 60'000;
    return reply;
  };
  is_cancelled_ = [this] { return server_.requests().size() > 1; };
  Failure(Code::kInterrupted);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(900));
}

TEST_F(DownloadTest, ALinkInPlaceOfThePartialFileIsNotFollowed) {
  testing::WriteFile(folder_ / "precious", "precious");
  std::filesystem::create_symlink(folder_ / "precious", download_.partial);
  Failure();
  EXPECT_EQ(testing::ReadFile(folder_ / "precious"), "precious");
}

}  // namespace
}  // namespace slm::hub
