#include "hub/models.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/error.h"
#include "hub/digest.h"
#include "hub/fake_hub.h"
#include "hub/file.h"
#include "support/data.h"

namespace slm::hub {
namespace {

namespace fs = std::filesystem;
using testing::WriteFile;

const std::string kOld(40, '1'), kNew(40, '2');

class ModelsTest : public ::testing::Test {
 protected:
  ModelsTest() { settings_ = TestSettings(folder_ / "hub", "http://hub.invalid"); }

  std::string Top(const std::string& repo) const { return folder_ / ("hub/models--" + repo); }

  // A file as huggingface_hub would have left it; returns the path of the blob.
  std::string Put(const std::string& repo, const std::string& commit, const std::string& file,
                  const std::string& content) {
    const std::string blob = Top(repo) + "/blobs/" + Sha256(content);
    WriteFile(blob, content);
    const fs::path link = Top(repo) + "/snapshots/" + commit + "/" + file;
    fs::create_directories(link.parent_path());
    fs::create_symlink(fs::relative(blob, link.parent_path()), link);
    return blob;
  }

  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const ModelEntry& entry : ListModels(settings_)) names.push_back(entry.name);
    return names;
  }

  template <class Work>
  static std::string Failure(const Work& work, Code code) {
    try {
      work();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      return error.what();
    }
    ADD_FAILURE() << "no error";
    return "";
  }
  std::string Unresolved(const std::string& name, Code code = Code::kFailed) const {
    return Failure([&] { ResolveModel(name, settings_); }, code);
  }

  testing::TempFolder folder_;
  Settings settings_;
};

TEST_F(ModelsTest, AnEmptyStore) {
  EXPECT_TRUE(ListModels(settings_).empty());
  EXPECT_EQ(Unresolved("x"), "x: no such file or local model; slm models lists what is here");
  EXPECT_NE(Unresolved("user/repo:Q4_0").find("slm pull hf:user/repo:Q4_0"), std::string::npos);
  EXPECT_NE(Unresolved("hf:user/repo").find("slm pull hf:user/repo"), std::string::npos);
  EXPECT_NE(Unresolved("http://a/b.gguf").find("slm pull"), std::string::npos);
}

