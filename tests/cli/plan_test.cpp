// plan by its exact form.
#include <gtest/gtest.h>

#include "cli/model_command.h"
#include "cli/program.h"

namespace slm::testing {
namespace {

TEST(Plan, AnswersForAFileInItsExactForm) {
  const nlohmann::json plan = Json({"plan", "-m", Model(), "-c", "512", "--parallel", "2"});
  for (const char* name : {"weights_bytes", "kv_bytes", "activation_bytes", "total_bytes"})
    EXPECT_GT(plan.at(name).get<int64_t>(), 0) << name;
  EXPECT_TRUE(plan.at("fits").get<bool>());
  EXPECT_EQ(plan.at("missing_bytes"), 0);
  EXPECT_EQ(plan.at("total_bytes").get<int64_t>(), plan.at("weights_bytes").get<int64_t>() +
                                                       plan.at("kv_bytes").get<int64_t>() +
                                                       plan.at("activation_bytes").get<int64_t>() +
                                                       plan.at("program_bytes").get<int64_t>());
  for (const char* name : {"prefill_tokens_per_second", "decode_tokens_per_second"})
    EXPECT_TRUE(plan.at(name).is_null() || plan.at(name).get<double>() > 0) << name;
  EXPECT_FALSE(plan.contains("finetune_bytes"));
}

TEST(Plan, NamesTheCardsOfTheDriver) {
  const std::string path = std::string("LD_LIBRARY_PATH=") + SLM_FAKE_DRIVER;
  const std::vector<std::string> args = {"plan", "-m", Model(), "--json"};
  const nlohmann::json cards = nlohmann::json::parse(RunProgram(args, "", {path}).out).at("cards");
  ASSERT_EQ(cards.size(), 2);
  EXPECT_EQ(cards[0].at("device"), "rtx-4060-ti-16gb");  // of the two by its memory
  EXPECT_DOUBLE_EQ(cards[0].at("read_bytes_per_second").get<double>(), 288'032'000'000.0);
  EXPECT_TRUE(cards[1].at("device").is_null());
  const ProgramResult broken = RunProgram(args, "", {path, "FAKE_CUDA=803"});
  EXPECT_NE(broken.err.find("cuInit failed with 803"), std::string::npos) << broken.err;
  EXPECT_TRUE(nlohmann::json::parse(broken.out).at("cards").empty());
  EXPECT_TRUE(
      nlohmann::json::parse(RunProgram(args, "", {path, "FAKE_CUDA=100"}).out).at("cards").empty());
}

TEST(Plan, AddsFineTuning) {
  const nlohmann::json plan =
      Json({"plan", "-m", Model(), "--finetune", "500", "--rank", "4", "--seq", "64"});
  EXPECT_GT(plan.at("finetune_bytes").get<int64_t>(), plan.at("weights_bytes").get<int64_t>());
  EXPECT_TRUE(plan.contains("finetune_seconds"));
}

TEST(Plan, KnowsModelsAndDevicesOfTheCatalog) {
  const nlohmann::json plan =
      Json({"plan", "-m", "phi-4:f16", "--device", "rtx-4060-ti-16gb", "-c", "2048"});
  EXPECT_FALSE(plan.at("fits").get<bool>());
  EXPECT_GT(plan.at("missing_bytes").get<int64_t>(), 10'000'000'000);
  const ProgramResult text = RunProgram({"plan", "-m", "phi-4", "--device", "rtx-4090"});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_NE(text.out.find("fits"), std::string::npos) << text.out;
}

TEST(Plan, AdvisesForATask) {
  const nlohmann::json advice =
      Json({"plan", "--task", "sql", "--device", "rtx-4090", "--commercial"});
  EXPECT_EQ(advice.at("task").at("benchmark"), "HumanEval");
  ASSERT_FALSE(advice.at("short_list").empty());
  EXPECT_FALSE(advice.at("rules").empty());
  double last = 101;
  for (const nlohmann::json& model : advice.at("models")) {
    EXPECT_NE(model.at("licence"), "Qwen Research License");
    if (!model.at("problems").empty() || model.at("score").is_null()) continue;
    EXPECT_LE(model.at("score").get<double>(), last);  // the best first
    last = model.at("score");
    EXPECT_TRUE(model.at("fits").get<bool>());
  }
  const ProgramResult text = RunProgram({"plan", "--task", "sql", "--device", "rtx-4090"});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_NE(text.out.find("slm pull hf:"), std::string::npos) << text.out;
}

TEST(Plan, SaysThatNothingIsWithinTheLimits) {
  const ProgramResult text = RunProgram({"plan", "--device", "rtx-4090", "--latency", "0.001"});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_NE(text.out.find("no model is within these limits"), std::string::npos) << text.out;
}

TEST(Plan, ComparesWithPrices) {
  const nlohmann::json plan =
      Json({"plan", "-m", "llama-3.2-1b", "--device", "rtx-4090", "--tokens-in", "1000",
            "--tokens-out", "200", "--electricity", "0.3", "--api", "openai-gpt-4o-mini"});
  EXPECT_DOUBLE_EQ(plan.at("apis")[0].at("usd_per_1000_calls").get<double>(), 0.27);
  EXPECT_GT(plan.at("energy_usd_per_1000_calls").get<double>(), 0);
}

TEST(Plan, ComparesWithUsualPricesUnlessDataMayNotLeave) {
  const std::vector<std::string> args = {"plan",     "--task",  "intents", "--device",
                                         "rtx-4090", "--calls", "1000000"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), args.begin(), args.end());
    return Json(more);
  };
  const nlohmann::json open = with({});
  ASSERT_FALSE(open.at("apis").empty());
  for (const nlohmann::json& api : open.at("apis"))
    EXPECT_DOUBLE_EQ(api.at("usd_per_month").get<double>(),
                     1000 * api.at("usd_per_1000_calls").get<double>());
  for (const char* wish : {"--private", "--offline"}) {
    const nlohmann::json closed = with({wish});
    EXPECT_TRUE(closed.at("apis").empty()) << wish;
    EXPECT_EQ(closed.at("rules").size(), open.at("rules").size() + 1) << wish;
  }
}

TEST(Plan, KeepsABudget) {
  const auto short_list = [](const char* usd, const char* calls) {
    return Json({"plan", "--device", "rtx-4090", "--budget", usd, "--calls", calls, "--price",
                 "1800", "--watts", "300", "--electricity", "0.3"})
        .at("short_list")
        .size();
  };
  // 1800 USD in three years are 50 a month, and energy.
  EXPECT_EQ(short_list("49", "1000"), 0);
  EXPECT_GT(short_list("51", "1000"), 0);
  EXPECT_EQ(short_list("100000", "1000000000"), 0);  // more than it can answer
}

TEST(Plan, SaysWhatIsWrong) {
  const auto says = [](std::vector<std::string> args, const char* words) {
    args.insert(args.begin(), {"plan", "-m"});
    const ProgramResult result = RunProgram(args);
    EXPECT_EQ(result.code, 2) << result.err;
    EXPECT_NE(result.err.find(words), std::string::npos) << result.err;
  };
  says({"llama-3.2-1b", "--device", "rtx-4091"}, "near it: rtx-4090");
  says({"llama-3.2-1b", "-c", "0"}, "--ctx-size");
  says({"llama-3.2-1b", "--parallel", "-1"}, "--parallel");
  says({"llama-3.2-1b", "-c", "512", "--tokens-in", "512", "--tokens-out", "64"},
       "do not fit --ctx-size 512");
  says({"llama-3.2-1b:Q9"}, "Q9");
  says({"lama-3.2-1b"}, "near it: llama-3.2-1b");
  says({"llama-3.2-1b", "--rank", "8"}, "--finetune");
  says({"llama-3.2-1b", "--task", "sql"}, "--model excludes --task");
  says({"llama-3.2-1b", "--private"}, "--model excludes --private");
  says({"llama-3.2-1b", "--api", "openai-gpt-4o-minni"}, "near it: openai-gpt-4o-mini");
}

}  // namespace
}  // namespace slm::testing
