// Kernels over one row of activations, which the first cache holds.
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

struct Row {
  std::vector<float> x, y;      // [kN], random
  std::vector<float> cos, sin;  // of random angles
  std::vector<float> out;       // [2 kN]: starts as `start`
  std::vector<float> start;

  Row() {
    std::mt19937 rng(3);
    x = testing::RandomFloats(kN, rng);
    y = testing::RandomFloats(kN, rng);
    out = start = testing::RandomFloats(2 * kN, rng);
    for (const float angle : testing::RandomFloats(kHeadDim / 2, rng)) {
      cos.push_back(std::cos(angle));
      sin.push_back(std::sin(angle));
    }
  }
};

using Body = void (*)(const KernelTable& table, Row* row);

// `operations` on floats, and floats read and written, are of one element.
NamedCase RowCase(const std::string& name, double operations, double moved, Body body) {
  return {name + "/n:" + std::to_string(kN), [=](const KernelTable& table) {
            const auto row = std::make_shared<Row>();
            const auto once = [&](const KernelTable& which) {
              row->out = row->start;
              body(which, row.get());
              const auto* bytes = reinterpret_cast<const uint8_t*>(row->out.data());
              return std::vector<uint8_t>(bytes, bytes + row->out.size() * sizeof(float));
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
    table.rope(row->cos.data(), row->sin.data(), kHeadDim, kIsInterleaved, row->out.data() + at);
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
                  which.store_kv(row.x.data() + h * kHeadDim, row.y.data() + h * kHeadDim, kHeadDim,
                                 position, layout.Head(page.data(), h));
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
      RowCase("rms_norm", 3, 4,
              [](const KernelTable& t, Row* r) {
                t.rms_norm(r->x.data(), r->y.data(), kN, 1e-5f, r->out.data());
              }),
      RowCase("quantize_act32", 6, 1 + kAct32,
              [](const KernelTable& t, Row* r) {
                t.quantize_act32(r->x.data(), kN, reinterpret_cast<kernels::Act32*>(r->out.data()));
              }),
      RowCase("quantize_act256", 6, 1 + kAct256,
              [](const KernelTable& t, Row* r) {
                t.quantize_act256(r->x.data(), kN,
                                  reinterpret_cast<kernels::Act256*>(r->out.data()));
              }),
      RowCase("add", 1, 3,
              [](const KernelTable& t, Row* r) { t.add(r->x.data(), kN, r->out.data()); }),
      RowCase("scale", 1, 2,
              [](const KernelTable& t, Row* r) { t.scale(-1.0f, kN, r->out.data()); }),
      RowCase("softcap", kExp + 5, 2,
              [](const KernelTable& t, Row* r) { t.softcap(30.0f, kN, r->out.data()); }),
      RowCase("silu_mul", kExp + 4, 3,
              [](const KernelTable& t, Row* r) {
                t.silu_mul(r->x.data(), r->y.data(), kN, r->out.data());
              }),
      RowCase("gelu_mul", kExp + 8, 3,
              [](const KernelTable& t, Row* r) {
                t.gelu_mul(r->x.data(), r->y.data(), kN, r->out.data());
              }),
      RowCase("rope/halves", 2, 2, Rope<false>),
      RowCase("rope/interleaved", 2, 2, Rope<true>),
      StoreCase("f32", kernels::KvType::kF32),
      StoreCase("f16", kernels::KvType::kF16),
      StoreCase("q8_0", kernels::KvType::kQ8_0),
  };
}

}  // namespace slm::bench
