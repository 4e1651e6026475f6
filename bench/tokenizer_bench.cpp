// Speed of a tokenizer: tokenizer_bench model.gguf text.txt [rounds]. Prints MB/s of encoding, best
// of the rounds, one core.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "base/error.h"
#include "format/gguf.h"
#include "model/vocab.h"
#include "text/tokenizer.h"

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: tokenizer_bench model.gguf text.txt [rounds]\n");
    return 2;
  }
  using Clock = std::chrono::steady_clock;
  const auto since = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  try {
    const auto file = slm::format::GgufFile::Open(argv[1]);
    const auto start = Clock::now();
    const slm::text::Tokenizer tokenizer = slm::model::MakeTokenizer(file);
    const double load_ms = since(start) * 1e3;
    std::ifstream in(argv[2], std::ios::binary);
    const std::string text(std::istreambuf_iterator<char>(in), {});
    double best = 1e9;
    size_t tokens = 0;
    for (int round = argc > 3 ? std::atoi(argv[3]) : 10; round > 0; --round) {
      const auto begin = Clock::now();
      tokens = tokenizer.Encode(text).size();
      best = std::min(best, since(begin));
    }
    std::printf("%s: load %.0f ms, %zu bytes, %zu tokens, %.1f MB/s\n", argv[1], load_ms,
                text.size(), tokens, static_cast<double>(text.size()) / 1e6 / best);
  } catch (const slm::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.code());
  }
  return 0;
}
