// Every command by its exact form: what scripts read, exit codes, messages.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/model_command.h"
#include "cli/program.h"
#include "support/temp_folder.h"
#include "tiny/tiny_model.h"

namespace slm::testing {
namespace {

using nlohmann::json;

TEST(Commands, Run) {
  const json a = Json({"run", "-m", Model(), "-p", "hello", "-n", "8", "--temp", "0.7", "--seed",
                       "5", "-c", "256"});
  EXPECT_LE(a["tokens"].size(), 8u);
  EXPECT_EQ(a["completion_tokens"], a["tokens"].size());
  EXPECT_EQ(a["prompt_tokens"], 24);
  const std::vector<std::string> same = {"run", "-m",     Model(), "-n", "8",  "--temp",
                                         "0.7", "--seed", "5",     "-c", "256"};
  std::vector<std::string> from_input = same, from_file = same;
  from_input.insert(from_input.end(), {"-p", "-"});
  EXPECT_EQ(Json(from_input, "hello")["tokens"], a["tokens"]);
  const TempFolder folder;
  WriteFile(folder / "prompt", "hello");
  from_file.insert(from_file.end(), {"-f", folder / "prompt"});
  EXPECT_EQ(Json(from_file)["tokens"], a["tokens"]);
  // Raw: nothing around the text; any bytes are accepted.
  EXPECT_EQ(Json({"run", "-m", Model(), "--raw", "-p", "ab\xff\xc3", "-n", "1"})["prompt_tokens"],
            4);
  const ProgramResult text = RunProgram({"run", "-m", Model(), "-p", "hello", "-n", "8", "--temp",
                                         "0.7", "--seed", "5", "-c", "256"});
  EXPECT_EQ(text.code, 0);
  EXPECT_EQ(text.out, a["text"].get<std::string>() + "\n");
}

TEST(Commands, LookupChangesNothing) {
  const std::vector<std::string> args = {"run",    "-m", Model(), "--raw", "-p", "abcabcabcabcabc",
                                         "--temp", "0",  "-n",    "60",    "-c", "256"};
  const auto with = [&](const char* lookup) {
    std::vector<std::string> all = args;
    all.insert(all.end(), {"--lookup", lookup});
    return Json(all);
  };
  const json off = with("off"), fixed = with("7");
  EXPECT_EQ(off["drafted_tokens"], 0);
  EXPECT_EQ(off["accepted_tokens"], 0);
  EXPECT_EQ(fixed["tokens"], off["tokens"]);
  EXPECT_GT(fixed["drafted_tokens"], 0);
  EXPECT_LE(fixed["accepted_tokens"], fixed["drafted_tokens"]);
  EXPECT_EQ(with("auto")["tokens"], off["tokens"]);
  EXPECT_EQ(Json(args)["tokens"], off["tokens"]);
  for (const char* wrong : {"", "0", "-1", "32", "on", "3x"}) {
    std::vector<std::string> all = args;
    all.insert(all.end(), {"--lookup", wrong});
    EXPECT_EQ(RunProgram(all).code, 2) << wrong;
  }
  EXPECT_EQ(RunProgram(args, "", {"SLM_LOOKUP=on"}).code, 2);
}

TEST(Commands, RunRefusesWhatDoesNotFit) {
  const ProgramResult r = RunProgram({"run", "-m", Model(), "-p", "hello", "-n", "60", "-c", "70"});
  EXPECT_EQ(r.code, 3);
  for (const char* number : {"24", "60", "70"})
    EXPECT_NE(r.err.find(number), std::string::npos) << r.err;
  EXPECT_EQ(r.out, "");
}

TEST(Commands, TokenizeAndBack) {
  const TempFolder folder;
  WriteFile(folder / "text", "Hi <|im_end|>");
  const json ids = Json({"tokenize", "-m", Model(), "-f", folder / "text"})["tokens"];
  EXPECT_EQ(ids, json::parse("[72,105,32,259]"));
  EXPECT_EQ(Json({"tokenize", "-m", Model(), "-f", folder / "text", "--no-parse-special"})["tokens"]
                .size(),
            13u);
  EXPECT_EQ(RunProgram({"detokenize", "-m", Model(), "--ids", "72,105,32"}).out, "Hi \n");
  EXPECT_EQ(Json({"detokenize", "-m", Model(), "--ids", "72,105"})["text"], "Hi");
  EXPECT_EQ(RunProgram({"detokenize", "-m", Model(), "--ids", " 72 , 105, 32 "}).out, "Hi \n");
  EXPECT_EQ(RunProgram({"detokenize", "-m", Model(), "--ids", "72 105"}).code, 2);
  EXPECT_EQ(RunProgram({"detokenize", "-m", Model(), "--ids", "72,9999"}).code, 3);
  EXPECT_EQ(RunProgram({"detokenize", "-m", Model(), "--ids", "72,x"}).code, 2);
}

TEST(Commands, Template) {
  const TempFolder folder;
  WriteFile(folder / "messages", R"([{"role":"user","content":"hi"}])");
  WriteFile(folder / "t.jinja", "{{ bos_token }}{{ messages[0].content }} {{ x }}");
  const std::vector<std::string> base = {"template", "--messages", folder / "messages"};
  std::vector<std::string> of_model = base, of_file = base;
  of_model.insert(of_model.end(), {"-m", Model(), "--add-generation-prompt"});
  EXPECT_EQ(RunProgram(of_model).out, "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n");
  of_file.insert(of_file.end(),
                 {"--chat-template-file", folder / "t.jinja", "--kwargs", R"({"x":[1,true]})"});
  const ProgramResult r = RunProgram(of_file);
  EXPECT_EQ(r.code, 0) << r.err;
  EXPECT_EQ(r.out, "hi [1, True]");
  WriteFile(folder / "bad.jinja", "{% if %}");
  EXPECT_EQ(RunProgram({"template", "--messages", folder / "messages", "--chat-template-file",
                        folder / "bad.jinja"})
                .code,
            3);
}

TEST(Commands, LogitsHighestFirstAndTheSameByIds) {
  const json a = Json({"logits", "-m", Model(), "-p", "hi", "--raw", "--top", "5", "-c", "64"});
  ASSERT_EQ(a["logits"].size(), 5u);
  for (size_t i = 1; i < 5; ++i)
    EXPECT_GE(a["logits"][i - 1]["logit"].get<double>(), a["logits"][i]["logit"].get<double>());
  EXPECT_EQ(Json({"logits", "-m", Model(), "--ids", "104,105", "--raw", "--top", "5", "-c", "64"}),
            a);
  EXPECT_EQ(Json({"logits", "-m", Model(), "--ids", "1", "--top", "0"})["logits"].size(),
            static_cast<size_t>(kTinyVocab));
  EXPECT_EQ(RunProgram({"logits", "-m", Model(), "--ids", "260"}).code, 3);
}

TEST(Commands, PerplexityAndBench) {
  const TempFolder folder;
  WriteFile(folder / "text", std::string(700, 'a') + std::string(500, 'b'));
  const json p =
      Json({"perplexity", "-m", Model(), "-f", folder / "text", "-c", "128", "--chunks", "3"});
  EXPECT_GT(p["perplexity"].get<double>(), 1);
  EXPECT_GT(p["stderr"].get<double>(), 0);
  EXPECT_GT(p["tokens"].get<int>(), 100);
  EXPECT_TRUE(p["seconds"].is_number());
  WriteFile(folder / "short", "a");
  EXPECT_EQ(RunProgram({"perplexity", "-m", Model(), "-f", folder / "short"}).code, 3);
  const json b =
      Json({"bench", "-m", Model(), "-p", "16", "-n", "4", "-d", "8", "-t", "1", "-r", "1"});
  ASSERT_EQ(b.size(), 2u);
  EXPECT_EQ(b[0]["test"], "pp16@d8");
  EXPECT_EQ(b[1]["test"], "tg4@d8");
  EXPECT_GT(b[0]["tokens_per_second"].get<double>(), 0);
  EXPECT_TRUE(b[1]["share_of_peak"].is_null());  // the cache holds this model
  EXPECT_EQ(b[1]["probes"].size() % 2, 0u);
  EXPECT_GT(b[0]["macs_per_token"].get<double>(), 0);
  EXPECT_GT(b[1]["bytes_per_token"].get<double>(), 0);
}

TEST(Commands, InspectAndDoctor) {
  const json i = Json({"inspect", Model(), "-c", "100"});
  EXPECT_EQ(i["metadata"]["general.architecture"], "gemma3");
  EXPECT_EQ(i["memory"]["context"], 100);
  EXPECT_GT(i["memory"]["kv_bytes"].get<int64_t>(), 0);
  json stop = json::array();
  for (const json& token : i["tokenizer"]["end_of_generation"]) stop.push_back(token["text"]);
  EXPECT_EQ(stop, json::parse(R"(["</s>","<|im_end|>"])"));
  EXPECT_FALSE(i["tensors"].empty());
  EXPECT_EQ(RunProgram({"inspect", Model()}).code, 0);
  const json d = Json({"doctor"});
  EXPECT_TRUE(d.is_object());
  EXPECT_TRUE(d["problems"].empty());
  EXPECT_TRUE(d["packed_weights"]["bytes"].is_number());
  EXPECT_EQ(RunProgram({"doctor"}).code, 0);
  const ProgramResult wrong = RunProgram({"doctor"}, "", {"SLM_ISA=mmx"});
  EXPECT_EQ(wrong.code, 0) << wrong.err;
  EXPECT_NE(wrong.out.find("problem      SLM_ISA"), std::string::npos) << wrong.out;
}

TEST(Commands, CacheTypesAndThreadsEverywhere) {
  const std::vector<std::string> base = {"logits", "-m", Model(), "--ids", "1,2,3", "--top", "3"};
  json by_type[2];
  for (int i = 0; i < 2; ++i) {
    std::vector<std::string> args = base;
    const char* type = i ? "q8_0" : "f32";
    args.insert(args.end(), {"-ctk", type, "-ctv", type, "-t", "2"});
    by_type[i] = Json(args);
  }
  EXPECT_NE(by_type[0], by_type[1]);
  std::vector<std::string> bad = base;
  bad.insert(bad.end(), {"-ctk", "q3"});
  const ProgramResult r = RunProgram(bad);
  EXPECT_EQ(r.code, 2);
  EXPECT_NE(r.err.find("q3"), std::string::npos);
}

TEST(Commands, PackedWeightsAreKeptShownAndRemoved) {
  const TempFolder folder;
  const std::string model = folder / "m.gguf", cache = "SLM_CACHE=" + (folder / "cache");
  std::filesystem::copy_file(Model(), model);
  const auto run = [&](std::vector<std::string> flags, std::vector<std::string> environment = {}) {
    std::vector<std::string> args = {"logits", "-m", model, "--ids", "1,2", "-c", "64"};
    args.insert(args.end(), flags.begin(), flags.end());
    environment.push_back(cache);
    return RunProgram(args, "", environment);
  };
  const auto files = [&] {
    std::error_code none;
    return std::distance(std::filesystem::directory_iterator(folder / "cache/packed", none), {});
  };
  const std::string expected = run({"--no-repack"}).out;
  EXPECT_NE(expected, "");
  EXPECT_EQ(run({}, {"SLM_NO_REPACK=1"}).out, expected);
  EXPECT_EQ(run({"--cache-budget", "0"}).out, expected);
  EXPECT_EQ(files(), 0);
  const ProgramResult refused = run({"--cache-budget", "1k"});
  EXPECT_EQ(refused.out, expected);
  EXPECT_NE(refused.err.find("exceed the budget of 1.00 kB; the weights are packed in memory\n"),
            std::string::npos)
      << refused.err;
  EXPECT_EQ(run({"--cache-budget", "much"}).code, 2);
  EXPECT_EQ(files(), 0);
  for (int start = 0; start < 2; ++start) {
    const ProgramResult r = run({}, {"SLM_CACHE_BUDGET=1G"});
    EXPECT_EQ(r.out, expected);
    EXPECT_EQ(r.err, "");
    EXPECT_EQ(files(), 1);
  }
  const auto models = [&](std::vector<std::string> args) {
    args.insert(args.begin(), "models");
    return RunProgram(args, "", {cache, "HF_HUB_CACHE=" + (folder / "hub")}).out;
  };
  EXPECT_NE(models({}).find("(packed weights) "), std::string::npos) << models({});
  EXPECT_EQ(models({"--prune"}), "freed 0 B\n");
  EXPECT_EQ(files(), 1);
  std::filesystem::remove(model);
  EXPECT_NE(models({}).find("slm models --prune removes them"), std::string::npos) << models({});
  const json pruned = json::parse(models({"--prune", "--json"}));
  EXPECT_EQ(pruned["removed"].size(), 1u);
  EXPECT_GT(pruned["freed_bytes"], 100'000);
  EXPECT_EQ(files(), 0);
}

TEST(Commands, PullOfAFile) {
  const TempFolder folder;
  const std::vector<std::string> environment = {"HF_HUB_CACHE=" + (folder / "hub")};
  WriteFile(folder / "model", "GGUF");
  EXPECT_EQ(RunProgram({"pull", folder / "model", "--sha256",
                        "B83633AA785344791618F2FDDF131B010EA04912A60430760B070BAD293F65BD"},
                       "", environment)
                .out,
            (folder / "model") + "\n");
  WriteFile(folder / "notes", "none");
  EXPECT_EQ(RunProgram({"pull", folder / "notes"}, "", environment).code, 3);
}

TEST(Commands, AnIsaOnItsOwn) {
  // The specified integers give the same bits on every instruction set; the float reference is
  // near.
  const std::vector<std::string> args = {"logits", "-m",    Model(), "--ids",
                                         "5,6,7",  "--top", "4",     "--json"};
  const auto logits = [&](const std::string& isa) {
    const ProgramResult r = RunProgram(args, "", {"SLM_ISA=" + isa});
    EXPECT_EQ(r.code, 0) << r.err;
    return json::parse(r.out)["logits"];
  };
  const json scalar = logits("scalar");
  EXPECT_EQ(json::parse(RunProgram(args).out)["logits"], scalar);
  const json ref = logits("ref");
  EXPECT_NEAR(ref[0]["logit"].get<double>(), scalar[0]["logit"].get<double>(), 0.05);
}

}  // namespace
}  // namespace slm::testing
