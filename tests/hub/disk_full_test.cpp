// A disk with too little room: a small tmpfs where the test may mount one, else a file size limit.
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>

#include "base/error.h"
#include "hub/fake_hub.h"
#include "hub/pull.h"
#include "support/data.h"

namespace slm::hub {
namespace {

namespace fs = std::filesystem;
using testing::ServerReply;
using testing::ServerRequest;

constexpr int kCannotMount = 77;

// Runs `body` in a child process: its result is the message of the error that it throws.
std::string ErrorInChild(const std::function<void()>& body, int* status) {
  int ends[2];
  if (pipe(ends) != 0) return "";
  const pid_t child = fork();
  if (child == 0) {
    try {
      body();
    } catch (const Error& error) {
      const std::string text = error.what();
      if (write(ends[1], text.data(), text.size()) < 0) _exit(1);
      _exit(error.code() == Code::kFailed ? 0 : 1);
    }
    _exit(2);
  }
  close(ends[1]);
  std::string message;
  char block[4096];
  for (ssize_t got; (got = read(ends[0], block, sizeof block)) > 0;)
    message.append(block, static_cast<size_t>(got));
  close(ends[0]);
  waitpid(child, status, 0);
  *status = WIFEXITED(*status) ? WEXITSTATUS(*status) : -1;
  return message;
}

class DiskFullTest : public ::testing::Test {
 protected:
  DiskFullTest() {
    hub_.Add("m-Q4_K_M.gguf", model_);
    fs::create_directories(hub_.folder / "hub");
  }

  // Gives this process (a child) a cache with room for 256 KiB.
  void MountSmallDisk() const {
    if (unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("tmpfs", (hub_.folder / "hub").c_str(), "tmpfs", 0, "size=256k") != 0)
      _exit(kCannotMount);
  }

  FakeHub hub_;
  const std::string model_ = FakeModel(1'000'000, 1);
};

TEST_F(DiskFullTest, IsSeenBeforeTheDownload) {
  int status = -1;
  const std::string message = ErrorInChild(
      [&] {
        MountSmallDisk();
        Pull(hub_.options("hf:acme/tiny-GGUF"));
      },
      &status);
  if (status == kCannotMount) GTEST_SKIP() << "skipped: may not mount";
  EXPECT_EQ(status, 0);
  EXPECT_NE(message.find("1.00 MB more needed"), std::string::npos) << message;
  EXPECT_NE(message.find("kB free"), std::string::npos) << message;
  EXPECT_TRUE(hub_.cdn.requests().empty());
}

TEST_F(DiskFullTest, InTheMiddleOfADownloadOfUnknownSize) {
  hub_.on_cdn = [this](const ServerRequest&) {
    ServerReply reply;
    reply.is_chunked = true;
    reply.body = model_;
    return reply;
  };
  int status = -1;
  const std::string message = ErrorInChild(
      [&] {
        MountSmallDisk();
        PullOptions options = hub_.options(hub_.cdn.url() + "/m.gguf");
        Pull(options);
      },
      &status);
  if (status == kCannotMount) GTEST_SKIP() << "skipped: may not mount";
  EXPECT_EQ(status, 0);
  EXPECT_NE(message.find("No space left on device"), std::string::npos) << message;
  EXPECT_NE(message.find("make room and run the same command again"), std::string::npos) << message;
}

TEST_F(DiskFullTest, AFileSizeLimitKeepsThePartForLater) {
  int status = -1;
  const std::string message = ErrorInChild(
      [&] {
        signal(SIGXFSZ, SIG_IGN);  // as the program does: then write() fails
        const rlimit limit = {300'000, 300'000};
        setrlimit(RLIMIT_FSIZE, &limit);
        Pull(hub_.options("hf:acme/tiny-GGUF"));
      },
      &status);
  EXPECT_EQ(status, 0);
  EXPECT_NE(message.find("700 kB more needed"), std::string::npos) << message;
  EXPECT_NE(message.find("300 kB are kept"), std::string::npos) << message;
  EXPECT_NE(message.find("free"), std::string::npos) << message;

  const PullResult result = Pull(hub_.options("hf:acme/tiny-GGUF"));
  EXPECT_EQ(result.received_bytes, 700'000u);
  EXPECT_EQ(hub_.Ranges().back(), "bytes=300000-");
  EXPECT_EQ(testing::ReadFile(result.path), model_);
}

}  // namespace
}  // namespace slm::hub
