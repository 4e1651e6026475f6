// Every command by its exact form: what scripts read, exit codes, messages.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "cli/program.h"
#include "format/gguf_writer.h"
#include "support/data.h"
#include "support/temp_folder.h"
#include "tiny/tiny_model.h"

namespace slm::testing {
namespace {

using nlohmann::json;

const std::string& Model() {
  static const std::string path = WriteTinyModel({.arch = "gemma3", .type = quant::Type::kQ8_0});
  return path;
}

// Of a command that must succeed.
json Json(std::vector<std::string> args, const std::string& input = "") {
  args.emplace_back("--json");
  const ProgramResult r = RunProgram(args, input);
  EXPECT_EQ(r.code, 0) << r.err;
  return json::parse(r.out);
}

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

TEST(Commands, AnArgumentBeatsTheEnvironment) {
  const std::vector<std::string> environment = {"SLM_MODEL=/absent.gguf"};
  EXPECT_EQ(RunProgram({"inspect", Model()}, "", environment).code, 0);
  EXPECT_EQ(RunProgram({"tokenize", "-m", Model(), "-p", "x"}, "", environment).code, 0);
  EXPECT_NE(RunProgram({"tokenize", "-p", "x"}, "", environment).err.find("/absent.gguf"),
            std::string::npos);
  EXPECT_EQ(RunProgram({"tokenize", "-p", "x"}, "", {"SLM_MODEL=" + Model()}).code, 0);
  const TempFolder folder;
  WriteFile(folder / "messages", R"([{"role":"user","content":"hi"}])");
  WriteFile(folder / "t.jinja", "{{ messages[0].content }}");
  EXPECT_EQ(RunProgram({"template", "--messages", folder / "messages", "--chat-template-file",
                        folder / "t.jinja"},
                       "", environment)
                .out,
            "hi");
}

TEST(Commands, AWrongSettingOfTheHubIsNoMatterForFiles) {
  for (const char* setting : {"HF_ENDPOINT=nonsense", "HF_TOKEN=a b"}) {
    EXPECT_EQ(RunProgram({"tokenize", "-m", Model(), "-p", "x"}, "", {setting}).code, 0);
    const ProgramResult doctor = RunProgram({"doctor"}, "", {setting});
    EXPECT_EQ(doctor.code, 0);
    EXPECT_NE(doctor.out.find("\nproblem      "), std::string::npos) << doctor.out;
    EXPECT_EQ(RunProgram({"models"}, "", {setting}).code, 2);
  }
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

TEST(Commands, AResultThatCannotBeWrittenIsNoSuccess) {
  const TempFolder folder;
  // The exit code and standard error of a command whose output goes to `where`, which has the time
  // to close its end.
  const auto run = [&](const std::string& args, const std::string& where) {
    const std::string script = "{ sleep 0.2; SLM_CACHE='" + folder.path() + "' " SLM_PROGRAM " " +
                               args + " 2>'" + (folder / "err") + "'; echo $? >'" +
                               (folder / "code") + "'; } " + where;
    EXPECT_EQ(std::system(script.c_str()), 0);
    return ReadFile(folder / "code") + ReadFile(folder / "err");
  };
  EXPECT_EQ(run("doctor", "| true"), "1\n");
  const std::string full = "1\nslm: cannot write the result: No space left on device\n";
  for (const std::string args : {"doctor", "--help", "inspect --json"})
    EXPECT_EQ(run((args[0] == 'i' ? args + " " + Model() : args), ">/dev/full"), full) << args;
  // The answer ends when nobody reads it: to the end it would take minutes.
  const std::string answer = "run -m " + Model() +
                             " -p x -c 1000000 --seed 1 --logit-bias 257=-100 --logit-bias "
                             "259=-100";
  EXPECT_EQ(run(answer, ">/dev/full").substr(0, 2), "1\n");
  const std::string cut = run(answer, "| head -c1 >'" + (folder / "out") + "'");
  EXPECT_EQ(cut.substr(0, 2), "1\n");
  EXPECT_EQ(cut.find("cannot write"), std::string::npos) << cut;
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

TEST(Commands, Compare) {
  const TempFolder folder;
  std::string text;
  for (int i = 0; i < 200; ++i) text += std::to_string(i * 7919) + " ";
  WriteFile(folder / "text", text);
  const std::string base = WriteTinyModel({.arch = "gemma3"});
  const json list = Json({"compare", "--base", base, Model(), base, "-f", folder / "text", "-c",
                          "128", "--chunks", "3", "--save-logits", folder / "base.logits"});
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0]["file"], Model());
  EXPECT_EQ(list[0]["tokens"], 3 * 63);
  EXPECT_EQ(list[0]["bytes"], std::filesystem::file_size(Model()));
  EXPECT_GT(list[0]["mean_kld"].get<double>(), 0);
  EXPECT_GT(list[0]["kld"]["max"].get<double>(), list[0]["kld"]["median"].get<double>());
  EXPECT_GT(list[0]["prefill_tokens_per_second"].get<double>(), 0);
  EXPECT_GT(list[0]["decode_tokens_per_second"].get<double>(), 0);
  EXPECT_EQ(list[1]["mean_kld"], 0);
  EXPECT_EQ(list[1]["same_top"], 1);
  const json p =
      Json({"perplexity", "-m", Model(), "-f", folder / "text", "-c", "128", "--chunks", "3"});
  EXPECT_NEAR(list[0]["ppl"].get<double>(), p["perplexity"].get<double>(), 1e-6);

  // The stored base gives the same, all but its own rounding.
  const json stored = Json({"compare", "--base-logits", folder / "base.logits", Model(),
                            "--no-speed", "--logits-file", folder / "both.npy"});
  EXPECT_EQ(stored[0]["ppl"], list[0]["ppl"]);
  EXPECT_NEAR(stored[0]["mean_kld"].get<double>(), list[0]["mean_kld"].get<double>(), 1e-4);
  EXPECT_FALSE(stored[0].contains("prefill_tokens_per_second"));
  const std::string npy = ReadFile(folder / "both.npy");
  EXPECT_EQ(npy.size(), 128 + 3u * 63 * 2 * kTinyVocab * 4);
  EXPECT_NE(npy.find("'shape': (189, 2, 260, )"), std::string::npos) << npy.substr(0, 128);

  const ProgramResult table =
      RunProgram({"compare", "--base", base, Model(), "-f", folder / "text", "-c", "128"});
  EXPECT_EQ(table.code, 0) << table.err;
  for (const char* words : {"Mean    KLD:", "Same top p:", "Mean PPL(Q)/PPL(base)", "99.9%   KLD"})
    EXPECT_NE(table.out.find(words), std::string::npos) << table.out;
  EXPECT_NE(table.out.find(" base "), std::string::npos) << table.out;
}

TEST(Commands, CompareRefuses) {
  const TempFolder folder;
  WriteFile(folder / "text", std::string(600, 'a'));
  WriteFile(folder / "logits", "_logits_ and no more");
  const auto code = [&](std::vector<std::string> args) {
    args.insert(args.begin(), {"compare", "--no-speed"});
    const ProgramResult r = RunProgram(args);
    EXPECT_EQ(r.out, "");
    return r.code;
  };
  const std::string text = folder / "text";
  EXPECT_EQ(code({Model(), "-f", text}), 2);  // no base
  EXPECT_EQ(code({"--base", Model(), "--base-logits", folder / "logits", Model()}), 2);
  EXPECT_EQ(code({"--base", Model(), Model()}), 2);     // no text
  EXPECT_EQ(code({"--base", Model(), "-f", text}), 2);  // nothing to compare
  EXPECT_EQ(code({"--base-logits", folder / "logits", Model(), "-f", text}), 2);
  EXPECT_EQ(code({"--base", Model(), Model(), "-f", text, "-c", "3"}), 2);
  EXPECT_EQ(code({"--base", Model(), Model(), "-f", text, "--chunks", "3"}), 3);  // of 512
  EXPECT_EQ(code({"--base-logits", folder / "logits", Model()}), 3);
  EXPECT_EQ(code({"--base-logits", folder / "absent", Model()}), 1);
  EXPECT_EQ(code({"--base", Model(), Model(), Model(), "-f", text, "-c", "64", "--logits-file",
                  folder / "both"}),
            2);
  EXPECT_FALSE(std::filesystem::exists(folder / "both"));
  // An output onto an input, by any name.
  std::filesystem::copy(Model(), folder / "model");
  std::filesystem::create_symlink(folder / "model", folder / "link");
  for (const char* flag : {"--save-logits", "--logits-file"})
    EXPECT_EQ(
        code({"--base", Model(), folder / "model", "-f", text, "-c", "64", flag, folder / "link"}),
        2);
  EXPECT_EQ(
      RunProgram({"imatrix", "-m", folder / "model", "-f", text, "-c", "64", "-o", folder / "link"})
          .code,
      2);
  EXPECT_EQ(ReadFile(folder / "model"), ReadFile(Model()));
}

TEST(Commands, Imatrix) {
  const TempFolder folder;
  WriteFile(folder / "a", std::string(700, 'a'));
  WriteFile(folder / "b", std::string(500, 'b'));
  const json r = Json({"imatrix", "-m", Model(), "-f", folder / "a", "-f", folder / "b", "-o",
                       folder / "out.gguf", "-c", "128"});
  EXPECT_EQ(r["chunks"], 5 + 3);
  EXPECT_EQ(r["chunk_size"], 128);
  const json file = Json({"inspect", folder / "out.gguf"});
  EXPECT_EQ(file["tensors"].size(), 2 * r["tensors"].get<size_t>());
  EXPECT_EQ(file["metadata"]["general.type"], "imatrix");
  EXPECT_EQ(file["metadata"]["imatrix.chunk_count"], 8);
  EXPECT_EQ(RunProgram({"imatrix", "-m", Model(), "-f", folder / "a", "-o", folder / "x"}).code,
            3);  // less than two chunks of 512
  EXPECT_FALSE(std::filesystem::exists(folder / "x"));
  EXPECT_EQ(RunProgram({"imatrix", "-m", Model(), "-f", folder / "a"}).code, 2);
}

TEST(Commands, Quantize) {
  const TempFolder folder;
  const std::string base = WriteTinyModel({.arch = "gemma3"}), out = folder / "q.gguf";
  const json q = Json({"quantize", base, out, "Q4_0", "--tensor-type", "ffn_down=q8_0", "-t", "2"});
  EXPECT_LT(q["bytes"].get<int64_t>(), q["bytes_before"].get<int64_t>() / 3);
  EXPECT_GT(q["bytes_by_type"]["Q8_0"].get<int64_t>(), 0);
  const json file = Json({"inspect", out});
  EXPECT_EQ(file["metadata"]["general.file_type"], 2);
  EXPECT_EQ(file["metadata"]["general.quantization_version"], 2);
  EXPECT_EQ(RunProgram({"run", "-m", out, "-p", "x", "-n", "2"}).code, 0);

  // Once more: the error adds up, which is said.
  const ProgramResult again = RunProgram({"quantize", out, folder / "r.gguf", "Q5_0"});
  EXPECT_EQ(again.code, 0);
  EXPECT_NE(again.err.find("quantized already"), std::string::npos) << again.err;
}

TEST(Commands, QuantizeMeasured) {
  const TempFolder folder;
  std::string text;
  for (int i = 0; i < 1000; ++i) text += std::to_string(i * 7919) + " ";
  WriteFile(folder / "text", text);
  text.clear();
  for (int i = 0; i < 1000; ++i) text += std::to_string(i * 6841 + 3) + " ";
  WriteFile(folder / "other", text);
  const std::string base = WriteTinyModel({.arch = "gemma3"});
  const auto kld = [&](const std::string& name) {
    return Json({"compare", "--base", base, folder / name, "-f", folder / "other", "-c", "512",
                 "--chunks", "4", "--no-speed"})[0]["mean_kld"]
        .get<double>();
  };
  Json({"quantize", base, folder / "plain", "Q4_0"});
  const json feedback = Json({"quantize", base, folder / "feedback", "Q4_0", "--method",
                              "error-feedback", "-f", folder / "text", "--chunks", "6"});
  EXPECT_EQ(std::filesystem::file_size(folder / "plain"),
            std::filesystem::file_size(folder / "feedback"));
  EXPECT_LT(kld("feedback"), 0.9 * kld("plain"));

  // Never more than was asked for; more bytes lose less.
  const auto bytes = std::filesystem::file_size(folder / "plain");
  double last = 1e9;
  for (const auto more : {0, 20000, 100000}) {
    const json sized =
        Json({"quantize", base, folder / "sized", "auto", "--target-size",
              std::to_string(bytes + static_cast<uintmax_t>(more)), "-f", folder / "text"});
    EXPECT_LE(std::filesystem::file_size(folder / "sized"), bytes + static_cast<uintmax_t>(more));
    EXPECT_EQ(sized["bytes"], std::filesystem::file_size(folder / "sized"));
    EXPECT_LT(kld("sized"), std::min(last, kld("plain")));
    last = kld("sized");
  }
  const double limit = kld("feedback") / 4;
  Json({"quantize", base, folder / "kept", "auto", "--max-kld", std::to_string(limit), "-f",
        folder / "text"});
  EXPECT_LT(kld("kept"), 1.5 * limit);
  EXPECT_LT(std::filesystem::file_size(folder / "kept"), std::filesystem::file_size(base));

  // What has its types already keeps them, though their own grid shows no error.
  Json({"quantize", folder / "plain", folder / "again", "auto", "--target-size",
        std::to_string(bytes + 4000), "-f", folder / "text"});
  const json again = Json({"compare", "--base", folder / "plain", folder / "again", "-f",
                           folder / "text", "--chunks", "4", "--no-speed"});
  EXPECT_LT(again[0]["mean_kld"].get<double>(), 1e-3);
  EXPECT_EQ(RunProgram({"quantize", base, folder / "none", "auto", "--target-size", "1k", "-f",
                        folder / "text"})
                .code,
            3);
  EXPECT_FALSE(std::filesystem::exists(folder / "none"));
}

// A copy of a model of F32 tensors, with one value of one of them replaced.
void WriteWithValue(const std::string& model, const std::string& name, float value,
                    const std::string& path) {
  const format::GgufFile file = format::GgufFile::Open(model);
  format::GgufWriter writer(path);
  writer.CopyAll(file.metadata());
  for (const format::GgufTensor& tensor : file.tensors())
    writer.Declare(tensor.name, tensor.type,
                   {tensor.dims.data(), static_cast<size_t>(tensor.num_dims)});
  for (const format::GgufTensor& tensor : file.tensors()) {
    std::vector<uint8_t> data(tensor.data.begin(), tensor.data.end());
    if (tensor.name == name) std::memcpy(data.data() + 4, &value, 4);
    writer.Append(data);
  }
  writer.Finish();
}

TEST(Commands, QuantizeRefusesBrokenWeights) {
  const TempFolder folder;
  WriteFile(folder / "text", std::string(5000, 'a'));
  const std::string base = WriteTinyModel({.arch = "gemma3"}), out = folder / "out";
  const auto error = [&](std::vector<std::string> args) {
    args.insert(args.begin(), {"quantize", folder / "broken", out});
    const ProgramResult r = RunProgram(args);
    EXPECT_EQ(r.code, 3) << r.err;
    EXPECT_FALSE(std::filesystem::exists(out));
    return r.err;
  };
  const std::vector<std::string> feedback = {"Q4_0", "--method", "error-feedback", "-f",
                                             folder / "text"};
  const char* kDown = "blk.1.ffn_down.weight";
  WriteWithValue(base, kDown, std::numeric_limits<float>::quiet_NaN(), folder / "broken");
  EXPECT_NE(error({"Q4_0"}).find("blk.1.ffn_down.weight: nan in row 0, column 1"),
            std::string::npos);
  EXPECT_EQ(RunProgram({"quantize", folder / "broken", folder / "forced", "Q4_0", "--force"}).code,
            0);
  // Finite, but not in any type with halves, and not where activations are measured.
  WriteWithValue(base, kDown, 1e6f, folder / "broken");
  for (const char* type : {"Q4_0", "Q4_1", "F16"})
    EXPECT_NE(error({type}).find(std::string(kDown) + ": expected values that"), std::string::npos);
  EXPECT_NE(error(feedback).find("expected values that"), std::string::npos);
  EXPECT_EQ(RunProgram({"quantize", folder / "broken", folder / "bf16", "BF16"}).code, 0);
  WriteWithValue(base, "blk.0.attn_norm.weight", 1e30f, folder / "broken");
  EXPECT_NE(error(feedback).find("is multiplied with is not finite"), std::string::npos);
}

TEST(Commands, QuantizeRefuses) {
  const TempFolder folder;
  std::filesystem::copy(Model(), folder / "model");
  std::filesystem::create_symlink(folder / "model", folder / "link");
  const std::string out = folder / "out";
  const auto code = [&](std::vector<std::string> args) {
    args.insert(args.begin(), "quantize");
    return RunProgram(args).code;
  };
  EXPECT_EQ(code({Model(), out, "Q9"}), 2);
  EXPECT_EQ(code({Model(), out}), 2);
  EXPECT_EQ(code({folder / "model", folder / "link", "Q4_0"}), 2);
  EXPECT_EQ(code({Model(), out, "auto"}), 2);
  EXPECT_EQ(code({Model(), out, "Q4_0", "--target-size", "1M"}), 2);
  EXPECT_EQ(code({Model(), out, "auto", "--target-size", "1M", "--max-kld", "1"}), 2);
  EXPECT_EQ(code({Model(), out, "auto", "--target-size", "much", "-f", Model()}), 2);
  EXPECT_EQ(code({Model(), out, "Q4_0", "--method", "error-feedback"}), 2);
  EXPECT_EQ(code({Model(), out, "Q4_0", "--tensor-type", "x"}), 2);
  EXPECT_EQ(code({Model(), out, "Q4_0", "--imatrix", Model()}), 3);
  EXPECT_EQ(code({Model(), out, "Q4_0", "--tensor-type", "ffn_dwon=q8_0"}), 2);
  EXPECT_EQ(code({Model(), out, "Q4_0", "-f", Model()}), 2);
  EXPECT_EQ(
      code({Model(), out, "Q4_0", "--method", "error-feedback", "-f", Model(), "--chunks", "0"}),
      2);
  EXPECT_EQ(code({Model(), out, "Q4_0", "--chunks", "4"}), 2);
  EXPECT_EQ(code({Model(), folder.path(), "Q4_0"}), 2);
  // Before the text is looked at, which is too short.
  WriteFile(folder / "text", "some");
  const auto error = [](const std::vector<std::string>& args) { return RunProgram(args).err; };
  EXPECT_NE(error({"quantize", Model(), out, "auto", "--target-size", "1k", "-f", folder / "text"})
                .find("even the smallest types"),
            std::string::npos);
  EXPECT_NE(error({"imatrix", "-m", Model(), "-f", folder / "text", "-o", folder / "absent/x"})
                .find("absent/x: cannot create"),
            std::string::npos);
  EXPECT_EQ(
      code({Model(), folder / "text", "Q4_0", "--method", "error-feedback", "-f", folder / "text"}),
      2);
  EXPECT_EQ(ReadFile(folder / "text"), "some");
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{"--max-kld", "1"}, {"--target-size", "1G"}}) {
    std::vector<std::string> args = {folder / "model", folder / "link", "auto", "-f",
                                     folder / "text"};
    args.insert(args.end(), more.begin(), more.end());
    EXPECT_EQ(code(args), 2);
  }
  EXPECT_EQ(code({folder / "absent", out, "Q4_0"}), 1);
  EXPECT_FALSE(std::filesystem::exists(out));
  EXPECT_EQ(ReadFile(folder / "model"), ReadFile(Model()));
}

