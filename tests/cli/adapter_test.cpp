// Adapters between programs and bases: convert's two directions by their exact form, and which base
// an adapter goes with.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/model_command.h"
#include "cli/program.h"
#include "format/gguf_writer.h"
#include "support/data.h"
#include "support/temp_folder.h"
#include "tiny/tiny_model.h"

namespace slm::testing {
namespace {

using nlohmann::json;

// A base in floats, and an adapter that changes its answers.
class AdapterCommands : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TempFolder>();
    WriteFile(*folder_ / "tokens.jsonl",
              "{\"ids\":[1,70,80,90,100],\"labels\":[-100,-100,80,90,100]}\n");
    for (const char* dora : {"", "--dora"}) {
      std::vector<std::string> args = {"finetune",
                                       "-m",
                                       Base(),
                                       "--token-data",
                                       *folder_ / "tokens.jsonl",
                                       "-o",
                                       *folder_ / ("adapter" + std::string(dora)),
                                       "--steps",
                                       "4",
                                       "--batch",
                                       "1",
                                       "--warmup",
                                       "0",
                                       "--lr",
                                       "0.02"};
      if (*dora) args.emplace_back(dora);
      const ProgramResult r = RunProgram(args);
      ASSERT_EQ(r.code, 0) << r.err;
    }
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static std::string Base() { return WriteTinyModel({}); }
  static std::string Peft() { return *folder_ / "adapter"; }
  static std::string Gguf() { return *folder_ / "adapter/adapter.gguf"; }
  static std::string Dora() { return *folder_ / "adapter--dora"; }

  static json Logits(const std::string& model, const std::string& adapter) {
    return Json({"logits", "-m", model, "--lora", adapter, "--ids", "5,6,7", "--top", "0"});
  }
  static std::string Refusal(const std::vector<std::string>& args, int code) {
    const ProgramResult r = RunProgram(args);
    EXPECT_EQ(r.code, code) << r.err;
    return r.err;
  }

