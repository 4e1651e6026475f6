// The bits of the logits do not depend on where the panels are: in memory, in a file that is new or
// was there, damaged or not, or nowhere.
#include "model/packed_weights.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <functional>

#include "base/error.h"
#include "engine/executor.h"
#include "kernels/table.h"
#include "model/packed_store.h"
#include "support/data.h"
#include "support/temp_folder.h"
#include "tiny/tiny_model.h"

namespace slm::engine {
namespace {

namespace fs = std::filesystem;
using Where = model::PackOptions::Where;

constexpr uint64_t kBudget = 1'000'000'000;
constexpr int kCannotMount = 77;

struct Result {
  std::vector<float> logits;
  std::string notice;
};

class PackedWeightsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (fs::space(folder_.path()).available < 5'000'000'000)
      GTEST_SKIP() << "skipped: the store leaves 4 GB of a disk free";
    model_ = folder_ / "model.gguf";
    fs::copy_file(testing::WriteTinyModel({.arch = "llama", .type = quant::Type::kQ8_0}), model_);
    expected_ = Run({.where = Where::kMemory, .folder = "", .no_folder = ""}).logits;
  }

  model::PackOptions Store(const std::string& folder, uint64_t budget = kBudget) const {
    return {.where = Where::kStore, .folder = folder, .budget_bytes = budget, .no_folder = ""};
  }
  model::PackOptions Store() const { return Store(packed_); }

  Result Run(const model::PackOptions& options, const std::string& isa = "") const {
    Runtime runtime(2, isa.empty() ? kernels::Kernels() : kernels::FindTable(isa));
    const auto model = Model::Load(model_, &runtime, nullptr, options);
    Executor executor(model);
    Session session(model, {.context = 64});
    const std::vector<int32_t> ids = {1, 2, 3, 250, 7};
    const std::span<const float> logits = executor.Extend(&session, ids);
    return {{logits.begin(), logits.end()}, model->packed().notice()};
  }

  bool IsExpected(const std::vector<float>& logits) const {
    return logits.size() == expected_.size() &&
           std::memcmp(logits.data(), expected_.data(), 4 * logits.size()) == 0;
  }

  // The only file of the store; its name, and what changes when it is written anew.
  std::string File() const {
    std::string path;
    for (const auto& entry : fs::directory_iterator(packed_)) {
      EXPECT_EQ(path, "") << entry.path();
      path = entry.path();
    }
    return path;
  }

  format::PackedHeader Header() const {
    const MappedFile file(File());
    return format::ReadPackedHeader(file.path(), file.bytes());
  }

  // The exit code of a child process that does this.
  static int InChild(const std::function<int()>& body) {
    const pid_t child = fork();
    if (child == 0) _exit(body());
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
  }

  // With a store that cannot be: says why, and gives the same bits.
  void ExpectNotice(const model::PackOptions& options, const std::string& notice) const {
    const Result result = Run(options);
    EXPECT_NE(result.notice.find(notice), std::string::npos) << result.notice;
    EXPECT_NE(result.notice.find("packed in memory"), std::string::npos) << result.notice;
    EXPECT_TRUE(IsExpected(result.logits));
  }

  const testing::TempFolder folder_;
  const std::string packed_ = folder_ / "packed";
  std::string model_;
  std::vector<float> expected_;
};

TEST_F(PackedWeightsTest, SameBitsWhereverThePanelsAre) {
  for (const kernels::KernelTable* table : kernels::AvailableTables()) {
    const std::string isa(table->isa);
    const std::vector<float> in_memory = Run({}, isa).logits;
    EXPECT_TRUE(isa == "ref" || IsExpected(in_memory)) << isa;
    for (const model::PackOptions& options :
         {Store(), Store(), {.where = Where::kNowhere, .folder = "", .no_folder = ""}}) {
      const Result result = Run(options, isa);
      EXPECT_EQ(result.notice, "");
      EXPECT_EQ(result.logits, in_memory) << isa;
    }
  }
}

// Through the map this would end the program.
TEST_F(PackedWeightsTest, ACutEmbeddingIsAnErrorAndChangesNothing) {
  Runtime runtime(2);
  const auto model = Model::Load(model_, &runtime, nullptr,
                                 {.where = Where::kMemory, .folder = "", .no_folder = ""});
  const format::GgufTensor& table = model->file().Get("token_embd.weight");
  Executor executor(model);
  Session session(model, {.context = 64});
  fs::resize_file(model_, table.offset + 10 * table.row_bytes());
  executor.Extend(&session, std::vector<int32_t>{1, 2, 9});
  const std::vector<int32_t> behind = {10};
  const BatchItem item = {&session, behind, 1};
  try {
    executor.Forward({&item, 1}, [](size_t, int64_t, std::span<const float>) {});
    ADD_FAILURE() << "a row behind the end";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kFailed);
  }
  EXPECT_EQ(session.tokens().size(), 3u);
}