TEST_F(ModelsTest, ListsWhatPythonDownloaded) {
  Put("u--m", kNew, "m-Q4_K_M.gguf", "GGUF1");
  Put("u--m", kNew, "sub/m-Q8_0-00001-of-00002.gguf", "GGUF22");
  Put("u--m", kNew, "sub/m-Q8_0-00002-of-00002.gguf", "GGUF333");
  Put("u--m", kNew, "README.md", "text");
  WriteFile(Top("u--m") + "/refs/main", kNew);
  Put("u--c", kNew, "config.json", "{}");
  Put("u--c", kNew, "model.safetensors", "weights");
  const auto models = ListModels(settings_);
  ASSERT_EQ(models.size(), 3u);
  EXPECT_EQ(models[0].name, "u/c");
  EXPECT_TRUE(fs::is_directory(models[0].path));
  EXPECT_EQ(models[0].bytes, 9u);
  EXPECT_EQ(models[1].name, "u/m:Q4_K_M");
  EXPECT_EQ(models[1].source, "hf:u/m");
  EXPECT_EQ(models[1].file, "m-Q4_K_M.gguf");
  EXPECT_EQ(models[1].quant, "Q4_K_M");
  EXPECT_EQ(models[1].revision, kNew);
  EXPECT_GT(models[1].last_used_s, 1'600'000'000);
  EXPECT_EQ(models[2].name, "u/m:Q8_0");
  EXPECT_EQ(models[2].bytes, 13u);
  EXPECT_EQ(models[2].paths.size(), 2u);
  EXPECT_TRUE(models[2].is_complete);
}

TEST_F(ModelsTest, StrangeThingsInTheCacheAreLeftAlone) {
  Put("u--m", kNew, "m-Q4_K_M.gguf", "GGUF1");
  Put("u--m", "not-a-commit", "x-Q4_0.gguf", "GGUF2");
  WriteFile(folder_ / "hub/version.txt", "1");
  WriteFile(folder_ / "hub/models--file", "a file");
  fs::create_symlink("../../blobs/none", Top("u--m") + "/snapshots/" + kNew + "/gone-Q8_0.gguf");
  fs::create_directory_symlink(folder_.path(), Top("u--m") + "/snapshots/" + kNew + "/loop");
  EXPECT_EQ(Names(), std::vector<std::string>{"u/m:Q4_K_M"});
}

TEST_F(ModelsTest, ShortNamesAndPaths) {
  Put("u--gemma", kNew, "gemma-3-Q4_K_M.gguf", "GGUF1");
  Put("u--qwen", kNew, "qwen-Q4_0.gguf", "GGUF2");
  Put("u--qwen", kNew, "qwen-Q8_0.gguf", "GGUF3");
  const std::string path = Top("u--gemma") + "/snapshots/" + kNew + "/gemma-3-Q4_K_M.gguf";
  for (const char* name :
       {"u/gemma:Q4_K_M", "u/gemma", "gemma", "GEMMA:q4_k_m", "gemma-3-Q4_K_M",
        "gemma-3-q4_k_m.gguf", "hf:u/gemma", "hf:u/gemma:q4_k_m", "hf:u/gemma/gemma-3-Q4_K_M.gguf"})
    EXPECT_EQ(ResolveModel(name, settings_), path) << name;
  EXPECT_EQ(ResolveModel(path, settings_), path);
  EXPECT_EQ(ResolveModel("file://" + path, settings_), path);
  EXPECT_EQ(ResolveModel(folder_.path(), settings_), folder_.path());

  const std::string message = Unresolved("qwen", Code::kUsage);
  EXPECT_NE(message.find("several"), std::string::npos) << message;
  EXPECT_NE(message.find("u/qwen:Q4_0, u/qwen:Q8_0"), std::string::npos) << message;
  EXPECT_NE(Unresolved("gema").find("nearest: u/gemma:Q4_K_M"), std::string::npos);
  EXPECT_NE(Unresolved("hf:u/qwen").find("slm pull"), std::string::npos);  // which of the two?
  EXPECT_EQ(ResolveModel("qwen:Q8_0", settings_),
            Top("u--qwen") + "/snapshots/" + kNew + "/qwen-Q8_0.gguf");
}

TEST_F(ModelsTest, ResolvingMarksTheModelAsUsed) {
  const std::string blob = Put("u--m", kNew, "m-Q4_K_M.gguf", "GGUF1");
  const timespec times[2] = {{1'000'000'000, 0}, {1'000'000'000, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, blob.c_str(), times, 0), 0);
  EXPECT_EQ(ListModels(settings_)[0].last_used_s, 1'000'000'000);
  ResolveModel("m", settings_);
  EXPECT_GT(ListModels(settings_)[0].last_used_s, 1'600'000'000);
}

TEST_F(ModelsTest, TheBranchDecidesBetweenSnapshots) {
  Put("u--m", kOld, "m-Q4_K_M.gguf", "GGUF-old");
  Put("u--m", kNew, "m-Q4_K_M.gguf", "GGUF-new");
  WriteFile(Top("u--m") + "/refs/main", kNew);
  EXPECT_EQ(Names(), (std::vector<std::string>{"u/m:Q4_K_M", "u/m:Q4_K_M@11111111"}));
  EXPECT_EQ(testing::ReadFile(ResolveModel("m", settings_)), "GGUF-new");
  EXPECT_EQ(testing::ReadFile(ResolveModel("hf:u/m", settings_)), "GGUF-new");
  EXPECT_EQ(testing::ReadFile(ResolveModel("u/m:q4_k_m@11111111", settings_)), "GGUF-old");
}

TEST_F(ModelsTest, MissingPartsAreSaid) {
  Put("u--m", kNew, "m-Q8_0-00001-of-00002.gguf", "GGUF1");
  EXPECT_FALSE(ListModels(settings_)[0].is_complete);
  EXPECT_NE(Unresolved("m").find("parts of it are missing"), std::string::npos);
  EXPECT_NE(Unresolved("hf:u/m:Q8_0").find("slm pull"), std::string::npos);
}

TEST_F(ModelsTest, RemovingKeepsWhatOthersUse) {
  const std::string shared = Put("u--m", kOld, "m-Q4_K_M.gguf", "GGUF-same");
  Put("u--m", kNew, "m-Q4_K_M.gguf", "GGUF-same");
  const std::string other = Put("u--m", kNew, "deep/er/m-Q8_0.gguf", "GGUF-other");
  WriteFile(Top("u--m") + "/refs/main", kNew);
  WriteFile(Top("u--m") + "/.no_exist/" + kNew + "/adapter_config.json", "");

  RemoveResult result = RemoveModel("u/m:Q4_K_M", settings_);
  EXPECT_EQ(result.freed_bytes, 0u);  // the old snapshot still has it
  EXPECT_TRUE(fs::exists(shared));
  EXPECT_FALSE(fs::exists(Top("u--m") + "/snapshots/" + kNew + "/m-Q4_K_M.gguf"));

  result = RemoveModel("hf:u/m:Q8_0", settings_);
  EXPECT_EQ(result.freed_bytes, 10u);
  EXPECT_FALSE(fs::exists(other));
  EXPECT_FALSE(fs::exists(Top("u--m") + "/snapshots/" + kNew));
  EXPECT_TRUE(fs::exists(Top("u--m") + "/refs/main"));

  result = RemoveModel("m", settings_);
  EXPECT_EQ(result.freed_bytes, 9u);
  EXPECT_FALSE(fs::exists(Top("u--m")));
}

TEST_F(ModelsTest, RemovingASplitAndItsLeftovers) {
  Put("u--m", kNew, "m-Q8_0-00001-of-00002.gguf", "GGUF1");
  Put("u--m", kNew, "m-Q8_0-00002-of-00002.gguf", "GGUF22");
  WriteFile(Top("u--m") + "/blobs/" + std::string(64, 'a') + ".incomplete", "1234");
  WriteFile(Top("u--m") + "/blobs/precious.txt", "not ours");
  EXPECT_EQ(RemoveModel("m:Q8_0", settings_).freed_bytes, 15u);
  // What is not known is not removed, nor its folder.
  EXPECT_TRUE(fs::exists(Top("u--m") + "/blobs/precious.txt"));
  EXPECT_EQ(std::distance(fs::directory_iterator(Top("u--m") + "/blobs"), {}), 1);
}

TEST_F(ModelsTest, ALinkThatLeadsElsewhereTakesNothingWithIt) {
  Put("u--m", kNew, "m-Q4_K_M.gguf", "GGUF1");
  const std::string outside = folder_ / ("blobs/" + std::string(64, 'b'));
  WriteFile(outside, "GGUF outside");
  fs::create_symlink(outside, Top("u--m") + "/snapshots/" + kNew + "/x-Q8_0.gguf");
  RemoveModel("x-Q8_0.gguf", settings_);
  EXPECT_TRUE(fs::exists(outside));
  EXPECT_FALSE(fs::exists(Top("u--m") + "/snapshots/" + kNew + "/x-Q8_0.gguf"));
  EXPECT_EQ(Names(), std::vector<std::string>{"u/m:Q4_K_M"});
}

TEST_F(ModelsTest, WhatIsBeingDownloadedIsNotRemoved) {
  const std::string blob = Put("u--m", kNew, "m-Q4_K_M.gguf", "GGUF1");
  const auto lock =
      FileLock::Try(folder_ / ("hub/.locks/models--u--m/" + Sha256("GGUF1") + ".lock"));
  ASSERT_TRUE(lock);
  EXPECT_THROW(RemoveModel("m", settings_), Error);
  EXPECT_TRUE(fs::exists(blob));
}

TEST_F(ModelsTest, UnknownNamesAreNotRemoved) {
  Put("u--m", kNew, "m-Q4_K_M.gguf", "GGUF1");
  WriteFile(folder_ / "own.gguf", "GGUF");
  for (const std::string& name : {std::string("none"), folder_ / "own.gguf", folder_.path(),
                                  std::string("hf:u/none"), std::string("http://a/b")})
    Failure([&] { RemoveModel(name, settings_); }, Code::kFailed);
  EXPECT_TRUE(fs::exists(folder_ / "own.gguf"));
  EXPECT_EQ(Names().size(), 1u);
}

}  // namespace
}  // namespace slm::hub