TEST(Commands, NumbersThatMakeNoSense) {
  const ProgramResult bench = RunProgram({"bench", "-m", Model(), "-p", "64", "-c", "32"});
  EXPECT_EQ(bench.code, 2);
  EXPECT_NE(bench.err.find("66 tokens, 32 were"), std::string::npos) << bench.err;
  const TempFolder folder;
  WriteFile(folder / "text", std::string(100, 'a'));
  const std::vector<std::string> base = {"perplexity", "-m", Model(), "-f", folder / "text"};
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{"-c", "3"}, {"-c", "8", "--chunks", "0"}, {"--chunks", "-2"}}) {
    std::vector<std::string> args = base;
    args.insert(args.end(), more.begin(), more.end());
    EXPECT_EQ(RunProgram(args).code, 2);
  }
}

TEST(Commands, FilesThatCannotBeRead) {
  const TempFolder folder;
  const auto error = [](const std::vector<std::string>& args) {
    const ProgramResult r = RunProgram(args);
    EXPECT_EQ(r.code, 1) << r.err;
    return r.err;
  };
  EXPECT_EQ(error({"tokenize", "-m", Model(), "-f", folder.path()}),
            "slm: " + folder.path() + ": cannot read: Is a directory\n");
  EXPECT_EQ(error({"tokenize", "-m", Model(), "-f", folder / "absent"}),
            "slm: " + (folder / "absent") + ": cannot open: No such file or directory\n");
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);  // nobody writes to it
  EXPECT_EQ(RunProgram({"inspect", folder / "pipe"}).code, 3);
  EXPECT_NE(error({"tokenize", "-m", folder / "absent", "-p", "x"}).find("no such file"),
            std::string::npos);
  EXPECT_NE(RunProgram({"--help"}).out.find("Exit codes: 0 ok, 1 failed"), std::string::npos);
}