// The file is written in parts of 2 MB, whose borders lie inside of panels.
TEST_F(PackedWeightsTest, PanelsOnTheBorderOfParts) {
  fs::copy_file(
      testing::WriteTinyModel({.arch = "llama", .type = quant::Type::kQ8_0, .layers = 50}), model_,
      fs::copy_options::overwrite_existing);
  expected_ = Run({.where = Where::kMemory, .folder = "", .no_folder = ""}).logits;
  EXPECT_TRUE(IsExpected(Run(Store()).logits));
  constexpr uint64_t kPart = 2 << 20;
  const format::PackedHeader header = Header();
  EXPECT_GT(header.file_bytes, 2 * kPart);
  int cut = 0;
  for (const format::PackedMatrix& matrix : header.matrices) {
    const uint64_t border = (matrix.offset + kPart - 1) / kPart * kPart;
    const uint64_t panel = matrix.bytes / ((matrix.rows + 15) / 16);
    if (border < matrix.offset + matrix.bytes && (border - matrix.offset) % panel > 0) ++cut;
  }
  EXPECT_GT(cut, 0);
}

TEST_F(PackedWeightsTest, TheSecondStartReadsTheFileOfTheFirst) {
  EXPECT_TRUE(IsExpected(Run(Store()).logits));
  const std::string path = File();
  // What the file holds is what is used: with other panels the logits are others.
  std::string bytes = testing::ReadFile(path);
  std::memset(bytes.data() + 8192, 0, bytes.size() - 8192);
  const std::string foreign = folder_ / "foreign";
  testing::WriteFile(foreign, bytes);
  fs::rename(foreign, path);
  const auto long_ago = fs::file_time_type::clock::now() - std::chrono::hours(10);
  fs::last_write_time(path, long_ago);
  EXPECT_FALSE(IsExpected(Run(Store()).logits));
  EXPECT_GT(fs::last_write_time(path), long_ago + std::chrono::hours(9));  // marked as used
}

TEST_F(PackedWeightsTest, ADamagedFileIsMadeAnew) {
  Run(Store());
  const std::string path = File(), good = testing::ReadFile(path);
  const auto expect_rebuilt = [&](const std::string& what) {
    const Result result = Run(Store());
    EXPECT_EQ(result.notice, "") << what;
    EXPECT_TRUE(IsExpected(result.logits)) << what;
    EXPECT_EQ(File(), path) << what;
    EXPECT_TRUE(testing::ReadFile(path) == good) << what;
  };
  for (const size_t size : {size_t{0}, size_t{1}, size_t{100}, size_t{5000}, good.size() - 1}) {
    testing::WriteFile(path, good.substr(0, size));
    expect_rebuilt("cut to " + std::to_string(size));
  }
  testing::WriteFile(path, good + "x");
  expect_rebuilt("longer");
  for (size_t at = 0; at < 1000; at += 37) {
    std::string bytes = good;
    bytes[at] = static_cast<char>(bytes[at] ^ 4);
    testing::WriteFile(path, bytes);
    expect_rebuilt("flipped at " + std::to_string(at));
  }
  fs::remove(path);
  fs::create_directory(path);
  expect_rebuilt("a folder");
}

TEST_F(PackedWeightsTest, AFileOfAnotherModelIsNotTaken) {
  Run(Store());
  const std::string path = File(), of_first = testing::ReadFile(path);
  const auto stamp = fs::last_write_time(model_);
  // Other weights of the same shapes in a file of the same name and size, then an older one again.
  std::string bytes = testing::ReadFile(model_);
  for (size_t i = bytes.size() - 1000; i < bytes.size(); ++i) bytes[i] = 1;
  testing::WriteFile(model_, bytes);
  const std::vector<float> changed = Run({}).logits;
  EXPECT_FALSE(IsExpected(changed));
  EXPECT_EQ(Run(Store()).logits, changed);
  EXPECT_EQ(Run(Store()).logits, changed);
  EXPECT_EQ(File(), path);
  EXPECT_TRUE(testing::ReadFile(path) != of_first);
  fs::last_write_time(model_, stamp - std::chrono::hours(1));
  EXPECT_EQ(Run(Store()).logits, changed);
  EXPECT_EQ(Header().sources[0].stamp, StampOf(model_)) << "an older time is another model";
  // The header of the model's file counts too.
  const auto time = fs::last_write_time(model_);
  const size_t at = bytes.find("context_length");
  ASSERT_NE(at, std::string::npos);
  bytes[at + std::strlen("context_length") + 4 + 1] ^= 1;  // 4096 becomes 4352
  testing::WriteFile(model_, bytes);
  fs::last_write_time(model_, time);
  const uint64_t hash = Header().source_hash;
  EXPECT_EQ(Run(Store()).logits, changed);
  EXPECT_NE(Header().source_hash, hash);
}

