// merge by its exact form: with held-out examples it finds out when a file loses the adapter.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/model_command.h"
#include "cli/program.h"
#include "cli/training_examples.h"
#include "support/data.h"
#include "support/temp_folder.h"
#include "tiny/tiny_model.h"

namespace slm::testing {
namespace {

using nlohmann::json;
using Args = std::vector<std::string>;

// A folder with examples and an adapter of `base` that learnt them.
class MergeTest : public ::testing::Test {
 protected:
  MergeTest() { WriteFile(folder_ / "data.jsonl", Examples(30)); }

  void Train(const std::string& base, const std::string& steps, const std::string& rate) {
    const ProgramResult result = RunProgram({"finetune", "-m", base, "-d", folder_ / "data.jsonl",
                                             "-o", folder_ / "adapter", "--steps", steps, "--batch",
                                             "6", "--lr", rate, "--rank", "4", "--warmup", "0"});
    ASSERT_EQ(result.code, 0) << result.err;
  }

  Args Merge(const std::string& base, const Args& more) const {
    Args args = {"merge",
                 "-m",
                 base,
                 "--lora",
                 folder_ / "adapter",
                 "-o",
                 folder_ / "out.gguf",
                 "-d",
                 folder_ / "data.jsonl"};
    args.insert(args.end(), more.begin(), more.end());
    return args;
  }

  // Of a merge that writes nothing.
  static json Unwritten(Args args) {
    args.emplace_back("--json");
    const ProgramResult result = RunProgram(args);
    EXPECT_EQ(result.code, 1) << result.err;
    return json::parse(result.out);
  }

  // The only form of these.
  static json FormOf(const json& report, const std::string& form, const std::string& type,
                     const std::string& weights, bool has_imatrix = false) {
    json found;
    for (const json& row : report["forms"]) {
      if (row["form"] != form || row["weights"] != weights) continue;
      if (row["has_imatrix"] != has_imatrix) continue;
      if (type.empty() ? !row["type"].is_null() : row["type"] != type) continue;
      EXPECT_TRUE(found.is_null());
      found = row;
    }
    EXPECT_FALSE(found.is_null()) << form << " " << type << ": " << report.dump(1);
    return found;
  }

  bool HasOutput() const { return std::filesystem::exists(folder_ / "out.gguf"); }
  bool HasCandidates() const { return std::filesystem::exists(folder_ / "out.gguf.candidates"); }