TEST(Commands, UsageErrors) {
  EXPECT_EQ(RunProgram({"run", "-m", Model(), "-p", "x", "--raw", "--system", "y"}).code, 2);
  EXPECT_EQ(RunProgram({"logits", "-m", Model(), "--ids", "1", "-p", "x"}).code, 2);
  EXPECT_EQ(RunProgram({"logits", "-m", Model(), "--ids", "1", "-f", "x"}).code, 2);
  EXPECT_EQ(RunProgram({"logits", "-m", Model(), "--ids", "1", "--top", "-1"}).code, 2);
  EXPECT_EQ(RunProgram({"inspect", Model(), "-m", Model()}).code, 2);
  EXPECT_EQ(RunProgram({"inspect", Model(), "-ctk", "q4_0"}).code, 2);
  EXPECT_EQ(RunProgram({}).code, 2);
  EXPECT_EQ(RunProgram({"nonsense"}).code, 2);
  EXPECT_EQ(RunProgram({"run", "--nonsense"}).code, 2);
  EXPECT_EQ(RunProgram({"run", "-m", Model()}).code, 2);  // no prompt
  EXPECT_EQ(RunProgram({"run", "-m", Model(), "-p", "x", "-f", "y"}).code, 2);
  EXPECT_EQ(RunProgram({"run", "-m", Model(), "-p", "x", "-n", "many"}).code, 2);
  EXPECT_EQ(RunProgram({"run", "-m", Model(), "-p", "x", "--top-p", "2"}).code, 2);
  EXPECT_EQ(RunProgram({"run", "-m", Model(), "-p", "x", "-t", "-1"}).code, 2);
  EXPECT_EQ(RunProgram({"run", "-m", Model(), "-p", "x"}, "", {"SLM_ISA=nonsense"}).code, 2);
  const ProgramResult size =
      RunProgram({"run", "-m", Model(), "-p", "x", "--cache-budget", "much"});
  EXPECT_EQ(size.code, 2);
  EXPECT_NE(size.err.find("--cache-budget much"), std::string::npos) << size.err;
  for (const char* command : {"run", "chat", "serve", "pull", "models", "inspect", "bench",
                              "perplexity", "compare", "imatrix", "quantize", "convert", "logits",
                              "tokenize", "detokenize", "template", "doctor"}) {
    const ProgramResult help = RunProgram({command, "--help"});
    EXPECT_EQ(help.code, 0) << command;
    EXPECT_NE(help.out.find("--help"), std::string::npos) << command;
  }
  EXPECT_EQ(RunProgram({"--version"}).out.substr(0, 4), "slm ");
}

