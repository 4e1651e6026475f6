// Chat and serve, as a person at a terminal meets them.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/program.h"
#include "support/data.h"
#include "support/temp_folder.h"
#include "tiny/tiny_model.h"

namespace slm::testing {
namespace {

using nlohmann::json;

std::vector<std::string> ChatArgs(const std::string& tokens) {
  return {"chat",
          "-m",
          WriteTinyModel({.arch = "llama"}),
          "-n",
          tokens,
          "--seed",
          "1",
          "-c",
          "4096",
          "--logit-bias",
          "257=-100",
          "--logit-bias",
          "259=-100"};  // no end by chance
}

TEST(Chat, AConversationIsSaved) {
  const TempFolder folder;
  TerminalProgram chat(ChatArgs("5"));
  ASSERT_TRUE(chat.Expect("> ")) << chat.screen();
  chat.Type("/system Be brief.\r");
  ASSERT_TRUE(chat.Expect("> "));
  chat.Type("one \\\rtwo\r");
  ASSERT_TRUE(chat.Expect(". "));
  ASSERT_TRUE(chat.Expect("\n> ")) << chat.screen();
  chat.Type("\"\"\"\r");
  ASSERT_TRUE(chat.Expect(". "));
  chat.Type("a\rbé日\r\"\"\"\r");
  ASSERT_TRUE(chat.Expect("\n> ")) << chat.screen();
  chat.Type("/save " + (folder / "chat.json") + "\r");
  ASSERT_TRUE(chat.Expect("saved 5 messages")) << chat.screen();
  const json saved = json::parse(ReadFile(folder / "chat.json"));
  ASSERT_EQ(saved.size(), 5u);
  EXPECT_EQ(saved[0], json({{"role", "system"}, {"content", "Be brief."}}));
  EXPECT_EQ(saved[1], json({{"role", "user"}, {"content", "one \ntwo"}}));
  EXPECT_EQ(saved[2]["role"], "assistant");
  EXPECT_EQ(saved[3], json({{"role", "user"}, {"content", "a\nbé日\n"}}));
  chat.Type("/clear\r");
  ASSERT_TRUE(chat.Expect("> "));
  chat.Type("/save " + (folder / "cleared.json") + "\r");
  ASSERT_TRUE(chat.Expect("saved 1 messages")) << chat.screen();
  chat.Type("/nonsense\r");
  ASSERT_TRUE(chat.Expect("/help")) << chat.screen();
  chat.Type("/exit\r");
  EXPECT_EQ(chat.Wait(), 0) << chat.screen();
}

TEST(Chat, WhatIsACommandAndWhatIsText) {
  const TempFolder folder;
  TerminalProgram chat(ChatArgs("1"));
  const std::vector<std::pair<std::string, std::string>> texts = {
      {"/usr/bin is a path", "/usr/bin is a path"}, {"// a comment", "// a comment"},
      {"\"\"\"one line\"\"\"", "one line"},         {"\"\"\"a\rb\"\"\"", "a\nb"},
      {"\x1b[200~a\r\r/b\x1b[201~ c", "a\n\n/b c"},
  };
  for (const auto& [keys, text] : texts) {
    ASSERT_TRUE(chat.Expect("> ")) << chat.screen();
    chat.Type(keys + "\r");
    if (text == "a\nb") {
      ASSERT_TRUE(chat.Expect(". ")) << chat.screen();
    }
  }
  ASSERT_TRUE(chat.Expect("\n> ")) << chat.screen();
  chat.Type("/save " + (folder / "chat.json") + "\r");
  ASSERT_TRUE(chat.Expect("saved 10 messages")) << chat.screen();
  const json saved = json::parse(ReadFile(folder / "chat.json"));
  for (size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(saved[2 * i]["content"], texts[i].second);
  chat.Type("/bye\r");
  EXPECT_EQ(chat.Wait(), 0) << chat.screen();
}

TEST(Chat, InterruptStopsTheAnswerAndNotTheProgram) {
  TerminalProgram chat(ChatArgs("4000"));
  ASSERT_TRUE(chat.Expect("> ")) << chat.screen();
  chat.Type("go\r");
  ASSERT_TRUE(chat.Expect("go\r\n")) << chat.screen();
  chat.Type("\x03");
  ASSERT_TRUE(chat.Expect("\n> ")) << chat.screen();
  chat.Type("\x03");  // at the prompt: a new line
  ASSERT_TRUE(chat.Expect("> ")) << chat.screen();
  chat.Type("/exit\r");
  EXPECT_EQ(chat.Wait(), 0) << chat.screen();
}

TEST(Chat, GoesOnAfterAStop) {
  const TempFolder folder;
  TerminalProgram chat(ChatArgs("1"));
  ASSERT_TRUE(chat.Expect("> ")) << chat.screen();
  chat.Type("/save " + folder.path());
  ASSERT_TRUE(chat.Expect(folder.path())) << chat.screen();
  chat.StopAndContinue();
  ASSERT_TRUE(chat.Expect("> /save " + folder.path())) << chat.screen();  // shown again
  chat.Type("/x.json\r");
  ASSERT_TRUE(chat.Expect("saved 0 messages to " + (folder / "x.json"))) << chat.screen();
  ASSERT_TRUE(chat.Expect("> ")) << chat.screen();
  chat.Type("\x04");
  EXPECT_EQ(chat.Wait(), 0) << chat.screen();
}

TEST(Chat, RemembersWhatWasTyped) {
  const TempFolder folder;
  for (const char* keys : {"first question\r", "\x10\x10\r"}) {  // Ctrl-P goes back past /save
    TerminalProgram chat(ChatArgs("1"), folder.path());
    ASSERT_TRUE(chat.Expect("> "));
    chat.Type(keys);
    ASSERT_TRUE(chat.Expect("\n> ")) << chat.screen();
    chat.Type("/save " + (folder / "chat.json") + "\r");
    ASSERT_TRUE(chat.Expect("saved 2 messages")) << chat.screen();
    ASSERT_TRUE(chat.Expect("> "));
    chat.Type("\x04");
    ASSERT_EQ(chat.Wait(), 0);
    EXPECT_EQ(json::parse(ReadFile(folder / "chat.json"))[0]["content"], "first question");
  }
}

TEST(Chat, EndsWithItsInput) {
  const ProgramResult r = RunProgram(ChatArgs("3"), "hello\n/exit\n");
  EXPECT_EQ(r.code, 0) << r.err;
  std::vector<std::string> args = ChatArgs("3");
  EXPECT_EQ(RunProgram(args, "hello").code, 0);
  TerminalProgram chat(ChatArgs("3"));
  ASSERT_TRUE(chat.Expect("> "));
  chat.Type("\x04");
  EXPECT_EQ(chat.Wait(), 0) << chat.screen();
}

TEST(Serve, SaysWhereItListensAndEndsOnInterrupt) {
  TerminalProgram serve({"serve", "-m", WriteTinyModel({.arch = "llama"}), "--port", "0"});
  ASSERT_TRUE(serve.Expect("http://127.0.0.1:")) << serve.screen();
  serve.Type("\x03");
  EXPECT_EQ(serve.Wait(), 0) << serve.screen();
  EXPECT_EQ(
      RunProgram({"serve", "-m", WriteTinyModel({.arch = "llama"}), "--host", "256.1.1.1"}).code,
      1);
}

}  // namespace
}  // namespace slm::testing
