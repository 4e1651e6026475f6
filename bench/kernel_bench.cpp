// Speed of the matrix products by weight type, on one thread: prefill (many columns) in GMAC/s and
// decode (one column) in GB/s of packed weights, beside what the CPU does at best.
//   kernel_bench [isa]
#include <chrono>
#include <cstdio>
#include <cstring>
#include <random>
#include <string_view>
#include <vector>

#include "base/aligned_buffer.h"
#include "kernels/table.h"
#include "support/activations.h"
#include "support/blocks.h"

namespace {

using Clock = std::chrono::steady_clock;

template <class Work>
double BestSeconds(const Work& work) {
  double best = 1e9;
  for (int i = 0; i < 7; ++i) {
    const auto start = Clock::now();
    work();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
  }
  return best;
}

void Measure(const slm::kernels::KernelTable& table, const slm::quant::TypeTraits& type) {
  const slm::kernels::MatMulKernel& kernel = table.matmul[static_cast<int>(type.type)];
  constexpr int64_t kK = 2048, kPanels = 64, kDecodePanels = 2048;
  constexpr int kCols = 256;
  std::mt19937 rng(1);
  const std::vector<uint8_t> rows = slm::testing::RandomRows(type.type, 16, kK, rng);
  const size_t panel_bytes = slm::quant::PanelBytes(type.type, kK);
  const slm::AlignedBuffer panels(panel_bytes * kDecodePanels);
  slm::quant::PackPanel(type.type, rows.data(), rows.size() / 16, 16, kK, panels.data());
  for (int64_t i = 1; i < kDecodePanels; ++i)
    std::memcpy(panels.data() + static_cast<size_t>(i) * panel_bytes, panels.data(), panel_bytes);
  const size_t stride = slm::kernels::ActRowBytes(kernel.format, kK);
  std::vector<uint8_t> act(stride * kCols);
  for (int c = 0; c < kCols; ++c) {
    const std::vector<float> x = slm::testing::RandomFloats(kK, rng);
    uint8_t* to = act.data() + static_cast<size_t>(c) * stride;
    slm::testing::PutActivations(table, kernel.format, x.data(), kK, to);
  }
  const int at_once = kernel.max_panels;
  const int64_t out_stride = 16 * at_once + 16;
  std::vector<float> out(static_cast<size_t>(out_stride * kCols));
  const auto run = [&](int64_t panel, int cols) {
    kernel.run({.type = type.type,
                .panel = panels.data() + static_cast<size_t>(panel) * panel_bytes,
                .rows = 16,
                .k = kK,
                .act = act.data(),
                .act_stride = stride,
                .cols = cols,
                .bias = nullptr,
                .out = out.data(),
                .out_stride = out_stride,
                .panels = at_once,
                .panel_stride = panel_bytes});
  };
  const double prefill = BestSeconds([&] {
    for (int64_t p = 0; p < kPanels; p += at_once) run(p, kCols);
  });
  const double decode = BestSeconds([&] {
    for (int64_t p = 0; p < kDecodePanels; p += at_once) run(p, 1);
  });
  std::printf("%-8s %10.1f %10.1f\n", type.name, 16.0 * kK * kCols * kPanels / prefill / 1e9,
              static_cast<double>(panel_bytes) * kDecodePanels / decode / 1e9);
}

}  // namespace

int main(int argc, char** argv) {
  const slm::kernels::KernelTable& table =
      argc > 1 ? slm::kernels::FindTable(argv[1]) : slm::kernels::Kernels();
  const double peak = BestSeconds([&] { table.probe_int8(1'000'000); });
  std::printf(
      "%s, one thread; int8 peak %.0f GMAC/s\n%-8s %10s %10s\n", std::string(table.isa).c_str(),
      static_cast<double>(table.probe_int8(1)) * 1e6 / peak / 1e9, "type", "GMAC/s", "GB/s");
  for (const slm::quant::TypeTraits& type : slm::quant::AllTypes()) Measure(table, type);
}
