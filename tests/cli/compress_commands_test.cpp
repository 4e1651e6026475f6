// compare, imatrix, quantize and convert by their exact form.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <limits>
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

TEST(CompressCommands, Compare) {
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

TEST(CompressCommands, CompareRefuses) {
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

TEST(CompressCommands, Imatrix) {
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

TEST(CompressCommands, Quantize) {
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

TEST(CompressCommands, QuantizeMeasured) {
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

TEST(CompressCommands, QuantizeRefusesBrokenWeights) {
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

TEST(CompressCommands, QuantizeRefuses) {
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

TEST(CompressCommands, Convert) {
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
