// What prompt lookup gains: answers with and without it, in pairs that take turns, and what it
// lives on, the time of a forward pass by its number of tokens.
//   lookup_bench MODEL.gguf [pairs=5] [threads=0]
// Run from the root of the repository, for bench/prompts. Says and fails when an answer differs.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/generate.h"
#include "kernels/table.h"
#include "model/vocab.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace {

using namespace slm;
using Clock = std::chrono::steady_clock;

struct Prompt {
  const char* name;  // of a file in bench/prompts
  int64_t max_tokens;
  float temperature, repeat_penalty;
};

// A greedy story of a small model repeats itself within a few sentences, and lookup gains from it.
constexpr Prompt kPrompts[] = {
    {"rewrite", 600, 0, 1}, {"extract", 300, 0, 1}, {"story", 350, 0.8f, 1.1f}};

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

class Bench {
 public:
  Bench(const std::string& path, int threads)
      : runtime_(threads), model_(engine::Model::Load(path, &runtime_)) {}

  void PrintCosts() {
    constexpr int64_t kDepth = 400, kColumns[] = {1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 24, 32};
    std::vector<int32_t> ids;
    for (int64_t i = 0; i < kDepth + 32; ++i)
      ids.push_back(static_cast<int32_t>(i * 7919 % model_->hparams().vocab));
    const std::span<const int32_t> all = ids;
    executor_.Extend(&session_, all.first(kDepth));
    std::vector<std::vector<double>> seconds(std::size(kColumns));
    for (int repeat = -1; repeat < 9; ++repeat)
      for (size_t c = 0; c < seconds.size(); ++c) {
        session_.KeepPrefix(all, kDepth);
        const engine::BatchItem item = {
            &session_, all.subspan(kDepth, static_cast<size_t>(kColumns[c])), kColumns[c]};
        const Clock::time_point start = Clock::now();
        executor_.Forward({&item, 1}, [](size_t, int64_t, std::span<const float>) {});
        if (repeat >= 0)
          seconds[c].push_back(std::chrono::duration<double>(Clock::now() - start).count());
      }
    std::printf("%s, %d threads, after %lld tokens\n%8s %8s %8s\n",
                std::string(runtime_.kernels().isa).c_str(), runtime_.pool()->threads(),
                static_cast<long long>(kDepth), "tokens", "ms", "ratio");
    for (size_t c = 0; c < seconds.size(); ++c)
      std::printf("%8lld %8.2f %8.2f\n", static_cast<long long>(kColumns[c]),
                  Median(seconds[c]) * 1e3, Median(seconds[c]) / Median(seconds[0]));
  }

  // False: the answers differ.
  bool Compare(const Prompt& prompt, int pairs) {
    const std::vector<int32_t> ids = Read(prompt);
    engine::SamplerOptions options;
    options.temperature = prompt.temperature;
    options.repeat_penalty = prompt.repeat_penalty;
    options.seed = 1;
    const engine::Sampler sampler(options);
    std::vector<double> ratios, rates[2];
    engine::GenerateResult results[2];
    for (int pair = -1; pair < pairs; ++pair) {  // the first is for warming up
      for (const int turn : {pair & 1, 1 - (pair & 1)}) {
        engine::Speculator speculator;  // a fresh one, as in a fresh process
        results[turn] = engine::Generate(&executor_, &session_, ids, sampler,
                                         {.max_tokens = prompt.max_tokens,
                                          .stop = tokenizer_.end_of_generation(),
                                          .speculator = turn == 1 ? &speculator : nullptr});
      }
      if (results[0].tokens != results[1].tokens) {
        std::printf("%s: the answers differ\n", prompt.name);
        return false;
      }
      if (pair < 0) continue;
      for (size_t turn = 0; turn < 2; ++turn)
        rates[turn].push_back(static_cast<double>(results[turn].tokens.size()) /
                              results[turn].decode_seconds);
      ratios.push_back(rates[1].back() / rates[0].back());
    }
    const auto [least, greatest] = std::minmax_element(ratios.begin(), ratios.end());
    std::printf("%8s %6zu %9.1f %9.1f %7.2f  [%.2f, %.2f]  %lld of %lld\n", prompt.name,
                results[1].tokens.size(), Median(rates[0]), Median(rates[1]), Median(ratios),
                *least, *greatest, static_cast<long long>(results[1].accepted_tokens),
                static_cast<long long>(results[1].drafted_tokens));
    return true;
  }

 private:
  std::vector<int32_t> Read(const Prompt& prompt) const {
    std::ifstream file("bench/prompts/" + std::string(prompt.name) + ".txt");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const text::ChatTemplate chat(
        "chat template",
        std::string(model_->file().metadata().GetString("tokenizer.chat_template")),
        tokenizer_.bos() < 0 ? "" : std::string(tokenizer_.TokenBytes(tokenizer_.bos())),
        tokenizer_.eos() < 0 ? "" : std::string(tokenizer_.TokenBytes(tokenizer_.eos())));
    const nlohmann::ordered_json message = {{"role", "user"}, {"content", text}};
    return tokenizer_.Encode(chat.Render(nlohmann::ordered_json::array({message}), nullptr, true,
                                         nlohmann::ordered_json::object()),
                             {.add_special = true, .parse_special = true});
  }

  engine::Runtime runtime_;
  std::shared_ptr<const engine::Model> model_;
  text::Tokenizer tokenizer_ = model::MakeTokenizer(model_->file());
  engine::Executor executor_{model_};
  engine::Session session_{model_, {.context = 2048}};
};

int Run(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "lookup_bench MODEL.gguf [pairs=5] [threads=0]\n");
    return 2;
  }
  Bench bench(argv[1], argc > 3 ? std::atoi(argv[3]) : 0);
  const int pairs = argc > 2 ? std::atoi(argv[2]) : 5;
  bench.PrintCosts();
  std::printf("%8s %6s %9s %9s %7s  %14s\n", "prompt", "tokens", "plain t/s", "lookup", "ratio",
              "right guesses");
  for (const Prompt& prompt : kPrompts)
    if (!bench.Compare(prompt, pairs)) return 1;
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return Run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "lookup_bench: %s\n", error.what());
    return 1;
  }
}