TEST_F(PackedWeightsTest, NoFolder) {
  ExpectNotice({.where = Where::kStore, .folder = "", .no_folder = "HOME is not set"},
               "HOME is not set; the weights are packed in memory");
  testing::WriteFile(folder_ / "file", "x");
  ExpectNotice(Store(folder_ / "file/packed"), "cannot make the folder");
  ExpectNotice(Store("/proc/nothing/packed"), "cannot make the folder");
}

TEST_F(PackedWeightsTest, NoRoomInTheBudget) {
  ExpectNotice(Store(packed_, 1000), "exceed the budget of 1.00 kB");
  EXPECT_TRUE(fs::is_empty(packed_));
}

TEST_F(PackedWeightsTest, ADiskThatFillsUp) {
  rlimit before = {};
  getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  const rlimit small = {100'000, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  ExpectNotice(Store(), "cannot write: File too large");
  setrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, handler);
  EXPECT_TRUE(fs::is_empty(packed_));
}

TEST_F(PackedWeightsTest, ASmallOrReadOnlyDisk) {
  for (const bool is_read_only : {false, true}) {
    const int code = InChild([&] {
      fs::create_directories(packed_);
      const unsigned long flags = is_read_only ? MS_RDONLY : 0;
      if (unshare(CLONE_NEWNS) != 0 ||
          mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
          mount("tmpfs", packed_.c_str(), "tmpfs", flags, is_read_only ? "" : "size=100k") != 0)
        return kCannotMount;
      const Result result = Run(Store());
      const char* reason = is_read_only ? "Read-only file system" : "no room for packed weights";
      if (result.notice.find(reason) == std::string::npos) return 1;
      return IsExpected(result.logits) ? 0 : 2;
    });
    if (code == kCannotMount) GTEST_SKIP() << "skipped: may not mount";
    EXPECT_EQ(code, 0) << is_read_only;
  }
}

TEST_F(PackedWeightsTest, AFullStoreMakesRoom) {
  Run(Store());
  const std::string first = File();
  const uint64_t bytes = fs::file_size(first);
  fs::copy_file(model_, folder_ / "other.gguf");
  model_ = folder_ / "other.gguf";
  const Result result = Run(Store(packed_, bytes + bytes / 2));
  EXPECT_EQ(result.notice, "");
  EXPECT_TRUE(IsExpected(result.logits));
  EXPECT_NE(File(), first);
}

TEST_F(PackedWeightsTest, WhatIsMappedOutlivesItsFile) {
  Runtime runtime(2);
  const auto model = Model::Load(model_, &runtime, nullptr, Store());
  fs::remove(File());
  Executor executor(model);
  Session session(model, {.context = 64});
  const std::vector<int32_t> ids = {1, 2, 3, 250, 7};
  const std::span<const float> logits = executor.Extend(&session, ids);
  EXPECT_TRUE(IsExpected({logits.begin(), logits.end()}));
}

TEST_F(PackedWeightsTest, ProcessesAtOnce) {
  constexpr int kProcesses = 6;
  std::vector<pid_t> children;
  for (int i = 0; i < kProcesses; ++i) {
    children.push_back(fork());
    if (children.back() != 0) continue;
    for (int round = 0; round < 10; ++round) {
      std::error_code ignored;
      if (i % 2 == 0)
        for (const auto& entry : model::PackedStore(packed_, 0).List())
          fs::remove(entry.path, ignored);
      const Result result = Run(Store());
      if (!IsExpected(result.logits)) _exit(1);
    }
    _exit(0);
  }
  for (const pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_TRUE(IsExpected(Run(Store()).logits));
  File();
}

}  // namespace
}  // namespace slm::engine
