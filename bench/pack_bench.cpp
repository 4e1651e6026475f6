// Speed of repacking by weight type, on one thread, in GB/s of the file's bytes.
//   pack_bench
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <random>
#include <vector>

#include "quant/packed.h"
#include "support/blocks.h"

int main() {
  using Clock = std::chrono::steady_clock;
  constexpr int64_t kK = 2048;
  constexpr int kPanels = 256;  // a few MB: the rows come from the L2 or L3 cache
  std::printf("%-8s %10s\n", "type", "GB/s");
  for (const slm::quant::TypeTraits& type : slm::quant::AllTypes()) {
    std::mt19937 rng(1);
    const int rows = kPanels * slm::quant::kPanelRows;
    const std::vector<uint8_t> plain = slm::testing::RandomRows(type.type, rows, kK, rng);
    const size_t row_bytes = plain.size() / rows;
    std::vector<uint8_t> panel(slm::quant::PanelBytes(type.type, kK));
    double best = 1e9;
    for (int i = 0; i < 20; ++i) {
      const auto start = Clock::now();
      for (size_t p = 0; p < kPanels; ++p)
        slm::quant::PackPanel(type.type, plain.data() + p * slm::quant::kPanelRows * row_bytes,
                              row_bytes, slm::quant::kPanelRows, kK, panel.data());
      best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
    }
    std::printf("%-8s %10.2f\n", type.name, static_cast<double>(plain.size()) / best / 1e9);
  }
}