TEST(Commands, WhatIsNotUnderstoodIsSaidBeforeAnythingIsDone) {
  const std::vector<std::string> base = {"run", "-m", Model(), "-p", "x", "-n", "1"};
  const auto with = [&](const std::vector<std::string>& more) {
    std::vector<std::string> args = base;
    args.insert(args.end(), more.begin(), more.end());
    return RunProgram(args);
  };
  for (const std::vector<std::string>& more : {std::vector<std::string>{"--nonsense"},
                                               {"word"},
                                               {"-ngl", "99"},
                                               {"-cnv"},
                                               {"-hf", "a/b"}}) {
    const ProgramResult r = with(more);
    EXPECT_EQ(r.code, 2) << more[0];
    EXPECT_EQ(r.out, "") << more[0];
    EXPECT_NE(r.err.find(more[0]), std::string::npos) << r.err;
  }
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{"-t1"}, {"-s-1"}, {"--system", "-ngl"}, {"-ctk", "f32"}})
    EXPECT_EQ(with(more).code, 0) << more[0];
  EXPECT_EQ(RunProgram({"run", "-m", Model(), "-p", "-why", "-n", "1"}).code, 0);
  EXPECT_NE(RunProgram({"frobnicate"}).err.find("frobnicate"), std::string::npos);
}

