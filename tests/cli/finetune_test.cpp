// finetune and eval by their exact form.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "base/folder_lock.h"
#include "cli/model_command.h"
#include "cli/program.h"
#include "cli/training_examples.h"
#include "format/gguf.h"
#include "format/safetensors.h"
#include "support/data.h"
#include "support/temp_folder.h"
#include "tiny/tiny_model.h"

namespace slm::testing {
namespace {

using nlohmann::json;

std::vector<json> Lines(const std::string& text) {
  std::vector<json> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    lines.push_back(json::parse(text.substr(at, end - at)));
    at = end + 1;
  }
  return lines;
}

TEST(Finetune, LearnsAndIsEvaluated) {
  const TempFolder folder;
  WriteFile(folder / "data.jsonl", Examples(30));
  const auto score = [&](std::vector<std::string> lora) {
    std::vector<std::string> args = {"eval",     "-m",    Model(),  "-d", folder / "data.jsonl",
                                     "--metric", "label", "--json", "-o", folder / "answers.jsonl"};
    args.insert(args.end(), lora.begin(), lora.end());
    return Json(args);
  };
  const ProgramResult result = RunProgram({"finetune", "-m", Model(), "-d", folder / "data.jsonl",
                                           "-o", folder / "adapter", "--steps", "160", "--batch",
                                           "6", "--lr", "0.01", "--rank", "8", "--warmup", "0"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.err.find("train: 30 samples"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("[[red<|im_end|>]]"), std::string::npos) << result.err;
  const std::vector<json> log = Lines(ReadFile(folder / "adapter/log.jsonl"));
  ASSERT_EQ(log.size(), 160u);
  EXPECT_LT(log.back()["loss"].get<double>(), 0.3 * log.front()["loss"].get<double>());

  const std::string report = ReadFile(folder / "adapter/report.html");
  for (const json& step : log)
    EXPECT_NE(report.find(fmt::format("<title>step {}\ntrain, each step {:.4g}\n",
                                      step["step"].get<int>(), step["loss"].get<double>())),
              std::string::npos)
        << step;
  EXPECT_NE(report.find("as expected</span></h3><pre>"), std::string::npos) << report;
  EXPECT_NE(report.find("30 samples"), std::string::npos) << report;

  const json before = score({}), after = score({"--lora", folder / "adapter"});
  EXPECT_EQ(after["metric"], "label");
  EXPECT_EQ(after["n"], 30);
  EXPECT_EQ(after["score"], 1.0);
  EXPECT_LT(before["score"].get<double>(), 1.0);
  EXPECT_LT(after["low"].get<double>(), 1.0);
  EXPECT_EQ(score({"--lora", folder / "adapter/adapter.gguf"}), after);
  const std::vector<json> answers = Lines(ReadFile(folder / "answers.jsonl"));
  ASSERT_EQ(answers.size(), 30u);
  EXPECT_EQ(answers[1]["answer"], "green");

  // By what it says, too.
  const json exact = Json({"eval", "-m", Model(), "--lora", folder / "adapter", "-d",
                           folder / "data.jsonl", "--json", "-n", "8", "-o", folder / "a.jsonl"});
  EXPECT_EQ(exact["score"], 1.0);
}

TEST(Finetune, TakesTokensAndGivesGradients) {
  const TempFolder folder;
  WriteFile(folder / "tokens.jsonl",
            "{\"ids\":[1,70,80,90,100],\"labels\":[-100,-100,80,90,100]}\n");
  const auto train = [&](const std::string& name, std::vector<std::string> more) {
    std::vector<std::string> args = {"finetune",
                                     "-m",
                                     Model(),
                                     "--token-data",
                                     folder / "tokens.jsonl",
                                     "-o",
                                     folder / name,
                                     "--steps",
                                     "3",
                                     "--schedule",
                                     "constant",
                                     "--warmup",
                                     "0",
                                     "--clip",
                                     "0",
                                     "--precision",
                                     "f32",
                                     "--log",
                                     folder / (name + ".jsonl"),
                                     "--batch",
                                     "1"};
    args.insert(args.end(), more.begin(), more.end());
    const ProgramResult result = RunProgram(args);
    EXPECT_EQ(result.code, 0) << result.err;
    return Lines(ReadFile(folder / (name + ".jsonl")));
  };
  const auto one = train("one", {"--dump-gradients", folder / "g.safetensors"});
  EXPECT_TRUE(std::filesystem::exists(folder / "g.safetensors"));
  EXPECT_FALSE(std::filesystem::exists(folder / "g.safetensors.folder"));
  const auto config = [&](const std::string& name) {
    return json::parse(ReadFile(folder / (name + "/adapter_config.json")));
  };
  EXPECT_EQ(config("one")["lora_dropout"], 0.0);
  const auto dropped = train("dropped", {"--dropout", "0.25"});
  EXPECT_EQ(config("dropped")["lora_dropout"], 0.25);
  // B is 0 in the first step, so that nothing is there to leave out.
  EXPECT_EQ(dropped[0]["loss"], one[0]["loss"]);
  EXPECT_NE(dropped[0]["gradient_norm"], one[0]["gradient_norm"]);
  EXPECT_TRUE(std::filesystem::exists(folder / "one/report.html"));
  const auto two = train("two", {"--init-adapter", folder / "one", "--report", "off"});
  EXPECT_FALSE(std::filesystem::exists(folder / "two/report.html"));
  ASSERT_EQ(two.size(), 3u);
  // It goes on where the first one ended.
  EXPECT_LT(two[0]["loss"].get<double>(), one[2]["loss"].get<double>());
}

TEST(Finetune, TrainsAllWeights) {
  const TempFolder folder;
  WriteFile(folder / "data.jsonl", Examples(30));
  const auto train = [&](const std::string& model, const std::string& name,
                         std::vector<std::string> more) {
    std::vector<std::string> args = {
        "finetune", "--full", "-m",    model,      "-o", folder / name, "--batch",
        "6",        "--lr",   "0.003", "--warmup", "0",  "-d",          folder / "data.jsonl"};
    args.insert(args.end(), more.begin(), more.end());
    const ProgramResult result = RunProgram(args, "", {"SLM_CACHE=" + (folder / "cache")});
    EXPECT_EQ(result.code, 0) << result.err;
    return result.err;
  };
  const std::string said = train(
      Model(), "full", {"--steps", "60", "--dump-gradients", folder / "gradients.safetensors"});
  EXPECT_NE(said.find("slm run -m " + (folder / "full/model.gguf")), std::string::npos) << said;
  const std::vector<json> log = Lines(ReadFile(folder / "full/log.jsonl"));
  ASSERT_EQ(log.size(), 60u);
  EXPECT_LT(log.back()["loss"].get<double>(), 0.3 * log.front()["loss"].get<double>());
  EXPECT_NE(ReadFile(folder / "full/report.html").find("all weights"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(folder / "full/checkpoint.safetensors"));

  // It is a model like any other.
  const auto score = [&](const std::string& model) {
    return Json({"eval", "-m", model, "-d", folder / "data.jsonl", "--metric", "label", "-o",
                 folder / "answers.jsonl"})["score"];
  };
  EXPECT_LT(score(Model()).get<double>(), 1.0);
  EXPECT_EQ(score(folder / "full/model.gguf"), 1.0);
  EXPECT_EQ(RunProgram({"quantize", folder / "full/model.gguf", folder / "q8.gguf", "q8_0"}).code,
            0);
  EXPECT_EQ(score(folder / "q8.gguf"), 1.0);

  // Of every tensor, by transformers' names.
  const format::Safetensors gradients = format::Safetensors::Open(folder / "gradients.safetensors");
  const format::GgufFile model = format::GgufFile::Open(folder / "full/model.gguf");
  EXPECT_EQ(gradients.tensors().size(), model.tensors().size());
  const format::SafetensorsTensor* norm =
      gradients.Find("model.layers.1.pre_feedforward_layernorm.weight");
  ASSERT_NE(norm, nullptr);
  EXPECT_EQ(norm->shape, std::vector<int64_t>{96});
  for (const format::GgufTensor& tensor : model.tensors())
    EXPECT_EQ(tensor.type, quant::Type::kF32) << tensor.name;
}

TEST(Finetune, AllWeightsOfAFolderAreTheSameHoweverTheyAreTrained) {
  const TempFolder folder;
  WriteFile(folder / "data.jsonl", R"({"ids": [5, 6, 7, 8, 5], "labels": [5, 6, 7, 8, 5]})"
                                   "\n"
                                   R"({"ids": [9, 6, 4], "labels": [9, 6, 4]})"
                                   "\n");
  const std::string original = WriteTinyModel({});
  ASSERT_EQ(RunProgram({"convert", "--to", "hf", original, "-o", folder / "base"}).code, 0);
  std::filesystem::remove(folder / "base/tokenizer.json");
  const auto train = [&](const std::string& name, std::vector<std::string> more) {
    std::vector<std::string> args = {"finetune",     "--full",
                                     "-m",           folder / "base",
                                     "--token-data", folder / "data.jsonl",
                                     "-o",           folder / name,
                                     "--steps",      "3",
                                     "--batch",      "2"};
    args.insert(args.end(), more.begin(), more.end());
    const ProgramResult result = RunProgram(args, "", {"SLM_CACHE=" + (folder / "cache")});
    EXPECT_EQ(result.code, 0) << result.err;
    return ReadFile(folder / (name + "/model.gguf"));
  };
  const std::string expected = train("a", {});
  EXPECT_EQ(train("b", {"-t", "1"}), expected);
  EXPECT_EQ(train("c", {"--checkpointing", "off", "--rows", "3"}), expected);
  train("d", {"--type", "bf16"});
  const auto type = [&](const std::string& name) {
    return format::GgufFile::Open(folder / (name + "/model.gguf")).Get("blk.0.ffn_up.weight").type;
  };
  EXPECT_EQ(type("a"), quant::Type::kF32);
  EXPECT_EQ(type("d"), quant::Type::kBF16);
}

TEST(Finetune, KilledAtAnyMomentEndsAtTheSameBits) {
  const TempFolder folder;
  WriteFile(folder / "data.jsonl", Examples(30));
  const auto command = [&](const std::string& name) {
    return "env SLM_CACHE=" + (folder / "cache") + " " SLM_PROGRAM " finetune -m " + Model() +
           " -d " + (folder / "data.jsonl") + " -o " + (folder / name) +
           " --steps 200 --batch 2 --save-every 1 >/dev/null 2>>" + (folder / "log");
  };
  const auto adapter = [&](const std::string& name) {
    return ReadFile(folder / (name + "/adapter_model.safetensors"));
  };
  ASSERT_EQ(std::system(command("whole").c_str()), 0) << ReadFile(folder / "log");
  std::mt19937 rng(11);
  constexpr int kKills = 10;
  for (int kill = 1; kill <= kKills; ++kill) {
    // Somewhere behind so many steps.
    const std::string lines = "$(cat " + (folder / "killed/log.jsonl") + " 2>/dev/null | wc -l)";
    const double seconds = 0.001 * static_cast<double>(rng() % 30);
    std::system((command("killed") + " & pid=$!; while kill -0 $pid && [ " + lines + " -lt " +
                 std::to_string(12 * kill) + " ]; do sleep 0.01; done; sleep " +
                 std::to_string(seconds) + "; kill -KILL $pid; wait $pid")
                    .c_str());
    ASSERT_FALSE(std::filesystem::exists(folder / "killed/adapter_model.safetensors")) << kill;
  }
  const ProgramResult unfinished =
      RunProgram({"logits", "-m", Model(), "--lora", folder / "killed", "--ids", "1"});
  EXPECT_EQ(unfinished.code, 2);
  EXPECT_NE(unfinished.err.find("has not ended"), std::string::npos) << unfinished.err;
  ASSERT_EQ(std::system(command("killed").c_str()), 0) << ReadFile(folder / "log");
  EXPECT_EQ(adapter("killed"), adapter("whole"));
  const std::string log = ReadFile(folder / "log");
  int resumed = 0;
  for (size_t at = 0; (at = log.find("going on after step", at)) != std::string::npos; ++at)
    ++resumed;
  EXPECT_EQ(resumed, kKills);
}

TEST(Finetune, TrainsOnAFolder) {
  const TempFolder folder;
  WriteFile(folder / "data.jsonl", R"({"ids": [5, 6, 7, 8], "labels": [5, 6, 7, 8]})"
                                   "\n");
  const ProgramResult base =
      RunProgram({"convert", "--to", "hf", WriteTinyModel({}), "-o", folder / "base"});
  ASSERT_EQ(base.code, 0) << base.err;
  // Of bytes alone, which is in no other program.
  std::filesystem::remove(folder / "base/tokenizer.json");
  const auto train = [&](const std::string& type) {
    const ProgramResult result =
        RunProgram({"finetune", "-m", folder / "base", "--base-type", type, "--token-data",
                    folder / "data.jsonl", "-o", folder / type, "--steps", "4", "--fresh"},
                   "", {"SLM_CACHE=" + (folder / "cache")});
    EXPECT_EQ(result.code, 0) << result.err;
    return result.err;
  };
  EXPECT_NE(train("nf4").find("to nf4, once: " + (folder / "cache/bases/base-")),
            std::string::npos);
  EXPECT_NE(train("bf16").find("to bf16, once"), std::string::npos);
  EXPECT_EQ(train("nf4").find("once"), std::string::npos);
  // It is made anew when the folder has changed.
  std::filesystem::last_write_time(folder / "base/config.json",
                                   std::filesystem::file_time_type::clock::now());
  EXPECT_NE(train("nf4").find("to nf4, once"), std::string::npos);
  size_t bases = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "cache/bases"))
    bases += entry.path().extension() == ".gguf";
  EXPECT_EQ(bases, 2u);
  const auto loss = [&](const std::string& type) {
    return Lines(ReadFile(folder / (type + "/log.jsonl"))).front()["loss"].get<double>();
  };
  EXPECT_NE(loss("nf4"), loss("bf16"));
  const ProgramResult bytes =
      RunProgram({"finetune", "-m", folder / "base", "--base-type", "bf16", "--token-data",
                  folder / "data.jsonl", "-o", folder / "int8", "--precision", "int8"},
                 "", {"SLM_CACHE=" + (folder / "cache")});
  EXPECT_EQ(bytes.code, 2) << bytes.err;
  EXPECT_NE(bytes.err.find("--precision int8: the kernels of BF16 take no activations of 8 bits"),
            std::string::npos)
      << bytes.err;
  EXPECT_NEAR(loss("nf4"), loss("bf16"), 0.1 * loss("bf16"));
  // PEFT and vLLM find the folder; the adapter goes with the file that it was made of.
  const json config = json::parse(ReadFile(folder / "nf4/adapter_config.json"));
  EXPECT_EQ(config["base_model_name_or_path"], folder / "base");
  Json({"logits", "-m", WriteTinyModel({}), "--lora", folder / "nf4", "--ids", "5,6"});
}

// What a training left is not written over by accident, nor left beside what the next one writes.
TEST(Finetune, KeepsWhatIsFinished) {
  const TempFolder folder;
  WriteFile(folder / "data.jsonl", Examples(6));
  const auto train = [&](std::vector<std::string> more) {
    std::vector<std::string> args = {
        "finetune", "-m", Model(),  "-d", folder / "data.jsonl", "-o", folder / "a",
        "--steps",  "1",  "--rank", "2"};
    args.insert(args.end(), more.begin(), more.end());
    return RunProgram(args);
  };
  std::filesystem::create_directories(folder / "a");
  {
    const FolderLock of_another_run(folder / "a");
    const ProgramResult second = train({});
    EXPECT_EQ(second.code, 1);
    EXPECT_NE(second.err.find("another process is writing there"), std::string::npos) << second.err;
  }
  EXPECT_EQ(train({}).code, 0);
  const std::string adapter = ReadFile(folder / "a/adapter_model.safetensors");
  const ProgramResult again = train({"--lr", "0.1"});
  EXPECT_EQ(again.code, 2);
  EXPECT_NE(again.err.find("is of a training that ended"), std::string::npos) << again.err;
  EXPECT_EQ(ReadFile(folder / "a/adapter_model.safetensors"), adapter);
  EXPECT_TRUE(std::filesystem::exists(folder / "a/adapter.gguf"));
  EXPECT_TRUE(std::filesystem::exists(folder / "a/report.html"));
  EXPECT_EQ(train({"--fresh", "--dora", "--report", "off"}).code, 0);
  EXPECT_NE(ReadFile(folder / "a/adapter_model.safetensors"), adapter);
  EXPECT_FALSE(std::filesystem::exists(folder / "a/adapter.gguf"));
  EXPECT_FALSE(std::filesystem::exists(folder / "a/report.html"));
}

// slm models knows what training on a folder left.
TEST(Finetune, ItsBasesAreListedAndRemoved) {
  const TempFolder folder;
  WriteFile(folder / "data.jsonl", R"({"ids": [5, 6, 7, 8], "labels": [5, 6, 7, 8]})"
                                   "\n");
  for (const std::string name : {"one", "two"}) {
    ASSERT_EQ(RunProgram({"convert", "--to", "hf", WriteTinyModel({}), "-o", folder / name}).code,
              0);
    std::filesystem::remove(folder / (name + "/tokenizer.json"));
  }
  const auto run = [&](std::vector<std::string> args, int code = 0) {
    const ProgramResult result = RunProgram(
        args, "", {"SLM_CACHE=" + (folder / "cache"), "HF_HUB_CACHE=" + (folder / "hub")});
    EXPECT_EQ(result.code, code) << result.err;
    return code == 0 ? result.out : result.err;
  };
  const auto train = [&](const std::string& of, const std::string& type) {
    run({"finetune", "-m", folder / of, "--base-type", type, "--token-data", folder / "data.jsonl",
         "-o", folder / "adapter", "--steps", "1", "--fresh", "--report", "off"});
  };
  // By their folders' names and types.
  const auto bases = [&] {
    std::map<std::string, json> found;
    for (const json& model : json::parse(run({"models", "--json"})))
      if (const std::string path = model["path"]; path.starts_with(folder / "cache/bases"))
        found[std::filesystem::path(model["source"].get<std::string>()).filename().string() + " " +
              model["quant"].get<std::string>()] = model;
    return found;
  };
  train("one", "nf4");
  train("one", "f32");
  train("two", "nf4");
  auto found = bases();
  ASSERT_EQ(found.size(), 3u);
  for (const auto& base : found) {
    EXPECT_EQ(base.second["bytes"], std::filesystem::file_size(base.second["path"]));
    EXPECT_GT(base.second["packed_bytes"], 0);
    EXPECT_GT(base.second["last_used_s"], 1'600'000'000);
    EXPECT_FALSE(base.second["is_stale"]);
  }
  const json one = found["one nf4"], two = found["two nf4"];
  EXPECT_EQ(one["source"], std::filesystem::canonical(folder / "one").string());
  EXPECT_NE(run({"models"}).find("(nf4 of " + one["source"].get<std::string>() + ") "),
            std::string::npos);
  EXPECT_EQ(run({"models", "--prune"}), "freed 0 B\n");

  // One that is named, whatever its folder.
  const std::string path = found["one f32"]["path"];
  EXPECT_EQ(run({"models", "--rm", path}).find("removed " + path + "\n"), 0u);
  run({"models", "--rm", path}, 1);
  EXPECT_EQ(bases().size(), 2u);

  // Those whose folder has changed or is gone, with what was packed of them; other removals leave
  // them.
  WriteFile(folder / "one/more", "");
  EXPECT_TRUE(bases()["one nf4"]["is_stale"]);
  std::filesystem::rename(folder / "two", folder / "elsewhere");
  EXPECT_TRUE(bases()["two nf4"]["is_stale"]);
  EXPECT_NE(run({"models"}).find("its folder is gone or has changed"), std::string::npos);
  std::filesystem::rename(folder / "elsewhere", folder / "two");
  EXPECT_FALSE(bases()["two nf4"]["is_stale"]);
  const json pruned = json::parse(run({"models", "--prune", "--json"}));
  ASSERT_EQ(pruned["removed"].size(), 2u);
  EXPECT_EQ(pruned["removed"][0], one["path"]);
  EXPECT_EQ(pruned["freed_bytes"],
            one["bytes"].get<int64_t>() + one["packed_bytes"].get<int64_t>());
  found = bases();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found["two nf4"]["path"], two["path"]);

  // What does not say what it is of is read by nothing.
  std::filesystem::remove(std::filesystem::path(two["path"]).replace_extension(".origin"));
  EXPECT_NE(run({"models"}).find("(base of training) "), std::string::npos);
  EXPECT_EQ(run({"models", "--prune"}).find("removed " + two["path"].get<std::string>()), 0u);
  EXPECT_EQ(bases().size(), 0u);
  EXPECT_TRUE(std::filesystem::is_empty(folder / "cache/bases"));
}

TEST(Finetune, SaysWhatIsWrong) {
  const TempFolder folder;
  const auto message = [&](const std::string& data, std::vector<std::string> more, int code) {
    WriteFile(folder / "data.jsonl", data);
    std::vector<std::string> args = {
        "finetune",         "-m",      Model(), "-d", folder / "data.jsonl", "-o",
        folder / "adapter", "--steps", "1"};
    args.insert(args.end(), more.begin(), more.end());
    const ProgramResult result = RunProgram(args);
    EXPECT_EQ(result.code, code) << result.err;
    return result.err;
  };
  const auto has = [](const std::string& text, const char* part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  has(message("{\"messages\":\n", {}, 3), "data.jsonl:1: not JSON");
  has(message(Examples(3), {"--seq", "10"}, 3), "would be cut: lines 1, 2, 3");
  has(message(Examples(3), {"--seq", "10", "--allow-cut"}, 3), "train nothing: lines 1, 2, 3");
  has(message(Examples(3), {"--rank", "200"}, 3), "rank 200: expected 1 to");
  EXPECT_FALSE(std::filesystem::exists(folder / "adapter"));
  has(message(Examples(3), {"--target", "q_proj,w_proj"}, 2), "\"w_proj\"");
  has(message(Examples(3), {"--target", ", "}, 2), "--target: expected names");
  has(message(Examples(3), {"--lr", "nan"}, 2), "expected a number above 0, got nan");
  has(message(Examples(3), {"--lr", "1e38"}, 2), "--lr: expected at most 1");
  has(message(Examples(3), {"--alpha", "-1"}, 2), "expected a number above 0, got -1");
  const auto conversation = [](const std::string& answer, const std::string& more) {
    return R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":")" +
           answer + "\"}]" + more + "}\n";
  };
  has(message(conversation("one <|im_end|> two", ""), {}, 3),
      "line 1: message 2 has <|im_end|> in it");
  has(message(conversation("one", R"(,"tools":[{"type":"function","function":{"name":"f"}}])"), {},
              3),
      "line 1: the chat template shows no tools to the model");
  has(message(Examples(3), {"--schedule", "step"}, 2), "--schedule");
  has(message(Examples(3), {"--precision", "fp8"}, 2), "--precision");
  has(message(Examples(3), {"--dropout", "1"}, 2), "--dropout");
  has(message(Examples(3), {"--checkpointing", "auto"}, 2), "--checkpointing");
  has(message(Examples(3), {"--init-adapter", "x", "--rank", "4"}, 2), "--init-adapter");
  for (const std::vector<std::string>& flag :
       std::vector<std::vector<std::string>>{{"--rank", "4"},
                                             {"--alpha", "4"},
                                             {"--rslora"},
                                             {"--dora"},
                                             {"--target", "q_proj"},
                                             {"--dropout", "0.1"},
                                             {"--init-adapter", "x"},
                                             {"--precision", "f32"},
                                             {"--base-type", "nf4"}}) {
    std::vector<std::string> args = {"--full"};
    args.insert(args.end(), flag.begin(), flag.end());
    has(message(Examples(3), args, 2), flag[0].c_str());
  }
  has(message(Examples(3), {"--type", "bf16"}, 2), "--full");
  has(message(Examples(3), {"--full", "--type", "q9"}, 2), "q9");
  has(message(Examples(3), {"--eval-data", folder / "data.jsonl"}, 3), "--allow-leaks");
  EXPECT_FALSE(std::filesystem::exists(folder / "adapter/adapter_config.json"));
}

}  // namespace
}  // namespace slm::testing
