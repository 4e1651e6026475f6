// plan by its exact form.
#include <gtest/gtest.h>

#include <algorithm>

#include "cli/model_command.h"
#include "cli/program.h"
#include "support/data.h"
#include "support/temp_folder.h"

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
  const nlohmann::json card = Json({"plan", "-m", Model(), "-c", "512", "--device", "rtx-4090"});
  for (const char* name : {"prefill_tokens_per_second", "decode_tokens_per_second"}) {
    ASSERT_TRUE(plan.contains(name)) << name;
    EXPECT_GT(card.at(name).get<double>(), 0) << name;
  }
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
  const std::vector<std::string> left_out = advice.at("left_out");
  EXPECT_NE(std::find(left_out.begin(), left_out.end(), "qwen2.5-3b"), left_out.end());
  EXPECT_EQ(Json({"plan", "--device", "rtx-4090"}).at("left_out").size(), 0u);
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
  // A card gets the file; on this machine the command, of the program as it was called, runs it.
  EXPECT_EQ(text.out.find("slm chat"), std::string::npos) << text.out;
  const ProgramResult here = RunProgram({"plan", "--task", "sql", "--type", "Q4_K_M"});
  EXPECT_EQ(here.code, 0) << here.err;
  EXPECT_NE(here.out.find("slm chat -c 4096 -m \"$(/"), std::string::npos) << here.out;
  EXPECT_NE(text.out.find("slm pull hf:"), std::string::npos) << text.out;
}

TEST(Plan, DrawsAPageThatNeedsNothingElse) {
  const TempFolder folder;
  WriteFile(folder / "prices.jsonl",
            R"({"id": "<b>", "provider": "p", "model": "m", "input_usd_per_million": 1, )"
            R"("output_usd_per_million": 2, "source": "a & b", "date": "2026-11"})"
            "\n");
  const ProgramResult result =
      RunProgram({"plan", "--task", "sql", "--device", "rtx-4090", "--prices",
                  folder / "prices.jsonl", "--html", folder / "plan.html"});
  ASSERT_EQ(result.code, 0) << result.err;
  const std::string page = ReadFile(folder / "plan.html");
  const auto has = [&](const char* part) { return page.find(part) != std::string::npos; };
  for (const char* chart : {"<b>Memory</b>", "<b>HumanEval by tokens", "<b>USD a month by calls",
                            "Where the figures are from", "width=device-width"})
    EXPECT_TRUE(has(chart)) << chart;
  EXPECT_TRUE(has("&lt;b&gt;"));
  EXPECT_TRUE(has("a &amp; b"));
  for (const char* request : {"<script", "src=", "href=", "url(", "@import"})
    EXPECT_FALSE(has(request)) << request;
}

TEST(Plan, SaysWhetherAFileKeepsTheLimits) {
  const auto plan = [](const char* device, const char* latency) {
    return Json({"plan", "-m", "llama-3.2-3b", "--device", device, "--latency", latency});
  };
  EXPECT_TRUE(plan("rtx-4090", "60000").at("latency_met").get<bool>());
  EXPECT_FALSE(plan("rtx-4090", "10").at("latency_met").get<bool>());
  // Its prompts are not known, but its answer alone takes longer.
  EXPECT_FALSE(plan("raspberry-pi-5-8gb", "100").at("latency_met").get<bool>());
  EXPECT_TRUE(plan("raspberry-pi-5-8gb", "600000").at("latency_met").is_null());
  const ProgramResult longer =
      RunProgram({"plan", "-m", "qwen2.5-0.5b", "-c", "40000", "--device", "rtx-4090"});
  EXPECT_NE(longer.out.find("not kept: made for 32768 tokens"), std::string::npos) << longer.out;
}

TEST(Plan, LengthsThatWereNotSaidFit) {
  const auto lengths = [](std::vector<std::string> args) {
    args.insert(args.begin(), {"plan", "-m", "llama-3.2-3b", "--device", "rtx-4090"});
    const nlohmann::json plan = Json(args);
    return std::vector<int64_t>{plan.at("context"), plan.at("tokens_in"), plan.at("tokens_out")};
  };
  using Lengths = std::vector<int64_t>;
  EXPECT_EQ(lengths({}), (Lengths{4096, 512, 64}));
  EXPECT_EQ(lengths({"--tokens-in", "8000"}), (Lengths{8064, 8000, 64}));
  EXPECT_EQ(lengths({"--tokens-out", "5000"}), (Lengths{5512, 512, 5000}));
  EXPECT_EQ(lengths({"-c", "16"}), (Lengths{16, 14, 2}));
  EXPECT_EQ(lengths({"-c", "512", "--tokens-in", "511"}), (Lengths{512, 511, 1}));  // as run has it
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
  // What is known of it is enough to break it.
  const nlohmann::json energy = Json({"plan", "-m", "llama-3.2-1b", "--device", "rtx-4060-ti-16gb",
                                      "--budget", "1", "--calls", "1000000", "--electricity", "5"});
  EXPECT_NE(energy.at("problems").dump().find("at least"), std::string::npos);
  EXPECT_EQ(energy.at("cost_unknown_for_want_of"), nlohmann::json{"--price"});
}

TEST(Plan, SaysWhatIsNearlyWithinTheLimits) {
  const std::vector<std::string> of = {"plan", "--device", "rtx-4090"};
  const auto plan = [&](std::vector<std::string> more) {
    more.insert(more.begin(), of.begin(), of.end());
    return more;
  };
  const double seconds = Json(plan({"-m", "phi-4"})).at("call_seconds");
  const auto is_near = [&](double share) {
    const std::string latency = std::to_string(1000 * seconds * share);
    return RunProgram(plan({"--latency", latency})).out.find("nearly: Phi-4 14B in Q4_K_M") !=
           std::string::npos;
  };
  EXPECT_TRUE(is_near(0.85));
  EXPECT_FALSE(is_near(1.01));
  EXPECT_FALSE(is_near(0.75));
}

