// Plain URLs and local files.
#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "hub/digest.h"
#include "hub/fake_hub.h"
#include "hub/models.h"
#include "hub/pull.h"
#include "support/data.h"

namespace slm::hub {
namespace {

namespace fs = std::filesystem;
using testing::HttpServer;
using testing::ReadFile;
using testing::ServerReply;
using testing::ServerRequest;
using testing::WriteFile;

class UrlTest : public ::testing::Test {
 protected:
  UrlTest()
      : server_([this](const ServerRequest& request) {
          ServerReply reply = testing::ServeContent(request, content_, etag_);
          if (cut_after_ > 0 && reply.body.size() > cut_after_) reply.cut_after = cut_after_;
          return reply;
        }) {}

  PullOptions Options(const std::string& path) {
    PullOptions options;
    options.source = server_.url() + path;
    options.settings = TestSettings(folder_ / "hub", "http://hub.invalid");
    return options;
  }

  std::string Failure(const PullOptions& options, Code code) {
    try {
      Pull(options);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      return error.what();
    }
    ADD_FAILURE() << "no error for " << options.source;
    return "";
  }

  testing::TempFolder folder_;
  std::string content_ = FakeModel(50'000, 5), etag_ = "\"one\"";
  size_t cut_after_ = 0;
  HttpServer server_;
};

TEST_F(UrlTest, AFolderOfItsOwnBesideTheHubs) {
  const PullOptions options = Options("/dir/my%20model-Q4_0.gguf?Signature=secret");
  const PullResult result = Pull(options);
  EXPECT_TRUE(result.path.starts_with(
      folder_ / ("hub/urls--127.0.0.1_" + std::to_string(server_.port()) + "/snapshots/")))
      << result.path;
  EXPECT_TRUE(result.path.ends_with("/my model-Q4_0.gguf"));
  EXPECT_EQ(ReadFile(result.path), content_);
  EXPECT_EQ(fs::read_symlink(result.path), "../../blobs/" + Sha256(content_));
  EXPECT_EQ(result.source, server_.url() + "/dir/my%20model-Q4_0.gguf");
  for (const auto& entry : fs::recursive_directory_iterator(folder_.path())) {
    if (entry.is_regular_file()) {
      EXPECT_EQ(ReadFile(entry.path()).find("secret"), std::string::npos);
    }
  }
  EXPECT_EQ(Pull(options).received_bytes, 0u);
  EXPECT_EQ(server_.requests().size(), 1u);
}

TEST_F(UrlTest, ForcedPullsReplaceTheFile) {
  PullOptions options = Options("/m.gguf");
  Pull(options);
  content_ = FakeModel(60'000, 6);
  etag_ = "\"two\"";
  options.is_forced = true;
  const PullResult result = Pull(options);
  EXPECT_EQ(ReadFile(result.path), content_);
  EXPECT_EQ(std::distance(
                fs::directory_iterator(fs::path(result.path).parent_path() / "../../blobs"), {}),
            1);
}

TEST_F(UrlTest, ResumesInAnotherRun) {
  PullOptions options = Options("/m.gguf");
  options.settings.limits.retries = 0;
  cut_after_ = 20'000;
  EXPECT_NE(Failure(options, Code::kFailed).find("20.0 kB are kept"), std::string::npos);
  cut_after_ = 0;
  EXPECT_EQ(Pull(options).received_bytes, 30'000u);
  EXPECT_EQ(server_.requests().back().Header("range"), "bytes=20000-");
  EXPECT_EQ(server_.requests().back().Header("if-range"), "\"one\"");
}

TEST_F(UrlTest, AnExpectedSha256) {
  PullOptions options = Options("/m.gguf");
  options.sha256 = Sha256("other");
  EXPECT_NE(Failure(options, Code::kFailed).find("not what was promised"), std::string::npos);
  options.sha256 = Sha256(content_);
  Pull(options);
  EXPECT_EQ(Pull(options).received_bytes, 0u);
}

TEST_F(UrlTest, WhatIsNoModelIsNotKept) {
  content_ = "<html>please log in</html>";
  EXPECT_NE(Failure(Options("/m.gguf"), Code::kBadInput).find("it is a web page"),
            std::string::npos);
  content_ = "version https://git-lfs.github.com/spec/v1\n";
  EXPECT_NE(Failure(Options("/m.gguf"), Code::kBadInput).find("Git LFS pointer"),
            std::string::npos);
  content_ = "";
  EXPECT_NE(Failure(Options("/m.gguf"), Code::kBadInput).find("it is empty"), std::string::npos);
  EXPECT_TRUE(ListModels(Options("/").settings).empty());
  content_ = "anything";
  for (const char* path : {"/m.gguf", "/tokenizer.json", "/"})
    EXPECT_NE(Failure(Options(path), Code::kBadInput).find("it begins with 'anything'"),
              std::string::npos);
}

TEST_F(UrlTest, NamesInUrlsAreTamed) {
  for (const char* path : {"/", "/..%2f..%2fx", "/%2e%2e", "/a%5cb", "/a%00b", "/%0a"}) {
    const PullResult result = Pull(Options(path));
    EXPECT_TRUE(result.path.ends_with("/download")) << result.path;
    EXPECT_TRUE(result.path.starts_with(folder_ / "hub/urls--"));
  }
}

TEST_F(UrlTest, AllPartsOfASplitLandInOneFolder) {
  const PullResult result = Pull(Options("/d/m-Q4_0-00002-of-00003.gguf?x=1"));
  ASSERT_EQ(result.files.size(), 3u);
  EXPECT_EQ(server_.requests()[2].target, "/d/m-Q4_0-00003-of-00003.gguf?x=1");
  EXPECT_TRUE(result.path.ends_with("m-Q4_0-00001-of-00003.gguf"));
  EXPECT_EQ(fs::path(result.files[0]).parent_path(), fs::path(result.files[2]).parent_path());
  EXPECT_EQ(ListModels(Options("/").settings).size(), 1u);
}

TEST_F(UrlTest, LocalFilesStayWhereTheyAre) {
  WriteFile(folder_ / "mine/own-Q4_0.gguf", content_);
  const auto before = fs::last_write_time(folder_ / "mine/own-Q4_0.gguf");
  for (const std::string prefix : {"", "file://"}) {
    PullOptions options = Options("");
    options.source = prefix + (folder_ / "mine/own-Q4_0.gguf");
    const PullResult result = Pull(options);
    EXPECT_EQ(result.path, folder_ / "mine/own-Q4_0.gguf");
    EXPECT_EQ(result.bytes, content_.size());
    EXPECT_EQ(result.note, "");
    options.sha256 = std::string(64, '0');
    Failure(options, Code::kFailed);
    options.sha256 = Sha256(content_);
    Pull(options);
  }
  EXPECT_EQ(fs::last_write_time(folder_ / "mine/own-Q4_0.gguf"), before);
  const auto models = ListModels(Options("").settings);
  ASSERT_EQ(models.size(), 1u);
  EXPECT_EQ(models[0].path, folder_ / "mine/own-Q4_0.gguf");
  EXPECT_TRUE(models[0].is_complete);
  // Moved: still listed, and its use says where it was.
  fs::rename(folder_ / "mine/own-Q4_0.gguf", folder_ / "mine/x");
  ASSERT_EQ(ListModels(Options("").settings).size(), 1u);
  EXPECT_FALSE(ListModels(Options("").settings)[0].is_complete);
  try {
    ResolveModel("own-Q4_0", Options("").settings);
    ADD_FAILURE() << "was found";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("mine/own-Q4_0.gguf"), std::string::npos);
  }
  RemoveModel("own-Q4_0", Options("").settings);
  EXPECT_TRUE(ListModels(Options("").settings).empty());
  fs::rename(folder_ / "mine/x", folder_ / "mine/own-Q4_0.gguf");
  PullOptions again = Options("");
  again.source = folder_ / "mine/own-Q4_0.gguf";
  Pull(again);
  RemoveModel("own-Q4_0", Options("").settings);
  EXPECT_TRUE(fs::exists(folder_ / "mine/own-Q4_0.gguf"));
  EXPECT_TRUE(ListModels(Options("").settings).empty());
}

TEST_F(UrlTest, BadLocalFiles) {
  PullOptions options = Options("");
  options.source = "user/repo";
  EXPECT_NE(Failure(options, Code::kFailed).find("write hf:user/repo"), std::string::npos);
  options.source = folder_.path();
  Failure(options, Code::kBadInput);
  WriteFile(folder_ / "x.gguf", "GGU");
  options.source = folder_ / "x.gguf";
  Failure(options, Code::kBadInput);
  WriteFile(folder_ / "notes.txt", "none");
  options.source = folder_ / "notes.txt";
  EXPECT_NE(Failure(options, Code::kBadInput).find("not a GGUF file"), std::string::npos);
  WriteFile(folder_ / "m-00001-of-00002.gguf", content_);
  options.source = folder_ / "m-00001-of-00002.gguf";
  EXPECT_NE(Failure(options, Code::kBadInput).find("part 2 of 2 is missing"), std::string::npos);
}

}  // namespace
}  // namespace slm::hub
