// What no command accepts: arguments, settings and files, and what is said about them.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "cli/model_command.h"
#include "cli/program.h"
#include "support/data.h"
#include "support/temp_folder.h"

namespace slm::testing {
namespace {

using nlohmann::json;

TEST(Usage, AnArgumentBeatsTheEnvironment) {
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

TEST(Usage, AWrongSettingOfTheHubIsNoMatterForFiles) {
  for (const char* setting : {"HF_ENDPOINT=nonsense", "HF_TOKEN=a b"}) {
    EXPECT_EQ(RunProgram({"tokenize", "-m", Model(), "-p", "x"}, "", {setting}).code, 0);
    const ProgramResult doctor = RunProgram({"doctor"}, "", {setting});
    EXPECT_EQ(doctor.code, 0);
    EXPECT_NE(doctor.out.find("\nproblem      "), std::string::npos) << doctor.out;
    EXPECT_EQ(RunProgram({"models"}, "", {setting}).code, 2);
  }
}

TEST(Usage, NumbersThatMakeNoSense) {
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

TEST(Usage, FilesThatCannotBeRead) {
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

TEST(Usage, UsageErrors) {
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
  const ProgramResult empty =
      RunProgram({"quantize", Model(), "out.gguf", "q8_0", "--imatrix", ""});
  EXPECT_EQ(empty.code, 2);
  EXPECT_NE(empty.err.find("--imatrix: expected a value"), std::string::npos) << empty.err;
  EXPECT_EQ(RunProgram({"run", "-m", Model(), "--system", "", "-p", "", "-n", "1"}).code, 0);
  EXPECT_EQ(RunProgram({"--version"}).out.substr(0, 4), "slm ");
}

TEST(Usage, WhatIsNotUnderstoodIsSaidBeforeAnythingIsDone) {
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

TEST(Usage, EnvironmentTwinsAreReadWhereTheyBelong) {
  EXPECT_EQ(RunProgram({"doctor"}, "", {"SLM_PORT=tcp://10.0.0.1:80"}).code, 0);
  EXPECT_EQ(RunProgram({"serve", "-m", Model()}, "", {"SLM_PORT=tcp://10.0.0.1:80"}).code, 2);
  EXPECT_EQ(RunProgram({"--help"}, "", {"SLM_PORT=x"}).code, 0);
  EXPECT_EQ(Json({"logits", "-m", Model(), "--ids", "1", "--top", "1"})["logits"].size(), 1u);
}

TEST(Usage, BadFiles) {
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

TEST(Usage, AResultThatCannotBeWrittenIsNoSuccess) {
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

}  // namespace
}  // namespace slm::testing