TEST(Commands, EnvironmentTwinsAreReadWhereTheyBelong) {
  EXPECT_EQ(RunProgram({"doctor"}, "", {"SLM_PORT=tcp://10.0.0.1:80"}).code, 0);
  EXPECT_EQ(RunProgram({"serve", "-m", Model()}, "", {"SLM_PORT=tcp://10.0.0.1:80"}).code, 2);
  EXPECT_EQ(RunProgram({"--help"}, "", {"SLM_PORT=x"}).code, 0);
  EXPECT_EQ(Json({"logits", "-m", Model(), "--ids", "1", "--top", "1"})["logits"].size(), 1u);
}

TEST(Commands, BadFiles) {
  const TempFolder folder;
  WriteFile(folder / "empty.gguf", "");
  const std::string whole = ReadFile(Model());
  WriteFile(folder / "cut.gguf", whole.substr(0, whole.size() / 2));
  WriteFile(folder / "text.gguf", "Not a model at all, only text.");
  std::string unknown = whole;
  for (size_t at; (at = unknown.find("gemma3")) != std::string::npos;) unknown[at] = 'x';
  WriteFile(folder / "unknown.gguf", unknown);
  for (const char* name : {"empty.gguf", "cut.gguf", "text.gguf"}) {
    const ProgramResult r = RunProgram({"run", "-m", folder / name, "-p", "x"});
    EXPECT_EQ(r.code, 3) << name << r.err;
    EXPECT_NE(r.err.find(name), std::string::npos) << r.err;
  }
  const ProgramResult r = RunProgram({"run", "-m", folder / "unknown.gguf", "-p", "x"});
  EXPECT_TRUE(r.code == 3 || r.code == 4) << r.code;
  for (const char* known : {"xemma3", "gemma3", "llama", "qwen2", "qwen3", "phi3", "mistral3"})
    EXPECT_NE(r.err.find(known), std::string::npos) << r.err;
  EXPECT_EQ(RunProgram({"run", "-m", folder / "absent.gguf", "-p", "x"}).code, 1);
  std::string version = whole;
  version[4] = 9;
  WriteFile(folder / "version.gguf", version);
  EXPECT_EQ(RunProgram({"inspect", folder / "version.gguf"}).code, 3);
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

TEST(Commands, Convert) {
  SLM_DATA_OR_SKIP(folder, "tiny/qwen3/hf");
  const TempFolder temp;
  const std::string out = temp / "q.gguf";
  const ProgramResult r = RunProgram({"convert", folder, "-o", out, "--type", "f32", "--no-vocab"});
  EXPECT_EQ(r.code, 0) << r.err;
  EXPECT_EQ(r.out, "");
  // Ids need no vocabulary; text does.
  EXPECT_EQ(Json({"logits", "-m", out, "--ids", "5,6,7", "--top", "3"})["logits"].size(), 3u);
  EXPECT_EQ(RunProgram({"logits", "-m", out, "-p", "x", "--raw"}).code, 3);

  const std::string none = temp / "none.gguf";
  EXPECT_EQ(RunProgram({"convert", folder, "-o", none, "--type", "q9"}).code, 2);
  // What belongs to the other direction.
  EXPECT_EQ(RunProgram({"convert", folder, "-o", none, "--no-vocab", "--bits", "4"}).code, 2);
  EXPECT_EQ(RunProgram(
                {"convert", folder, "-o", none, "--to", "hf", "--bits", "16", "--group-size", "32"})
                .code,
            2);
  EXPECT_EQ(RunProgram({"convert", out, "-o", none, "--to", "hf", "--type", "f16"}).code, 2);
  EXPECT_EQ(RunProgram({"convert", out, "-o", none, "--to", "hf", "--no-vocab"}).code, 2);
  EXPECT_FALSE(std::filesystem::exists(none));
  EXPECT_EQ(RunProgram({"convert", folder, "-o", temp.path()}).code, 2);
  const ProgramResult no_vocab = RunProgram({"convert", folder, "-o", none});
  EXPECT_EQ(no_vocab.code, 3);
  EXPECT_NE(no_vocab.err.find("--no-vocab"), std::string::npos) << no_vocab.err;
  EXPECT_EQ(RunProgram({"convert", temp / "missing", "-o", none}).code, 3);
}

}  // namespace
}  // namespace slm::testing
