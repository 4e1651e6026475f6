// Speed of the encoders by weight type, on one thread, in millions of weights a second: without
// and with importance.
//   quantize_bench [isa]
// And the encoders for bench/peers/quantize_error.py: rows of float32 in, blocks out. IMPORTANCE
// holds one float32 a column, or is "-".
//   quantize_bench encode TYPE COLUMNS ROWS.f32 IMPORTANCE.f32 OUT
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/table.h"
#include "support/blocks.h"

namespace {

using Clock = std::chrono::steady_clock;
using slm::quant::TypeTraits;

std::vector<uint8_t> Encode(const slm::kernels::KernelTable& table, const TypeTraits& type,
                            const std::vector<float>& x, const float* importance) {
  std::vector<uint8_t> out(x.size() / static_cast<size_t>(type.block_size) * type.block_bytes);
  table.encode[static_cast<int>(type.type)](x.data(), importance, out.data(),
                                            static_cast<int64_t>(x.size()));
  return out;
}

void Measure(const slm::kernels::KernelTable& table, const TypeTraits& type) {
  std::mt19937 rng(1);
  const std::vector<float> x = slm::testing::RandomFloats(1 << 18, rng);
  std::vector<float> importance = slm::testing::RandomFloats(x.size(), rng);
  for (float& w : importance) w *= w;
  const auto speed = [&](const float* weights) {
    double best = 1e9;
    for (int i = 0; i < 5; ++i) {
      const auto start = Clock::now();
      Encode(table, type, x, weights);
      best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
    }
    return static_cast<double>(x.size()) / best / 1e6;
  };
  std::printf("%-8s %10.1f %10.1f\n", type.name, speed(nullptr), speed(importance.data()));
}

std::vector<float> ReadFloats(const char* path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  std::vector<float> x(bytes.size() / 4);
  std::memcpy(x.data(), bytes.data(), 4 * x.size());
  return x;
}

int EncodeFile(const slm::kernels::KernelTable& table, char** argv) {
  const TypeTraits* type = slm::quant::FindTypeByName(argv[0]);
  const size_t columns = std::stoul(argv[1]);
  const std::vector<float> x = ReadFloats(argv[2]);
  if (!type || columns == 0 || columns % static_cast<size_t>(type->block_size) ||
      x.size() % columns) {
    std::fprintf(stderr, "quantize_bench: no such type, or no whole rows\n");
    return 1;
  }
  std::vector<float> importance;
  if (std::string_view(argv[3]) != "-") {
    const std::vector<float> row = ReadFloats(argv[3]);
    if (row.size() != columns) {
      std::fprintf(stderr, "quantize_bench: importance of %zu columns\n", row.size());
      return 1;
    }
    for (size_t r = 0; r < x.size() / columns; ++r)
      importance.insert(importance.end(), row.begin(), row.end());
  }
  const std::vector<uint8_t> out =
      Encode(table, *type, x, importance.empty() ? nullptr : importance.data());
  std::ofstream file(argv[4], std::ios::binary);
  file.write(reinterpret_cast<const char*>(out.data()), static_cast<std::streamsize>(out.size()));
  return file.flush() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 7 && std::string_view(argv[1]) == "encode")
    return EncodeFile(slm::kernels::Kernels(), argv + 2);
  const slm::kernels::KernelTable& table =
      argc > 1 ? slm::kernels::FindTable(argv[1]) : slm::kernels::Kernels();
  std::printf("%s, one thread, M weights/s\n%-8s %10s %10s\n", std::string(table.isa).c_str(),
              "type", "plain", "importance");
  for (const TypeTraits& type : slm::quant::AllTypes()) Measure(table, type);
}
