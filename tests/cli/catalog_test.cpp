// catalog by its exact form.
#include <gtest/gtest.h>

#include "cli/model_command.h"
#include "cli/program.h"

namespace slm::testing {
namespace {

TEST(Catalog, ListsFiltersAndSorts) {
  const nlohmann::json all = Json({"catalog"});
  EXPECT_EQ(all["models"].size(), 19u);
  EXPECT_FALSE(all["sources"].empty());
  const nlohmann::json some =
      Json({"catalog", "--commercial", "--max-params", "4B", "--sort", "MATH", "--input", "image"});
  ASSERT_EQ(some["models"].size(), 2u);
  EXPECT_EQ(some["models"][0]["id"], "gemma-3-4b");
  EXPECT_EQ(Json({"catalog", "--licence", "qwen research"})["models"][0]["id"], "qwen2.5-3b");
  const nlohmann::json small = Json({"catalog", "--device", "raspberry-pi-5-8gb"})["models"];
  EXPECT_GT(small.size(), 5u);
  EXPECT_LT(small.size(), 19u);
  EXPECT_EQ(small.dump().find("\"id\":\"phi-4\""), std::string::npos);
  const ProgramResult all_small = RunProgram({"catalog", "--all", "--device", "rtx-4090"});
  EXPECT_EQ(all_small.code, 0) << all_small.err;
  EXPECT_NE(all_small.err.find("left out"), std::string::npos) << all_small.err;
  EXPECT_EQ(Json({"catalog", "--sort", "math"})["models"][0]["id"], "gemma-3-27b");
  const ProgramResult table = RunProgram({"catalog"});
  EXPECT_NE(table.out.find("phi-4-mini"), std::string::npos) << table.out;
  const ProgramResult one = RunProgram({"catalog", "llama-3.2-1b"});
  for (const char* words : {"Llama 3.2 Community License", "bad at", "https://", "MMLU"})
    EXPECT_NE(one.out.find(words), std::string::npos) << one.out;
}

TEST(Catalog, SaysWhatIsWrong) {
  const auto says = [](std::vector<std::string> args, const char* words) {
    args.insert(args.begin(), "catalog");
    const ProgramResult result = RunProgram(args);
    EXPECT_EQ(result.code, 2) << result.err;
    EXPECT_NE(result.err.find(words), std::string::npos) << result.err;
  };
  says({"lama-3.2-1b"}, "near it: llama-3.2-1b");
  says({"--min-params", "4B", "--max-params", "1B"}, "--min-params is above --max-params");
  says({"--language", "xx"}, "known: ar");
  says({"--sort", "MAT"}, "MATH");
  says({"--sort", "params"}, "parameters, released");
  says({"--max-params", "many"}, "--max-params");
  says({"--max-params", "4GB"}, "--max-params 4GB: expected");
  says({"--licence", "zzz"}, "known: Apache License 2.0");
  says({"--device", "rtx-4091"}, "near it: rtx-4090");
}

}  // namespace
}  // namespace slm::testing