  static std::unique_ptr<TempFolder> folder_;
  const TempFolder temp_;
};
std::unique_ptr<TempFolder> AdapterCommands::folder_;

#define EXPECT_HAS(text, part) \
  EXPECT_NE(std::string(text).find(part), std::string::npos) << "got: " << (text)

TEST_F(AdapterCommands, ConvertGoesBothWays) {
  const std::string gguf = temp_ / "a.gguf", peft = temp_ / "peft";
  const json made = Json({"convert", Peft(), "-m", Base(), "-o", gguf});
  EXPECT_EQ(made["form"], "gguf");
  EXPECT_EQ(made["matrices"], 14);
  EXPECT_EQ(Json({"convert", gguf, "-m", Base(), "-o", peft})["form"], "peft");
  EXPECT_EQ(ReadFile(peft + "/adapter_config.json"), ReadFile(Peft() + "/adapter_config.json"));
  // Once more into the same folder; not into one of something else.
  EXPECT_EQ(RunProgram({"convert", gguf, "-m", Base(), "-o", peft}).code, 0);
  WriteFile(temp_ / "other/file", "x");
  EXPECT_HAS(Refusal({"convert", gguf, "-m", Base(), "-o", temp_ / "other"}, 2), "empty folder");
  const json expected = Logits(Base(), Peft());
  for (const std::string& adapter : {Gguf(), gguf, peft})
    EXPECT_EQ(Logits(Base(), adapter), expected) << adapter;
  EXPECT_NE(expected, Json({"logits", "-m", Base(), "--ids", "5,6,7", "--top", "0"}));
}

TEST_F(AdapterCommands, AreInspected) {
  const json report = Json({"inspect", Peft()});
  EXPECT_EQ(report["config"]["peft_type"], "LORA");
  EXPECT_EQ(report["tensors"].size(), 28u);
  EXPECT_EQ(report["tensors"][0]["type"], "F32");
  const ProgramResult said = RunProgram({"inspect", Peft()});
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_HAS(said.out, "base_model_name_or_path");
}

TEST_F(AdapterCommands, AreNamedBesideTheModel) {
  WriteFile(temp_ / "text", std::string(2000, 'a'));
  const std::vector<std::string> compare = {"compare",    Base(),         "--base",       Base(),
                                            "-f",         temp_ / "text", "-c",           "128",
                                            "--no-speed", "--lora",       Peft() + ":0.5"};
  const ProgramResult table = RunProgram(compare);
  EXPECT_EQ(table.code, 0) << table.err;
  EXPECT_HAS(table.out, "+adapter:0.5");
  EXPECT_EQ(Json(compare)[0]["lora"][0], Peft() + ":0.5");
  TerminalProgram serve({"serve", "-m", Base(), "--lora", Gguf(), "--port", "0"});
  EXPECT_TRUE(serve.Expect("+adapter on http://")) << serve.screen();
  serve.Type("\x03");
  EXPECT_EQ(serve.Wait(), 0);
}

TEST_F(AdapterCommands, ConvertRefusesWhatItCannotSay) {
  const std::string out = temp_ / "out";
  EXPECT_HAS(Refusal({"convert", Dora(), "-m", Base(), "-o", out}, 4), "magnitudes of DoRA");
  for (const std::vector<std::string>& flags :
       {std::vector<std::string>{"--type", "f16"}, {"--to", "hf"}, {"--force"}, {"--no-vocab"}}) {
    std::vector<std::string> args = {"convert", Peft(), "-m", Base(), "-o", out};
    args.insert(args.end(), flags.begin(), flags.end());
    EXPECT_HAS(Refusal(args, 2), flags[0] + " is not for adapters");
  }
  EXPECT_HAS(Refusal({"convert", Base(), "-m", Base(), "-o", out, "--to", "hf"}, 2),
             "-m is for adapters");
  EXPECT_HAS(Refusal({"convert", Peft(), "-m", Base(), "-o", Base()}, 2), "another file to write");
  EXPECT_FALSE(std::filesystem::exists(out));
}

TEST_F(AdapterCommands, ItsBaseMayHaveAnyType) {
  const std::string quantized = temp_ / "q.gguf", half = temp_ / "half.gguf",
                    merged = temp_ / "merged.gguf";
  ASSERT_EQ(RunProgram({"quantize", Base(), quantized, "Q8_0"}).code, 0);
  ASSERT_EQ(RunProgram({"quantize", quantized, half, "F16"}).code, 0);
  ASSERT_EQ(RunProgram({"merge", "-m", quantized, "--lora", Peft(), "-o", merged}).code, 0);
  for (const std::string& base : {quantized, half})
    for (const std::string& adapter : {Peft(), Gguf(), Dora()}) Logits(base, adapter);
  // One that is merged takes others.
  Logits(merged, Dora());
  const std::vector<std::string> twice = {"logits", "-m", merged, "--lora", Gguf(), "--ids", "5"};
  EXPECT_HAS(Refusal(twice, 3), "is merged into");
  WriteFile(temp_ / "text.jsonl", "{\"text\":\"once more\"}\n");
  EXPECT_HAS(Refusal({"finetune", "-m", merged, "--init-adapter", Gguf(), "-d",
                      temp_ / "text.jsonl", "-o", temp_ / "again"},
                     3),
             "is merged into");
}

// Of the same shapes, with one norm changed.
std::string WithOtherNorms(const std::string& from, const std::string& to) {
  const auto file = format::GgufFile::Open(from);
  format::GgufWriter out(to);
  out.CopyAll(file.metadata());
  out.SetString("general.name", "Cousin 1B");
  for (const auto& t : file.tensors())
    out.Declare(t.name, t.type, std::span(t.dims).first(static_cast<size_t>(t.num_dims)));
  for (const auto& t : file.tensors()) {
    std::vector<uint8_t> bytes(t.data.begin(), t.data.end());
    if (t.name == "blk.1.ffn_norm.weight") bytes[2] ^= 0x40;
    out.Append(bytes);
  }
  out.Finish();
  return to;
}

TEST_F(AdapterCommands, AnotherModelIsRefused) {
  const std::string cousin = WithOtherNorms(Base(), temp_ / "cousin.gguf");
  const std::string of_family = WriteTinyModel({.arch = "qwen2"});
  for (const std::string& adapter : {Peft(), Gguf()}) {
    const std::string error = Refusal({"logits", "-m", cousin, "--lora", adapter, "--ids", "5"}, 3);
    EXPECT_HAS(error, adapter + ": was trained on '" +
                          std::filesystem::path(Base()).filename().string() + "' ('llama')");
    EXPECT_HAS(error, "is 'Cousin 1B' (llama), a model with other weights");
    EXPECT_HAS(Refusal({"merge", "-m", cousin, "--lora", adapter, "-o", temp_ / "m.gguf"}, 3),
               "other weights");
    EXPECT_HAS(Refusal({"convert", adapter, "-m", cousin, "-o", temp_ / "out"}, 3),
               "other weights");
    EXPECT_HAS(Refusal({"logits", "-m", of_family, "--lora", adapter, "--ids", "5"}, 3),
               "architecture");
  }
  EXPECT_HAS(Refusal({"finetune", "-m", cousin, "--token-data", *folder_ / "tokens.jsonl", "-o",
                      temp_ / "b", "--init-adapter", Peft(), "--steps", "1"},
                     3),
             "other weights");
  EXPECT_FALSE(std::filesystem::exists(temp_ / "m.gguf"));
}

// Other programs' files do not say what they were trained on.
TEST_F(AdapterCommands, WithoutABaseShapesDecide) {
  const auto adapter = format::GgufFile::Open(Gguf());
  {
    format::GgufWriter out(temp_ / "plain.gguf");
    for (const auto& [key, value] : adapter.metadata().entries())
      if (!key.starts_with("slm.")) out.Copy(key, value);
    for (const auto& t : adapter.tensors())
      out.Declare(t.name, t.type, std::span(t.dims).first(static_cast<size_t>(t.num_dims)));
    for (const auto& t : adapter.tensors()) out.Append(t.data);
    out.Finish();
  }
  Logits(WithOtherNorms(Base(), temp_ / "cousin.gguf"), temp_ / "plain.gguf");
  ASSERT_EQ(RunProgram({"convert", temp_ / "plain.gguf", "-m", Base(), "-o", temp_ / "peft"}).code,
            0);
  Logits(temp_ / "cousin.gguf", temp_ / "peft");
  EXPECT_HAS(Refusal({"logits", "-m", WriteTinyModel({.type = quant::Type::kQ4_K}), "--lora",
                      temp_ / "plain.gguf", "--ids", "5"},
                     3),
             "as the model's matrix asks for");
}

}  // namespace
}  // namespace slm::testing
