#include "hub/names.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace slm::hub {
namespace {

using Names = std::vector<std::string>;

// The message of the error that `work` throws, or "" when it throws none.
template <class Work>
std::string ErrorOf(const Work& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Names, OnlyPathsThatStayInsideAreSafe) {
  for (const char* path : {"a", "a/b.gguf", "a/..b/c", "...", ".hidden", "a b", "\xc3\xa9.gguf"})
    EXPECT_TRUE(IsSafePath(path)) << path;
  for (const char* path : {"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/../b",
                           "a/./b", "a\\b", "..\\a", "C:\\a", "a\nb", "a\x1b[2J", "\x7f"})
    EXPECT_FALSE(IsSafePath(path)) << path;
  EXPECT_FALSE(IsSafePath(std::string_view("a\0b", 3)));
  EXPECT_TRUE(IsSafePath(std::string(255, 'x')));
  EXPECT_FALSE(IsSafePath(std::string(256, 'x')));
  std::string deep = "x";
  while (deep.size() <= 1024) deep += "/x";
  EXPECT_FALSE(IsSafePath(deep));
}

TEST(Names, RepositoriesCommitsAndDigests) {
  for (const char* repo : {"a/b", "ggml-org/gemma-3-270m-GGUF", "u_1/m.v2"})
    EXPECT_TRUE(IsRepoId(repo)) << repo;
  for (const char* repo : {"", "a", "/", "a/", "/b", "a/b/c", "../b", "a/..", "a/b--c", "a--b/c",
                           "a b/c", "a/b?x", "a/b%2f", "-a/b", "a/.b", "a/b\n"})
    EXPECT_FALSE(IsRepoId(repo)) << repo;
  EXPECT_FALSE(IsRepoId("a/" + std::string(97, 'b')));
  const std::string sha1(40, 'a'), sha256(64, '0');
  EXPECT_TRUE(IsCommit(sha1) && IsDigest(sha1) && IsDigest(sha256) && IsSha256(sha256));
  EXPECT_FALSE(IsCommit(sha256) || IsSha256(sha1) || IsDigest(std::string(50, 'a')));
  EXPECT_FALSE(IsDigest(std::string(40, 'A')) || IsDigest("../" + std::string(37, 'a')));
}

TEST(Names, QuantIsTheLastWordThatLooksLikeOne) {
  const std::pair<const char*, const char*> kCases[] = {
      {"gemma-3-270m-it-Q4_K_M.gguf", "Q4_K_M"},
      {"SmolLM2-135M-Instruct.Q4_1.gguf", "Q4_1"},
      {"qwen2.5-coder-0.5b-instruct-q8_0.gguf", "Q8_0"},
      {"Model-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"},
      {"Model-UD-IQ2_XXS.gguf", "UD-IQ2_XXS"},
      {"model.IQ4_NL.gguf", "IQ4_NL"},
      {"m-TQ1_0.gguf", "TQ1_0"},
      {"m-Q4_0_4_4.gguf", "Q4_0_4_4"},
      {"m-BF16.gguf", "BF16"},
      {"m-fp16.gguf", "F16"},
      {"gpt-oss-20b-mxfp4.gguf", "MXFP4"},
      {"m-MXFP4_MOE.gguf", "MXFP4_MOE"},
      {"Q4_K_M/m-00001-of-00003.gguf", "Q4_K_M"},
      {"F16/m-Q6_K-00002-of-00003.gguf", "Q6_K"},
      {"m-Q4_K_M-imat.gguf", "Q4_K_M"},
      {"m_Q5_K_S.gguf", "Q5_K_S"},
      {"m-Q4_K_M_tuned.gguf", "Q4_K_M"},
      {"m-Q9_0.gguf", ""},
      {"SQ4_0.gguf", ""},
      {"Llama-3.2-1B.gguf", ""},
      {".gguf", ""},
      {"Q.gguf", ""},
      {"UD-.gguf", ""},
  };
  for (const auto& [file, quant] : kCases) {
    const auto name = ParseModelFileName(file);
    ASSERT_TRUE(name) << file;
    EXPECT_EQ(name->quant, quant) << file;
  }
  EXPECT_FALSE(ParseModelFileName("model.safetensors"));
  EXPECT_FALSE(ParseModelFileName(""));
}

TEST(Names, SplitsAreReadAndWritten) {
  auto name = ParseModelFileName("d/m-Q4_0-00002-of-00012.gguf");
  EXPECT_EQ(name->stem, "d/m-Q4_0");
  EXPECT_EQ(name->part, 2);
  EXPECT_EQ(name->parts, 12);
  EXPECT_EQ(SplitPartName(*name, 11), "d/m-Q4_0-00011-of-00012.gguf");
  for (const char* odd : {"m-00000-of-00002.gguf", "m-00003-of-00002.gguf", "m-0001-of-0002.gguf",
                          "-00001-of-00002.gguf", "m-0000a-of-00002.gguf"})
    EXPECT_EQ(ParseModelFileName(odd)->parts, 1) << odd;
}

const Names kRepo = {".gitattributes",
                     "README.md",
                     "big/m-Q8_0-00002-of-00002.gguf",
                     "big/m-Q8_0-00001-of-00002.gguf",
                     "m-Q4_K_M.gguf",
                     "m-UD-Q3_K_XL.gguf",
                     "m-special.gguf",
                     "mmproj-m-Q8_0.gguf"};

TEST(ChooseFiles, TakesTheQuantOrTheDefault) {
  EXPECT_EQ(ChooseFiles(kRepo, "", "", "u/m").files, Names{"m-Q4_K_M.gguf"});
  EXPECT_EQ(ChooseFiles(kRepo, "", "q4_k_m", "u/m").files, Names{"m-Q4_K_M.gguf"});
  EXPECT_EQ(ChooseFiles(kRepo, "", "Q3_K_XL", "u/m").files, Names{"m-UD-Q3_K_XL.gguf"});
  EXPECT_EQ(ChooseFiles(kRepo, "", "special", "u/m").files, Names{"m-special.gguf"});
  const Names split = {"big/m-Q8_0-00001-of-00002.gguf", "big/m-Q8_0-00002-of-00002.gguf"};
  EXPECT_EQ(ChooseFiles(kRepo, "", "Q8_0", "u/m").files, split);
  EXPECT_EQ(ChooseFiles(kRepo, split[1], "", "u/m").files, split);
  EXPECT_EQ(ChooseFiles(kRepo, "README.md", "", "u/m").files, Names{"README.md"});
  EXPECT_EQ(ChooseFiles(kRepo, "mmproj-m-Q8_0.gguf", "", "u/m").files, Names{"mmproj-m-Q8_0.gguf"});
  EXPECT_EQ(ChooseFiles({"only-Q2_K.gguf", "mmproj-F16.gguf"}, "", "", "u/m").files,
            Names{"only-Q2_K.gguf"});
}

TEST(ChooseFiles, ListsWhatIsThereWhenNothingMatches) {
  const std::string message = ErrorOf([] { ChooseFiles(kRepo, "", "Q5_K_M", "u/m"); });
  EXPECT_EQ(message,
            "u/m: no Q5_K_M model there; available: (m-special.gguf), Q4_K_M, Q8_0, UD-Q3_K_XL");
  EXPECT_NE(ErrorOf([] {
              ChooseFiles({"a-Q2_K.gguf", "b-Q3_K.gguf"}, "", "", "u/m");
            }).find("no Q4_K_M model there; available: Q2_K, Q3_K"),
            std::string::npos);
  EXPECT_NE(ErrorOf([] {
              ChooseFiles({"a-Q4_0.gguf", "b-Q4_0.gguf"}, "", "Q4_0", "u/m");
            }).find("name one: hf:u/m/a-Q4_0.gguf, hf:u/m/b-Q4_0.gguf"),
            std::string::npos);
  EXPECT_NE(ErrorOf([] { ChooseFiles({"README.md"}, "", "", "u/m"); }).find("no GGUF"),
            std::string::npos);
  EXPECT_NE(ErrorOf([] { ChooseFiles({}, "", "", "u/m"); }).find("no GGUF"), std::string::npos);
  EXPECT_NE(ErrorOf([] {
              ChooseFiles(kRepo, "m-Q4_K_N.gguf", "", "u/m");
            }).find("nearest: m-Q4_K_M.gguf"),
            std::string::npos);
}

TEST(ChooseFiles, AMissingPartIsAnError) {
  const Names files = {"m-Q4_0-00001-of-00003.gguf", "m-Q4_0-00003-of-00003.gguf"};
  EXPECT_NE(ErrorOf([&] { ChooseFiles(files, "", "Q4_0", "u/m"); }).find("part 2 of 3"),
            std::string::npos);
  EXPECT_NE(ErrorOf([&] { ChooseFiles(files, files[0], "", "u/m"); }).find("part 2 of 3"),
            std::string::npos);
}

TEST(ChooseFiles, ACheckpointIsAFolder) {
  const Names files = {"config.json",
                       "model-00001-of-00002.safetensors",
                       "model-00002-of-00002.safetensors",
                       "pytorch_model.bin",
                       "sub/other.json",
                       "tokenizer.json"};
  const Choice choice = ChooseFiles(files, "", "", "u/m");
  EXPECT_TRUE(choice.is_folder);
  EXPECT_EQ(choice.files, (Names{"config.json", "model-00001-of-00002.safetensors",
                                 "model-00002-of-00002.safetensors", "tokenizer.json"}));
  EXPECT_TRUE(HasAllParts(choice.files));
  EXPECT_FALSE(HasAllParts({"config.json", "model-00001-of-00002.safetensors"}));
  EXPECT_THROW(ChooseFiles(files, "", "Q4_0", "u/m"), Error);
}

}  // namespace
}  // namespace slm::hub