  const TempFolder folder_;
};

// What a small adapter adds is less than half a step of the grid that the weights are on: all of it
// is rounded away, and twice as many bits keep it.
TEST_F(MergeTest, AnAdapterThatIsRoundedAwayStaysBeside) {
  const std::string base = WriteTinyModel({.arch = "llama", .type = quant::Type::kQ4_0});
  Train(base, "12", "0.0003");
  const json report = Unwritten(Merge(base, {"--type", "q4_0", "--no-speed"}));
  EXPECT_EQ(report["examples"], 30);
  EXPECT_EQ(report["tokens"], 10 * (4 + 6 + 5));
  ASSERT_EQ(report["forms"].size(), 4u);
  const json alone = FormOf(report, "alone", "", base), beside = FormOf(report, "beside", "", base),
             merged = FormOf(report, "merged", "Q4_0", base),
             eight_bits = FormOf(report, "merged", "Q8_0", base);
  EXPECT_EQ(beside["kept"], 1);
  EXPECT_EQ(beside["mean_kld"], 0);
  EXPECT_EQ(beside["same_top"], 1);
  EXPECT_FALSE(beside["has_regret"]);
  EXPECT_GT(alone["loss"].get<double>(), beside["loss"].get<double>());
  EXPECT_GT(alone["mean_kld"].get<double>(), 0);
  EXPECT_LT(merged["kept"].get<double>(), 0.5);
  EXPECT_TRUE(merged["has_regret"]);
  EXPECT_GT(eight_bits["kept"].get<double>(), 0.9);
  EXPECT_LT(eight_bits["mean_kld"].get<double>(), merged["mean_kld"].get<double>());
  EXPECT_TRUE(beside["is_picked"]);
  EXPECT_TRUE(report["needs_lora"]);
  EXPECT_TRUE(report["path"].is_null());
  EXPECT_FALSE(HasOutput());
  EXPECT_FALSE(HasCandidates());

  const ProgramResult said = RunProgram(Merge(base, {"--type", "q4_0", "--no-speed"}));
  EXPECT_EQ(said.code, 1);
  EXPECT_NE(said.err.find("nothing was written; keep it beside: slm serve -m " + base + " --lora " +
                          folder_.path() + "/adapter"),
            std::string::npos)
      << said.err;
  EXPECT_NE(said.out.find("  regret\n"), std::string::npos) << said.out;
  EXPECT_EQ(said.out.find("tok/s"), std::string::npos) << said.out;
}

// Held-out data on which the adapter gains nothing cannot tell what merging loses.
TEST_F(MergeTest, NothingIsWrittenWhereTheAdapterBringsNothing) {
  const std::string base = WriteTinyModel({.arch = "llama"});
  Train(base, "60", "0.01");
  Args args = Merge(base, {"--no-speed"});
  *std::find(args.begin(), args.end(), folder_ / "adapter") += ":-1";
  const ProgramResult said = RunProgram(args);
  EXPECT_EQ(said.code, 1);
  EXPECT_NE(said.err.find("the adapter brings nothing"), std::string::npos) << said.err;
  EXPECT_EQ(said.out.find("picked"), std::string::npos) << said.out;
  EXPECT_FALSE(HasOutput());
}

TEST_F(MergeTest, WhatLosesNothingIsWritten) {
  const std::string base = folder_ / "base.gguf";
  ASSERT_EQ(RunProgram({"quantize", WriteTinyModel({.arch = "gemma3"}), base, "q8_0"}).code, 0);
  Train(base, "60", "0.01");
  const json report = Json(Merge(base, {"--no-speed"}));  // the base's type
  ASSERT_EQ(report["forms"].size(), 3u);
  const json merged = FormOf(report, "merged", "Q8_0", base);
  EXPECT_NEAR(merged["kept"].get<double>(), 1, 0.05);
  EXPECT_FALSE(merged["has_regret"]);
  EXPECT_TRUE(merged["is_picked"]);
  EXPECT_FALSE(report["needs_lora"]);
  EXPECT_EQ(report["path"], folder_ / "out.gguf");
  EXPECT_EQ(merged["bytes"], std::filesystem::file_size(folder_ / "out.gguf"));
  EXPECT_FALSE(HasCandidates());
  // It is what merging makes without measuring.
  const std::string written = ReadFile(folder_ / "out.gguf");
  Json({"merge", "-m", base, "--lora", folder_ / "adapter", "-o", folder_ / "plain.gguf", "--type",
        "q8_0"});
  EXPECT_EQ(ReadFile(folder_ / "plain.gguf"), written);
  // The adapter, in any of its files, is in there and does not count twice.
  for (const char* name : {"adapter", "adapter/adapter.gguf"}) {
    const ProgramResult twice =
        RunProgram({"eval", "-m", folder_ / "out.gguf", "--lora", folder_ / name, "-d",
                    folder_ / "data.jsonl", "-o", folder_ / "answers.jsonl"});
    EXPECT_EQ(twice.code, 3) << twice.err;
    EXPECT_NE(twice.err.find("is merged into"), std::string::npos) << twice.err;
  }
  // The loss is what the answers say elsewhere.
  const json score = Json({"eval", "-m", folder_ / "out.gguf", "-d", folder_ / "data.jsonl", "-o",
                           folder_ / "answers.jsonl", "-n", "8"});
  EXPECT_EQ(score["score"], merged["right"]);

  // Which form is the faster is the machine's, so what is picked may be either.
  Args with_json = Merge(base, {"--json"});
  const ProgramResult in_time = RunProgram(with_json);
  EXPECT_LE(in_time.code, 1) << in_time.err;
  const json timed = json::parse(in_time.out);
  for (const json& row : timed["forms"])
    for (const char* key : {"prefill_tokens_per_second", "decode_tokens_per_second"})
      if (row["form"] == "alone")
        EXPECT_FALSE(row.contains(key));
      else
        EXPECT_GT(row[key].get<double>(), 0) << row;

  const ProgramResult table = RunProgram(Merge(base, {}));
  EXPECT_LE(table.code, 1) << table.err;
  EXPECT_NE(table.out.find("30 answers of 150 tokens"), std::string::npos) << table.out;
  for (const char* words :
       {"base alone", "adapter beside ", "merged, Q8_0 ", "dec tok/s", "picked"})
    EXPECT_NE(table.out.find(words), std::string::npos) << table.out;
}

// Weights that were never on a grid do not round back to it.
TEST_F(MergeTest, IntoTheFloatWeightsAsWell) {
  const std::string original = WriteTinyModel({.arch = "llama"}), base = folder_ / "base.gguf";
  ASSERT_EQ(RunProgram({"quantize", original, base, "q4_0"}).code, 0);
  Train(base, "12", "0.0003");
  WriteFile(folder_ / "text", std::string(700, 'x') + std::string(700, 'y'));
  ASSERT_EQ(RunProgram({"imatrix", "-m", base, "--lora", folder_ / "adapter", "-f",
                        folder_ / "text", "-o", folder_ / "imatrix"})
                .code,
            0);
  const json report =
      Unwritten(Merge(base, {"--float", original, "--imatrix", folder_ / "imatrix", "--no-speed"}));
  ASSERT_EQ(report["forms"].size(), 7u);
  const json into_float = FormOf(report, "merged", "Q4_0", original),
             into_base = FormOf(report, "merged", "Q4_0", base),
             by_columns = FormOf(report, "merged", "Q4_0", original, true);
  EXPECT_NE(into_float["loss"], into_base["loss"]);
  EXPECT_NE(into_float["loss"], by_columns["loss"]);
  EXPECT_TRUE(into_base["has_regret"]);
  FormOf(report, "merged", "Q4_0", base, true);
  FormOf(report, "merged", "Q8_0", base);
}

// That the base is quantized is not held against merging.
TEST_F(MergeTest, AFloatBaseThatIsToBeQuantized) {
  const std::string base = WriteTinyModel({.arch = "llama"});
  Train(base, "60", "0.01");
  const json report = Json(Merge(base, {"--type", "q4_0", "--no-speed"}));
  ASSERT_EQ(report["forms"].size(), 5u);
  const json beside = FormOf(report, "beside", "Q4_0", base);
  EXPECT_EQ(beside["kept"], 1);
  EXPECT_FALSE(beside["has_regret"]);
  EXPECT_FALSE(FormOf(report, "beside", "", base)["has_regret"]);
  EXPECT_EQ(FormOf(report, "beside", "", base)["mean_kld"], 0);
  EXPECT_GT(beside["mean_kld"].get<double>(), 0);
  EXPECT_LT(beside["bytes"].get<double>(),
            FormOf(report, "beside", "", base)["bytes"].get<double>());
  EXPECT_TRUE(HasOutput());
  for (const json& row : report["forms"])
    if (row["form"] != "alone" && row["is_picked"]) {
      EXPECT_EQ(row["bytes"], std::filesystem::file_size(folder_ / "out.gguf"));
      EXPECT_EQ(report["needs_lora"], row["form"] == "beside");
    }
  // In a float type there is nothing to lose.
  const json in_float = Json(Merge(base, {"--no-speed"}));
  ASSERT_EQ(in_float["forms"].size(), 3u);
  EXPECT_NEAR(FormOf(in_float, "merged", "F32", base)["mean_kld"].get<double>(), 0, 1e-6);
  EXPECT_FALSE(in_float["needs_lora"]);
}

TEST_F(MergeTest, SaysWhatIsWrong) {
  const std::string base = WriteTinyModel({.arch = "llama", .type = quant::Type::kQ4_0});
  Train(base, "1", "0.001");
  const auto message = [&](const Args& args, int code) {
    const ProgramResult result = RunProgram(args);
    EXPECT_EQ(result.code, code) << result.err;
    EXPECT_FALSE(HasOutput());
    return result.err;
  };
  const auto has = [](const std::string& text, const char* part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  has(message(Merge(base, {}), 2), "--type");  // the file does not say its own
  has(message(Merge(base, {"--type", "q4_0", "--limit", "19"}), 3), "at least 20 examples");
  has(message(Merge(base, {"--type", "q4_0", "--float", base}), 3), "expected float weights");
  has(message({"merge", "-m", base, "--lora", folder_ / "adapter", "-o", folder_ / "out.gguf",
               "--limit", "30"},
              2),
      "--limit");
  has(message({"merge", "-m", base, "-o", folder_ / "out.gguf"}, 2), "--lora");
  std::filesystem::create_directory(folder_ / "out.gguf.candidates");
  has(message(Merge(base, {"--type", "q4_0"}), 2), "out.gguf.candidates is there already");
  EXPECT_TRUE(HasCandidates());
}

}  // namespace
}  // namespace slm::testing