TEST(Plan, TakesEightBitsWhereTheyCostNothingElse) {
  const auto type = [](const std::string& device) -> std::string {
    const nlohmann::json models = Json({"plan", "--device", device}).at("models");
    for (const nlohmann::json& model : models)
      if (model.at("id") == "qwen2.5-1.5b") return model.at("type");
    return "";
  };
  EXPECT_EQ(type("rtx-4090"), "Q8_0");
  EXPECT_EQ(type("raspberry-pi-4-8gb"), "Q4_K_M");  // in 8 bits slower than people read
}

TEST(Plan, PutsWhatIsSlowerThanReadingBehind) {
  const auto plan = [](std::vector<std::string> more) {
    more.insert(more.begin(), {"plan", "--device", "raspberry-pi-5-16gb"});
    return Json(more);
  };
  const auto has_rule = [](const nlohmann::json& answer) {
    return answer.dump().find("speed-reading") != std::string::npos;
  };
  const nlohmann::json advice = plan({});
  EXPECT_TRUE(has_rule(advice));
  bool is_slow = false;
  for (const nlohmann::json& model : advice.at("models")) {
    if (!model.at("problems").empty()) continue;
    const bool is_slower = model.at("call_decode_tokens_per_second").get<double>() < 5;
    EXPECT_FALSE(is_slow && !is_slower) << model.at("id");
    is_slow = is_slower;
  }
  EXPECT_TRUE(is_slow);  // they are not left out
  EXPECT_GE(advice.at("models")[0].at("call_decode_tokens_per_second").get<double>(), 5);
  // A time that was set is what counts.
  EXPECT_FALSE(has_rule(plan({"--latency", "3600000"})));
}

TEST(Plan, ListsDevices) {
  const nlohmann::json devices = Json({"plan", "--list-devices"}).at("devices");
  EXPECT_GT(devices.size(), 100u);
  const TempFolder folder;
  WriteFile(folder / "own.jsonl",
            R"({"id": "own", "name": "Own", "kind": "gpu", "memory_bytes": {"value": 8e9, )"
            R"("unit": "bytes", "source": "label", "date": "2026-11"}})"
            "\n");
  const nlohmann::json more =
      Json({"plan", "--list-devices", "--devices", folder / "own.jsonl"}).at("devices");
  EXPECT_EQ(more.size(), devices.size() + 1);
  EXPECT_EQ(more[0].at("id"), "own");
  const ProgramResult text = RunProgram({"plan", "--list-devices"});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_NE(text.out.find("raspberry-pi-5-8gb"), std::string::npos) << text.out;
  const ProgramResult both = RunProgram({"plan", "--task", "sql", "--list-devices"});
  EXPECT_EQ(both.code, 2);
  EXPECT_NE(both.err.find("--list-devices does not go with --task"), std::string::npos) << both.err;
}

TEST(Plan, MemoryIsAsSaid) {
  const auto usable = [](std::vector<std::string> more) {
    more.insert(more.begin(), {"plan", "-m", Model()});
    return Json(more).at("device").at("usable_bytes").get<double>() / (1 << 30);
  };
  // Of a Mac two thirds up to 32 GiB, three quarters above.
  EXPECT_NEAR(usable({"--device", "m4-pro", "--memory", "24"}), 16, 0.01);
  EXPECT_NEAR(usable({"--device", "m4-pro", "--memory", "64"}), 48, 0.01);
  const auto price = [](const char* gib) {
    return Json({"plan", "-m", Model(), "--device", "m4-pro", "--memory", gib})
        .at("device")
        .at("price_usd");
  };
  EXPECT_FALSE(price("48").is_null());
  EXPECT_TRUE(price("64").is_null());  // the price that is known is of another size
  EXPECT_NEAR(usable({"--memory", "2.5"}), 2.5, 1e-6);  // here: what a model may take
}

TEST(Plan, RefusesAbsurdNumbers) {
  std::vector<std::string> flags = {"--latency", "--calls",  "--watts", "--price",
                                    "--years",   "--memory", "--epochs"};
  for (const std::string& flag : flags)
    for (const char* value : {"nan", "inf", "-inf", "1e308", "0", "-1", "x"}) {
      const ProgramResult result = RunProgram(
          {"plan", "-m", "llama-3.2-1b", "--device", "rtx-4090", "--finetune", "9", flag, value});
      EXPECT_EQ(result.code, 2) << flag << ' ' << value << result.out;
      EXPECT_NE(result.err.find(flag), std::string::npos) << result.err;
    }
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
  says({"llama-3.2-1b", "--devices", "x"}, "--device");
  says({"llama-3.2-1b", "--list-devices"}, "--list-devices does not go with --model");
  says({"llama-3.2-1b", "--memory", "900000"}, "this machine has");
  says({"llama-3.2-1b", "--budget", "5"}, "--calls");
  says({"llama-3.2-1b", "--electricity", "1e300"}, "--electricity");
  says({"llama-3.2-1b", "--private"}, "--model excludes --private");
  says({"llama-3.2-1b", "--api", "openai-gpt-4o-minni"}, "near it: openai-gpt-4o-mini");
}

TEST(Plan, SaysWhichTwoLimitsContradict) {
  const ProgramResult both = RunProgram({"plan", "--private", "--api", "openai-gpt-4o-mini"});
  EXPECT_EQ(both.code, 2) << both.err;
  EXPECT_NE(both.err.find("--private"), std::string::npos) << both.err;
  EXPECT_NE(both.err.find("--api"), std::string::npos) << both.err;
}

}  // namespace
}  // namespace slm::testing
