// Every command by its exact form: what scripts read, exit codes, messages.
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "cli/program.h"
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
  EXPECT_GT(b[1]["share_of_peak"].get<double>(), 0);
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
  EXPECT_EQ(RunProgram({"doctor"}).code, 0);
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

TEST(Commands, AResultThatCannotBeWrittenIsNoSuccess) {
  const TempFolder folder;
  // The exit code and standard error of a command whose output goes to `where`, which has the time
  // to close its end.
  const auto run = [&](const std::string& args, const std::string& where) {
    const std::string script = "{ sleep 0.2; " SLM_PROGRAM " " + args + " 2>'" + (folder / "err") +
                               "'; echo $? >'" + (folder / "code") + "'; } " + where;
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
  EXPECT_EQ(RunProgram({}).code, 2);
  EXPECT_EQ(RunProgram({"nonsense"}).code, 2);
  EXPECT_EQ(RunProgram({"run", "--nonsense"}).code, 2);
  EXPECT_EQ(RunProgram({"run", "-m", Model()}).code, 2);  // no prompt
  EXPECT_EQ(RunProgram({"run", "-m", Model(), "-p", "x", "-f", "y"}).code, 2);
  EXPECT_EQ(RunProgram({"run", "-m", Model(), "-p", "x", "-n", "many"}).code, 2);
  EXPECT_EQ(RunProgram({"run", "-m", Model(), "-p", "x", "--top-p", "2"}).code, 2);
  EXPECT_EQ(RunProgram({"run", "-m", Model(), "-p", "x", "-t", "-1"}).code, 2);
  EXPECT_EQ(RunProgram({"doctor"}, "", {"SLM_ISA=nonsense"}).code, 2);
  for (const char* command :
       {"run", "chat", "serve", "pull", "models", "inspect", "bench", "perplexity", "logits",
        "tokenize", "detokenize", "template", "doctor"}) {
    const ProgramResult help = RunProgram({command, "--help"});
    EXPECT_EQ(help.code, 0) << command;
    EXPECT_NE(help.out.find("--help"), std::string::npos) << command;
  }
  EXPECT_EQ(RunProgram({"--version"}).out.substr(0, 4), "slm ");
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
  EXPECT_EQ(RunProgram({"convert", folder, "-o", temp.path()}).code, 2);
  const ProgramResult no_vocab = RunProgram({"convert", folder, "-o", none});
  EXPECT_EQ(no_vocab.code, 3);
  EXPECT_NE(no_vocab.err.find("--no-vocab"), std::string::npos) << no_vocab.err;
  EXPECT_EQ(RunProgram({"convert", temp / "missing", "-o", none}).code, 3);
}

}  // namespace
}  // namespace slm::testing
