#include "hub/pull.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "base/error.h"
#include "hub/digest.h"
#include "hub/fake_hub.h"
#include "hub/file.h"
#include "support/data.h"

namespace slm::hub {
namespace {

namespace fs = std::filesystem;
using testing::ReadFile;
using testing::ServerReply;
using testing::ServerRequest;
using testing::WriteFile;

class PullTest : public ::testing::Test {
 protected:
  PullTest() {
    hub_.Add("tiny-Q4_K_M.gguf", model_);
    hub_.Add("tiny-Q8_0-00001-of-00002.gguf", FakeModel(30'000, 2));
    hub_.Add("tiny-Q8_0-00002-of-00002.gguf", FakeModel(20'000, 3));
    hub_.Add("sub/config.json", "{}", true);
  }

  std::string Failure(const PullOptions& options, Code code = Code::kFailed) {
    try {
      Pull(options);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      return error.what();
    }
    ADD_FAILURE() << "no error for " << options.source;
    return "";
  }
  std::string Failure(const std::string& source, Code code = Code::kFailed) {
    return Failure(hub_.options(source), code);
  }

  FakeHub hub_;
  const std::string model_ = FakeModel(100'000, 1);
};

TEST_F(PullTest, TheLayoutIsTheHubs) {
  const PullResult result = Pull(hub_.options("hf:acme/tiny-GGUF"));
  const std::string top = hub_.folder / "hub/models--acme--tiny-GGUF";
  EXPECT_EQ(result.path, top + "/snapshots/" + hub_.commit() + "/tiny-Q4_K_M.gguf");
  EXPECT_EQ(fs::read_symlink(result.path), "../../blobs/" + Sha256(model_));
  EXPECT_EQ(ReadFile(result.path), model_);
  EXPECT_EQ(ReadFile(top + "/refs/main"), hub_.commit());
  EXPECT_EQ(result.bytes, model_.size());
  EXPECT_EQ(result.received_bytes, model_.size());
  EXPECT_EQ(result.revision, hub_.commit());
  EXPECT_EQ(result.source, "hf:acme/tiny-GGUF");
  EXPECT_EQ(result.note, "");
  // Nothing but the blob is left in blobs/.
  EXPECT_EQ(std::distance(fs::directory_iterator(top + "/blobs"), {}), 1);
}

TEST_F(PullTest, ASecondPullDownloadsNothing) {
  Pull(hub_.options("hf:acme/tiny-GGUF"));
  const PullResult again = Pull(hub_.options("hf:acme/tiny-GGUF:q4_k_m"));
  EXPECT_EQ(again.received_bytes, 0u);
  EXPECT_EQ(hub_.cdn.requests().size(), 1u);
}

TEST_F(PullTest, FilesInFoldersAndSplits) {
  const PullResult file = Pull(hub_.options("hf:acme/tiny-GGUF/sub/config.json"));
  EXPECT_EQ(ReadFile(file.path), "{}");
  EXPECT_TRUE(fs::read_symlink(file.path).string().starts_with("../../../blobs/"));
  const PullResult split = Pull(hub_.options("hf:acme/tiny-GGUF:Q8_0"));
  ASSERT_EQ(split.files.size(), 2u);
  EXPECT_EQ(split.path, split.files[0]);
  EXPECT_EQ(split.bytes, 50'000u);
  EXPECT_EQ(ReadFile(split.files[1]), FakeModel(20'000, 3));
}

TEST_F(PullTest, AnUnknownQuantListsTheKnownOnes) {
  EXPECT_NE(Failure("hf:acme/tiny-GGUF:Q2_K").find("available: Q4_K_M, Q8_0"), std::string::npos);
  EXPECT_NE(Failure("hf:acme/tiny-GGUF/none.gguf").find("nearest"), std::string::npos);
}

TEST_F(PullTest, ANewCommitSharesWhatDidNotChange) {
  const PullResult first = Pull(hub_.options("hf:acme/tiny-GGUF"));
  hub_.Add("README.md", "new", true);
  const PullResult second = Pull(hub_.options("hf:acme/tiny-GGUF"));
  EXPECT_NE(first.path, second.path);
  EXPECT_EQ(second.received_bytes, 0u);
  EXPECT_TRUE(fs::equivalent(first.path, second.path));
  EXPECT_EQ(ReadFile(hub_.folder / "hub/models--acme--tiny-GGUF/refs/main"), hub_.commit());
}

TEST_F(PullTest, WithoutTheHubTheLocalCopyServes) {
  const PullResult first = Pull(hub_.options("hf:acme/tiny-GGUF"));
  PullOptions options = hub_.options("hf:acme/tiny-GGUF");
  hub_.on_hub = [](const ServerRequest&) {
    ServerReply reply;
    reply.status = 502;
    return reply;
  };
  EXPECT_EQ(Pull(options).path, first.path);
  EXPECT_NE(Pull(options).note.find("does not answer"), std::string::npos);
  EXPECT_NE(Failure("hf:acme/tiny-GGUF:Q8_0").find("502"), std::string::npos);

  const size_t requests = hub_.hub.requests().size();
  options.settings.is_offline = true;
  EXPECT_EQ(Pull(options).path, first.path);
  options.source = "hf:acme/tiny-GGUF:Q8_0";
  EXPECT_NE(Failure(options).find("HF_HUB_OFFLINE"), std::string::npos);
  EXPECT_EQ(hub_.hub.requests().size(), requests);
}

TEST_F(PullTest, ResumesFromWherePythonStopped) {
  WriteFile(hub_.Blob("tiny-Q4_K_M.gguf") + ".incomplete", model_.substr(0, 70'000));
  EXPECT_EQ(Pull(hub_.options("hf:acme/tiny-GGUF")).received_bytes, 30'000u);
  EXPECT_EQ(hub_.Ranges(), std::vector<std::string>{"bytes=70000-"});
  EXPECT_EQ(hub_.cdn.body_bytes(), 30'000u);
}

TEST_F(PullTest, AFailedPullLeavesNoRefAndNoLink) {
  hub_.on_cdn = [](const ServerRequest&) {
    ServerReply reply;
    reply.status = 403;
    return reply;
  };
  EXPECT_NE(Failure("hf:acme/tiny-GGUF").find("403"), std::string::npos);
  EXPECT_FALSE(fs::exists(hub_.folder / "hub/models--acme--tiny-GGUF/refs"));
  EXPECT_FALSE(fs::exists(hub_.folder / "hub/models--acme--tiny-GGUF/snapshots"));
}

TEST_F(PullTest, TheTokenGoesToTheHubOnly) {
  PullOptions options = hub_.options("hf:acme/tiny-GGUF");
  options.settings.token = "hf_secret";
  Pull(options);
  for (const ServerRequest& request : hub_.hub.requests())
    EXPECT_EQ(request.Header("authorization"), "Bearer hf_secret");
  ASSERT_FALSE(hub_.cdn.requests().empty());
  for (const ServerRequest& request : hub_.cdn.requests())
    EXPECT_EQ(request.Header("authorization"), "");
  // Nor to a plain URL elsewhere.
  hub_.on_cdn = [this](const ServerRequest& request) {
    return testing::ServeContent(request, model_, "\"x\"");
  };
  options.source = hub_.cdn.url() + "/model.gguf";
  Pull(options);
  EXPECT_EQ(hub_.cdn.requests().back().Header("authorization"), "");
}

TEST_F(PullTest, RefusalsSayWhatToDo) {
  const auto refuse = [&](int status, const std::string& kind, const std::string& url_part) {
    hub_.on_hub = [=](const ServerRequest& request) -> std::optional<ServerReply> {
      if (request.target.find(url_part) == std::string::npos) return std::nullopt;
      ServerReply reply;
      reply.status = status;
      if (!kind.empty())
        reply.headers = {{"X-Error-Code", kind}, {"X-Error-Message", "be\x1b gone"}};
      return reply;
    };
  };
  const std::string page = hub_.hub.url() + "/acme/tiny-GGUF";
  refuse(401, "GatedRepo", "/resolve/");
  std::string message = Failure("hf:acme/tiny-GGUF");
  EXPECT_NE(message.find("accept its licence at " + page + " and set HF_TOKEN"), std::string::npos)
      << message;
  EXPECT_NE(message.find("be? gone"), std::string::npos) << message;
  PullOptions options = hub_.options("hf:acme/tiny-GGUF");
  options.settings.token = "hf_secret";
  refuse(403, "", "/resolve/");
  message = Failure(options);
  EXPECT_NE(message.find("with the account that HF_TOKEN belongs to"), std::string::npos)
      << message;
  EXPECT_EQ(message.find("hf_secret"), std::string::npos);
  refuse(401, "", "/api/");
  EXPECT_NE(Failure("hf:acme/tiny-GGUF").find("set HF_TOKEN"), std::string::npos);
  EXPECT_NE(Failure(options).find("HF_TOKEN is not valid"), std::string::npos);
  refuse(404, "RevisionNotFound", "/api/");
  EXPECT_NE(Failure("hf:acme/tiny-GGUF").find("no such revision"), std::string::npos);
  refuse(404, "", "/api/");
  EXPECT_NE(Failure("hf:acme/tiny-GGUF").find("no such repository"), std::string::npos);
  refuse(429, "", "/api/");
  EXPECT_NE(Failure("hf:acme/tiny-GGUF").find("too many requests"), std::string::npos);
  hub_.on_hub = nullptr;
  EXPECT_NE(Failure("hf:acme/none").find("no such repository"), std::string::npos);
}

TEST_F(PullTest, TheHubMayNotNameFilesOutsideTheCache) {
  const std::string digest = Sha256(model_);
  const auto list = [&](const std::string& name, const std::string& sha256) {
    return "{\"sha\":\"" + hub_.commit() + "\",\"siblings\":[{\"rfilename\":\"" + name +
           "\",\"lfs\":{\"sha256\":\"" + sha256 + "\",\"size\":100000}}]}";
  };
  for (const char* name : {"../../../evil-Q4_K_M.gguf", "/tmp/evil-Q4_K_M.gguf",
                           "a/../../Q4_K_M.gguf", "..\\\\evil-Q4_K_M.gguf",
                           "evil\\u0000-Q4_K_M.gguf", "a//Q4_K_M.gguf", "evil\\n-Q4_K_M.gguf"}) {
    hub_.list = list(name, digest);
    EXPECT_NE(Failure("hf:acme/tiny-GGUF", Code::kBadInput).find("unsafe name"), std::string::npos)
        << name;
  }
  for (const std::string& bad : {std::string("../../../../evil"), std::string(64, 'G'),
                                 std::string(63, 'a'), std::string(64, 'A')}) {
    hub_.list = list("x-Q4_K_M.gguf", bad);
    EXPECT_NE(Failure("hf:acme/tiny-GGUF", Code::kBadInput).find("digest"), std::string::npos);
  }
  hub_.list = "{\"sha\":\"../../x\",\"siblings\":[]}";
  Failure("hf:acme/tiny-GGUF", Code::kBadInput);
  EXPECT_TRUE(hub_.cdn.requests().empty());
  EXPECT_FALSE(fs::exists(hub_.folder / "hub"));
}

TEST_F(PullTest, ListAndDownloadMustAgree) {
  for (const char* header : {"X-Linked-Etag", "X-Linked-Size"}) {
    hub_.on_hub = [&](const ServerRequest& request) -> std::optional<ServerReply> {
      if (request.target.find("/resolve/") == std::string::npos) return std::nullopt;
      ServerReply reply;
      reply.headers = {
          {header, std::string(header) == "X-Linked-Size" ? "5" : std::string(64, 'a')}};
      reply.body = model_;
      return reply;
    };
    EXPECT_NE(Failure("hf:acme/tiny-GGUF").find("the hub's listing says"), std::string::npos);
    fs::remove_all(hub_.folder / "hub");
  }
}

TEST_F(PullTest, AListWithoutDigestsIsFilledInFromHeaders) {
  hub_.lists_digests = false;
  EXPECT_EQ(ReadFile(Pull(hub_.options("hf:acme/tiny-GGUF")).path), model_);
  EXPECT_EQ(ReadFile(Pull(hub_.options("hf:acme/tiny-GGUF/sub/config.json")).path), "{}");
  size_t heads = 0;
  for (const ServerRequest& request : hub_.hub.requests()) heads += request.method == "HEAD";
  EXPECT_EQ(heads, 2u);
}

TEST_F(PullTest, AnExpectedSha256) {
  PullOptions options = hub_.options("hf:acme/tiny-GGUF");
  options.sha256 = Sha256(model_);
  EXPECT_EQ(ReadFile(Pull(options).path), model_);
  options.sha256 = std::string(64, '0');
  EXPECT_NE(Failure(options).find("was asked for"), std::string::npos);
  options.source = "hf:acme/tiny-GGUF:Q8_0";
  Failure(options, Code::kUsage);
  options.sha256 = "abc";
  Failure(options, Code::kUsage);
}

TEST_F(PullTest, ForcedPullsVerifyWhatIsThere) {
  PullOptions options = hub_.options("hf:acme/tiny-GGUF");
  const PullResult first = Pull(options);
  WriteFile(hub_.Blob("tiny-Q4_K_M.gguf"), std::string(model_.size(), 'x'));
  EXPECT_EQ(Pull(options).received_bytes, 0u);  // the size is all that is looked at
  options.is_forced = true;
  EXPECT_EQ(Pull(options).received_bytes, model_.size());
  EXPECT_EQ(ReadFile(first.path), model_);
  EXPECT_EQ(Pull(options).received_bytes, 0u);
  // A blob of a wrong size is no blob.
  WriteFile(hub_.Blob("tiny-Q4_K_M.gguf"), "short");
  EXPECT_EQ(Pull(hub_.options("hf:acme/tiny-GGUF")).received_bytes, model_.size());
}

TEST_F(PullTest, AnotherProcessDownloadsTheSame) {
  int go[2];
  ASSERT_EQ(pipe(go), 0);
  const std::string lock_path =
      hub_.folder / ("hub/.locks/models--acme--tiny-GGUF/" + Sha256(model_) + ".lock");
  const pid_t child = fork();
  if (child == 0) {
    const auto lock = FileLock::Try(lock_path);
    char byte = lock ? 'y' : 'n';
    if (write(go[1], &byte, 1) != 1) _exit(1);
    pause();
    _exit(0);
  }
  char byte = 0;
  ASSERT_EQ(read(go[0], &byte, 1), 1);
  ASSERT_EQ(byte, 'y');
  EXPECT_NE(Failure("hf:acme/tiny-GGUF").find("another process is downloading"), std::string::npos);
  EXPECT_TRUE(hub_.cdn.requests().empty());
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  close(go[0]);
  close(go[1]);
  Pull(hub_.options("hf:acme/tiny-GGUF"));  // the lock of a dead process is none
}

TEST_F(PullTest, AnotherThreadDownloadsTheSame) {
  hub_.on_cdn = [this](const ServerRequest& request) {
    ServerReply reply = testing::ServeContent(request, model_, "\"x\"");
    reply.trickle_bytes = 10'000;
    return reply;
  };
  PullResult slow;
  std::thread first([&] { slow = Pull(hub_.options("hf:acme/tiny-GGUF")); });
  while (hub_.cdn.body_bytes() == 0) std::this_thread::yield();
  EXPECT_NE(Failure("hf:acme/tiny-GGUF").find("another process is downloading"), std::string::npos);
  first.join();
  EXPECT_EQ(ReadFile(slow.path), model_);
  EXPECT_EQ(hub_.cdn.body_bytes(), model_.size());
}

class Recorder : public Progress {
 public:
  void Start(const std::string& what, ProgressUnit unit, uint64_t done, uint64_t total) override {
    events_.push_back("start " + what);
    EXPECT_EQ(unit, ProgressUnit::kBytes);
    EXPECT_LE(done, total);
    last_ = done;
  }
  void Update(uint64_t done) override {
    EXPECT_GE(done, last_);
    last_ = done;
  }
  void Finish() override { events_.push_back("finish " + std::to_string(last_)); }
  std::vector<std::string> events_;
  uint64_t last_ = 0;
};

TEST_F(PullTest, ProgressIsToldToWhoeverWatches) {
  Recorder recorder;
  PullOptions options = hub_.options("hf:acme/tiny-GGUF");
  options.progress = &recorder;
  Pull(options);
  ASSERT_FALSE(recorder.events_.empty());
  EXPECT_EQ(recorder.events_.front(), "start tiny-Q4_K_M.gguf");
  EXPECT_EQ(recorder.events_.back(), "finish 100000");
}

TEST_F(PullTest, RetriesAreTold) {
  std::vector<std::string> notices;
  PullOptions options = hub_.options("hf:acme/tiny-GGUF");
  options.on_notice = [&](const std::string& text) { notices.push_back(text); };
  int left = 2;
  hub_.on_cdn = [&](const ServerRequest&) -> std::optional<ServerReply> {
    if (left-- <= 0) return std::nullopt;
    ServerReply reply;
    reply.status = 503;
    return reply;
  };
  EXPECT_EQ(ReadFile(Pull(options).path), model_);
  ASSERT_EQ(notices.size(), 2u);
  EXPECT_NE(notices[1].find(": status 503; trying again in 0.01 s"), std::string::npos)
      << notices[1];
}

// A name that cannot be resolved leaves libcurl's handle in a state of its own.
TEST_F(PullTest, AHostWithoutAnAddress) {
  PullOptions options = hub_.options("hf:acme/tiny-GGUF");
  options.settings.endpoint = "http://nosuchhost.invalid";
  size_t notices = 0;
  options.on_notice = [&](const std::string&) { ++notices; };
  EXPECT_NE(Failure(options).find("http://nosuchhost.invalid"), std::string::npos);
  EXPECT_EQ(notices, 3u);
  Pull(hub_.options("hf:acme/tiny-GGUF"));
  const PullResult result = Pull(options);
  EXPECT_EQ(ReadFile(result.path), model_);
  EXPECT_NE(result.note.find("local copy"), std::string::npos) << result.note;
}

TEST_F(PullTest, ACheckpointBecomesAFolder) {
  hub_.repo = "acme/tiny";
  for (const char* name :
       {"tiny-Q4_K_M.gguf", "tiny-Q8_0-00001-of-00002.gguf", "tiny-Q8_0-00002-of-00002.gguf"})
    hub_.Remove(name);
  hub_.Add("config.json", "{}", true);
  hub_.Add("model.safetensors", "weights");
  PullOptions options = hub_.options("hf:acme/tiny");
  std::string notice;
  options.on_notice = [&](const std::string& text) {
    notice += text;
    EXPECT_TRUE(hub_.cdn.requests().empty());  // before the download
  };
  const PullResult result = Pull(options);
  EXPECT_NE(notice.find("cannot run it before it is converted"), std::string::npos) << notice;
  EXPECT_TRUE(fs::is_directory(result.path));
  EXPECT_EQ(ReadFile(result.path + "/model.safetensors"), "weights");
  EXPECT_EQ(result.files.size(), 2u);
}

}  // namespace
}  // namespace slm::hub
