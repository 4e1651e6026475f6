// Kernels over one row of activations, which the first cache holds.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>

#include "base/aligned_buffer.h"
#include "kernel_cases/cases.h"
#include "ops/kv_layout.h"
#include "support/blocks.h"

namespace slm::bench {
namespace {

using kernels::KernelTable;

constexpr int64_t kN = 2048;      // elements of a row
constexpr int64_t kHeadDim = 64;  // of those that go by heads

// Operations of exp(x) in docs/arithmetic.md: clamp 2, n 2, r 2, Horner 7, times 2^n.
constexpr double kExp = 14;

class Row {
 public:
  Row() {
    std::mt19937 rng(3);
    const auto fill = [&](float* to, size_t n) {
      const std::vector<float> values = testing::RandomFloats(n, rng);
      std::copy(values.begin(), values.end(), to);
    };
    fill(x(), kN);
    fill(y(), kN);
    start_ = testing::RandomFloats(2 * kN, rng);
    const std::vector<float> angles = testing::RandomFloats(kHeadDim / 2, rng);
    for (size_t i = 0; i < angles.size(); ++i) {
      At(4)[i] = std::cos(angles[i]);
      At(5)[i] = std::sin(angles[i]);
    }
    Restart();
  }

  float* x() const { return At(0); }  // [kN], random
  float* y() const { return At(1); }
  float* out() const { return At(2); }        // [2 kN]
  const float* cos() const { return At(4); }  // of random angles, [kHeadDim / 2]
  const float* sin() const { return At(5); }

  // Makes `out` what it was at first.
  void Restart() { std::copy(start_.begin(), start_.end(), out()); }

 private:
  // On lines of their own, and not at a multiple of a page from each other.
  static constexpr size_t kBytes = kN * sizeof(float) + 5 * 64;
  float* At(size_t i) const { return reinterpret_cast<float*>(buffer_.data() + i * kBytes); }

  AlignedBuffer buffer_{6 * kBytes};
  std::vector<float> start_;
};

using Body = void (*)(const KernelTable& table, Row* row);

// `operations` on floats, and floats read and written, are of one element.
NamedCase RowCase(const std::string& name, double operations, double moved, Body body) {
  return {name + "/n:" + std::to_string(kN), [=](const KernelTable& table) {
            const auto row = std::make_shared<Row>();
            const auto once = [&](const KernelTable& which) {
              row->Restart();
              body(which, row.get());
              const auto* bytes = reinterpret_cast<const uint8_t*>(row->out());
              return std::vector<uint8_t>(bytes, bytes + 2 * kN * sizeof(float));
            };
            Case made;
            made.work[kF32] = operations * kN;
            made.work[kCache] = moved * sizeof(float) * kN;
            made.got = once(table);
            made.expected = once(*kernels::AvailableTables()[1]);
            made.run = [&table, row, body] { body(table, row.get()); };
            return made;
          }};
}

template <bool kIsInterleaved>
void Rope(const KernelTable& table, Row* row) {
  for (int64_t at = 0; at < kN; at += kHeadDim)
    table.rope(row->cos(), row->sin(), kHeadDim, kIsInterleaved, row->out() + at);
}

// Keys and values of one token, kN / 2 each.
NamedCase StoreCase(const char* type_name, kernels::KvType type) {
  return {std::string("store_kv/") + type_name + "/n:" + std::to_string(kN),
          [type](const KernelTable& table) {
            struct State {
              Row row;
              ops::KvLayout layout;
              AlignedBuffer page;
              int position = 0;
              void Run(const KernelTable& which) {
                for (int64_t h = 0; h < layout.kv_heads; ++h)
                  which.store_kv(row.x() + h * kHeadDim, row.y() + h * kHeadDim, kHeadDim, position,
                                 layout.Head(page.data(), h));
                position = (position + 1) % kernels::kPagePositions;
              }
            };
            const auto state = std::make_shared<State>();
            state->layout = {type, type, kN / 2 / kHeadDim, kHeadDim};
            state->page = AlignedBuffer(state->layout.page_bytes());
            const auto once = [&](const KernelTable& which) {
              std::memset(state->page.data(), 0, state->page.size());
              state->position = 5;
              state->Run(which);
              return std::vector<uint8_t>(state->page.data(),
                                          state->page.data() + state->page.size());
            };
            Case made;
            made.work[kCache] =
                kN * sizeof(float) + static_cast<double>(state->layout.page_bytes()) / 64;
            made.got = once(table);
            made.expected = once(*kernels::AvailableTables()[1]);
            made.run = [&table, state] { state->Run(table); };
            return made;
          }};
}

}  // namespace

std::vector<NamedCase> RowCases() {
  constexpr double kAct32 = sizeof(kernels::Act32) / 32.0 / sizeof(float);
  constexpr double kAct256 = sizeof(kernels::Act256) / 256.0 / sizeof(float);
  return {
      RowCase(
          "rms_norm", 3, 4,
          [](const KernelTable& t, Row* r) { t.rms_norm(r->x(), r->y(), kN, 1e-5f, r->out()); }),
      RowCase("round_bf16", 1, 1.5,
              [](const KernelTable& t, Row* r) {
                t.round_bf16(r->x(), kN, reinterpret_cast<uint16_t*>(r->out()));
              }),
      RowCase("quantize_act32", 6, 1 + kAct32,
              [](const KernelTable& t, Row* r) {
                t.quantize_act32(r->x(), kN, reinterpret_cast<kernels::Act32*>(r->out()));
              }),
      RowCase("quantize_act256", 6, 1 + kAct256,
              [](const KernelTable& t, Row* r) {
                t.quantize_act256(r->x(), kN, reinterpret_cast<kernels::Act256*>(r->out()));
              }),
      RowCase("add", 1, 3, [](const KernelTable& t, Row* r) { t.add(r->x(), kN, r->out()); }),
      RowCase("scale", 1, 2, [](const KernelTable& t, Row* r) { t.scale(-1.0f, kN, r->out()); }),
      RowCase("softcap", kExp + 5, 2,
              [](const KernelTable& t, Row* r) { t.softcap(30.0f, kN, r->out()); }),
      RowCase("silu_mul", kExp + 4, 3,
              [](const KernelTable& t, Row* r) { t.silu_mul(r->x(), r->y(), kN, r->out()); }),
      RowCase("gelu_mul", kExp + 8, 3,
              [](const KernelTable& t, Row* r) { t.gelu_mul(r->x(), r->y(), kN, r->out()); }),
      RowCase("rope/halves", 2, 2, Rope<false>),
      RowCase("rope/interleaved", 2, 2, Rope<true>),
      StoreCase("f32", kernels::KvType::kF32),
      StoreCase("f16", kernels::KvType::kF16),
      StoreCase("q8_0", kernels::KvType::kQ8_0),
  };
}

}  // namespace slm::bench
