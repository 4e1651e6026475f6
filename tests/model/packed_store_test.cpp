// Which files of packed weights stay and which go.
#include "model/packed_store.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>

#include "base/error.h"
#include "quant/packed.h"
#include "support/temp_folder.h"

namespace slm::model {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kFileBytes = 10'000;

class PackedStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (fs::space(folder_.path()).available < 5'000'000'000)
      GTEST_SKIP() << "skipped: the store leaves 4 GB of a disk free";
  }

  // Packed weights of a model of that name, used `age` minutes ago.
  std::string Add(const std::string& name, int age, uint32_t version = quant::kPanelVersion) {
    const std::string model = folder_ / (name + ".gguf");
    testing::WriteFile(model, name);
    format::PackedHeader header;
    header.layout = quant::kPanelLayout;
    header.layout_version = version;
    header.sources.push_back({model, *StampOf(model)});
    header.file_bytes = kFileBytes;
    const std::string path = store_.PathFor(header);
    std::string content = format::WritePackedHeader(header);
    content.resize(kFileBytes);
    testing::WriteFile(path, content);
    fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::minutes(age));
    return path;
  }

  std::vector<std::string> Paths() const {
    std::vector<std::string> paths;
    for (const PackedEntry& entry : store_.List()) paths.push_back(entry.path);
    return paths;
  }

  const testing::TempFolder folder_;
  const PackedStore store_{folder_ / "packed", 3 * kFileBytes};
};

TEST_F(PackedStoreTest, TheLeastRecentlyUsedGo) {
  const std::string b = Add("b", 20), a = Add("a", 30), c = Add("c", 10);
  EXPECT_EQ(Paths(), (std::vector{a, b, c}));
  PackedStore::Touch(a);
  EXPECT_EQ(Paths(), (std::vector{b, c, a}));
  store_.MakeRoom(kFileBytes / 2);
  EXPECT_EQ(Paths(), (std::vector{c, a}));
  store_.MakeRoom(kFileBytes);  // there is room
  EXPECT_EQ(Paths(), (std::vector{c, a}));
  store_.MakeRoom(3 * kFileBytes);
  EXPECT_TRUE(Paths().empty());
}

TEST_F(PackedStoreTest, WhatCannotFitRemovesNothing) {
  const std::string a = Add("a", 30);
  try {
    store_.MakeRoom(3 * kFileBytes + 1);
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kFailed);
    EXPECT_NE(std::string(error.what()).find("30.0 kB exceed the budget of 30.0 kB"),
              std::string::npos)
        << error.what();
  }
  const PackedStore rich(store_.folder(), UINT64_MAX);
  try {
    rich.MakeRoom(fs::space(folder_.path()).available);
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("no room for packed weights"), std::string::npos)
        << error.what();
  }
  EXPECT_EQ(Paths(), std::vector{a});
}

TEST_F(PackedStoreTest, StaleOnesGoFirst) {
  const std::string old = Add("old", 30), gone = Add("gone", 5);
  fs::remove(folder_ / "gone.gguf");
  EXPECT_EQ(Paths(), (std::vector{gone, old}));
  store_.MakeRoom(2 * kFileBytes);
  EXPECT_EQ(Paths(), std::vector{old});
}

TEST_F(PackedStoreTest, PruneRemovesWhatNobodyWillRead) {
  const std::string kept = Add("kept", 1), gone = Add("gone", 2), changed = Add("changed", 3);
  const std::string version = Add("version", 4, quant::kPanelVersion + 1), cut = Add("cut", 5);
  fs::remove(folder_ / "gone.gguf");
  testing::WriteFile(folder_ / "changed.gguf", "other bytes");
  fs::resize_file(cut, kFileBytes - 1);
  const std::string foreign = store_.folder() + "/foreign.panels";
  testing::WriteFile(foreign, "text");
  testing::WriteFile(store_.folder() + "/notes.txt", "not ours");
  testing::WriteFile(store_.folder() + "/new.1.tmp", "somebody writes it");
  const std::string abandoned = store_.folder() + "/old.1.tmp";
  testing::WriteFile(abandoned, "abc");
  fs::last_write_time(abandoned, fs::file_time_type::clock::now() - std::chrono::hours(2));
  const PackedStore::Pruned pruned = store_.Prune();
  std::vector<std::string> paths = pruned.paths,
                           expected = {gone, changed, version, cut, foreign, abandoned};
  std::sort(paths.begin(), paths.end());
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(paths, expected);
  EXPECT_EQ(pruned.freed_bytes, 4 * kFileBytes - 1 + 4 + 3);
  EXPECT_EQ(Paths(), std::vector{kept});
  EXPECT_TRUE(fs::exists(store_.folder() + "/notes.txt"));
  EXPECT_TRUE(fs::exists(store_.folder() + "/new.1.tmp"));
}

TEST_F(PackedStoreTest, NoFolderIsNoError) {
  const PackedStore none(folder_ / "absent", 1);
  EXPECT_TRUE(none.List().empty());
  EXPECT_TRUE(none.Prune().paths.empty());
}

}  // namespace
}  // namespace slm::model
