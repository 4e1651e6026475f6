#include "hub/repository.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace slm::hub {
namespace {

const std::string kCommit(40, 'c');

TEST(Repository, ReadsLfsAndGitFiles) {
  const Repository repository =
      ParseRepository(R"({"sha":")" + kCommit + R"(","gated":false,"siblings":[
        {"rfilename":"README.md","size":10,"blobId":"0000000000000000000000000000000000000001"},
        {"rfilename":"m.gguf","size":134,"blobId":"x","lfs":{"sha256":"abc","size":5000000000}},
        {"rfilename":"bare"},{"size":1},7,null]})",
                      "u/r");
  ASSERT_EQ(repository.files.size(), 3u);
  EXPECT_EQ(repository.commit, kCommit);
  EXPECT_EQ(repository.files[0].digest, "0000000000000000000000000000000000000001");
  EXPECT_EQ(repository.files[1].digest, "abc");
  EXPECT_EQ(repository.files[1].size, 5000000000u);
  EXPECT_FALSE(repository.files[2].size);
}

TEST(Repository, MalformedListsAreErrors) {
  const std::string head = R"({"sha":")" + kCommit + "\"";
  for (const std::string& text :
       {std::string(), std::string("{"), std::string("[]"), std::string("null"), std::string("{}"),
        head + "}", head + R"(,"siblings":{}})", std::string(R"({"sha":"main","siblings":[]})"),
        std::string(R"({"sha":17,"siblings":[]})"),
        std::string(R"({"sha":"../../../../../../../../../../../../../x","siblings":[]})"),
        head + R"(,"siblings":[{"rfilename":"\ud800"}]})", head + ",\"siblings\":[\"\xff\"]}",
        head + R"(,"siblings":[]}trailing)", std::string(1 << 20, '['),
        head + R"(,"x":)" + std::string(1 << 16, '[') + std::string(1 << 16, ']') + "}"}) {
    try {
      ParseRepository(text, "u/r");
      ADD_FAILURE() << text.substr(0, 100);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kBadInput) << text.substr(0, 100);
      EXPECT_LT(std::string(error.what()).size(), 500u);
    }
  }
}

TEST(Repository, OddSizesAreLeftOut) {
  const Repository repository =
      ParseRepository(R"({"sha":")" + kCommit + R"(","siblings":[{"rfilename":"a","size":-1},
        {"rfilename":"b","size":1.5},{"rfilename":"c","size":"9"},
        {"rfilename":"d","size":18446744073709551615},{"rfilename":"e","size":99999999999999999999}]})",
                      "u/r");
  ASSERT_EQ(repository.files.size(), 5u);
  EXPECT_FALSE(repository.files[0].size || repository.files[1].size || repository.files[2].size);
  EXPECT_EQ(repository.files[3].size, UINT64_MAX);
  EXPECT_FALSE(repository.files[4].size);
}

}  // namespace
}  // namespace slm::hub
