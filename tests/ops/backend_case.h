// A CPU backend with its threads, and inputs of products with their memory.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/table.h"
#include "ops/backend.h"
#include "support/blocks.h"

namespace slm::ops {

struct BackendCase {
  BackendCase(const kernels::KernelTable& table, int threads)
      : pool(threads), backend(MakeCpuBackend(table, &pool)) {}

  ThreadPool pool;
  std::unique_ptr<Backend> backend;
};

// A weight as it lies in a file, and decoded.
struct Weight {
  PlainRows plain;
  std::vector<uint8_t> bytes;
  std::vector<float> decoded;  // [rows, k]

  Weight(quant::Type type, int64_t rows, int64_t k, std::mt19937& rng)
      : bytes(testing::RandomRows(type, rows, k, rng)), decoded(static_cast<size_t>(rows * k)) {
    plain = {.type = type, .data = bytes.data(), .rows = rows, .k = k};
    quant::Traits(type).decode(bytes.data(), decoded.data(), rows * k);
  }
  Weight(Weight&&) = default;
};

struct InputBuffer {
  Input input;
  std::vector<float> f32;
  std::vector<uint8_t> bf16, act32, act256, words;

  InputBuffer(int64_t rows, int64_t k, InputForms forms)
      : f32(static_cast<size_t>(rows * k)),
        bf16(Bytes(forms.bf16, kernels::ActFormat::kBf16, rows, k)),
        act32(Bytes(forms.act32, kernels::ActFormat::kAct32, rows, k)),
        act256(Bytes(forms.act256, kernels::ActFormat::kAct256, rows, k)),
        words(Bytes(forms.words, kernels::ActFormat::kWords, rows, k)) {
    input = {.rows = rows,
             .k = k,
             .forms = forms,
             .f32 = f32.data(),
             .bf16 = bf16.data(),
             .act32 = act32.data(),
             .act256 = act256.data(),
             .words = words.data()};
  }
  InputBuffer(const InputBuffer&) = delete;

 private:
  static size_t Bytes(bool is_wanted, kernels::ActFormat format, int64_t rows, int64_t k) {
    return is_wanted ? static_cast<size_t>(rows) * kernels::ActRowBytes(format, k) : 0;
  }
};

}  // namespace slm::ops
