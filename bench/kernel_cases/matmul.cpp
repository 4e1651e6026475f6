// Products of a matrix that no cache holds, panel after panel, as a layer's products read it.
#include <algorithm>
#include <cstring>
#include <memory>
#include <random>
#include <span>

#include "base/aligned_buffer.h"
#include "kernel_cases/cases.h"
#include "kernel_cases/peaks.h"
#include "quant/packed.h"
#include "support/activations.h"
#include "support/blocks.h"

namespace slm::bench {
namespace {

using kernels::ActFormat;
using kernels::KernelTable;
using kernels::MatMulKernel;
using quant::kPanelRows;

constexpr int64_t kK = 2048, kLongK = 8192;
constexpr int kColumns[] = {1, 2, 3, 4, 5, 7, 8, 16, 64, 512};
constexpr int kColumnsOfLong[] = {1, 512};
constexpr int kMostColumns = 512;
constexpr int64_t kDifferentPanels = 8;  // the others are copies of them

std::vector<uint8_t> RandomActivations(const KernelTable& table, ActFormat format, int64_t k) {
  std::mt19937 rng(2);
  const size_t stride = ActRowBytes(format, k);
  std::vector<uint8_t> act(stride * kMostColumns);
  for (int c = 0; c < kMostColumns; ++c) {
    const std::vector<float> x = testing::RandomFloats(k, rng);
    testing::PutActivations(table, format, x.data(), k, &act[static_cast<size_t>(c) * stride]);
  }
  return act;
}

// A matrix of one type and what it is multiplied with, for one table.
class Matrix {
 public:
  Matrix(const KernelTable& table, quant::Type type, int64_t k)
      : table_(table),
        type_(type),
        k_(k),
        panel_bytes_((quant::PanelBytes(type, k) + 63) / 64 * 64),
        panels_(static_cast<int64_t>(MemorySize() / panel_bytes_) / kDifferentPanels *
                kDifferentPanels),
        weights_(panel_bytes_ * static_cast<size_t>(panels_)),
        act_(RandomActivations(table, kernel().format, k)) {
    std::mt19937 rng(1);
    const std::vector<uint8_t> rows =
        testing::RandomRows(type, kPanelRows * kDifferentPanels, k, rng);
    const size_t row_bytes = rows.size() / (kPanelRows * kDifferentPanels);
    for (int64_t p = 0; p < panels_; ++p) {
      if (p < kDifferentPanels)
        quant::PackPanel(type, &rows[static_cast<size_t>(p * kPanelRows) * row_bytes], row_bytes,
                         kPanelRows, k, Panel(p));
      else
        std::memcpy(Panel(p), Panel(p % kDifferentPanels), panel_bytes_);
    }
    expected_ = Product(*kernels::AvailableTables()[1], kMostColumns);
  }

  quant::Type type() const { return type_; }
  int64_t k() const { return k_; }
  const MatMulKernel& kernel() const { return table_.matmul[static_cast<int>(type_)]; }
  size_t panel_bytes() const { return panel_bytes_; }
  int64_t panels() const { return panels_; }
  const std::vector<uint8_t>& expected() const { return expected_; }

  // The first panels that a call may have times the first columns, [cols, rows], as bytes.
  std::vector<uint8_t> Product(const KernelTable& table, int cols) {
    std::vector<float> out(static_cast<size_t>(cols) * static_cast<size_t>(out_stride()));
    const int at_once = table.matmul[static_cast<int>(type_)].max_panels;
    for (int p = 0; p < kernel().max_panels; p += at_once)
      Run(table, p, at_once, cols, out.data() + p * kPanelRows);
    const auto* bytes = reinterpret_cast<const uint8_t*>(out.data());
    return {bytes, bytes + out.size() * sizeof(float)};
  }

  int64_t out_stride() const { return kPanelRows * kernel().max_panels; }

  void Run(const KernelTable& table, int64_t panel, int at_once, int cols, float* out) const {
    table.matmul[static_cast<int>(type_)].run({.type = type_,
                                               .panel = Panel(panel),
                                               .rows = kPanelRows,
                                               .k = k_,
                                               .act = act_.data(),
                                               .act_stride = ActRowBytes(kernel().format, k_),
                                               .cols = cols,
                                               .bias = nullptr,
                                               .out = out,
                                               .out_stride = out_stride(),
                                               .panels = at_once,
                                               .panel_stride = panel_bytes_});
  }

 private:
  uint8_t* Panel(int64_t p) const {
    return weights_.data() + static_cast<size_t>(p) * panel_bytes_;
  }

  const KernelTable& table_;
  quant::Type type_;
  int64_t k_;
  size_t panel_bytes_;
  int64_t panels_;
  AlignedBuffer weights_;
  std::vector<uint8_t> act_, expected_;
};

Resource Multiplier(const KernelTable& table, quant::Type type) {
  if (quant::Traits(type).block_size > 1) return kInt8;
  return type == quant::Type::kBF16 && table.isa == "avx512_bf16" ? kBf16 : kF32;
}

Case MakeCase(const KernelTable& table, quant::Type type, int64_t k, int cols) {
  static std::shared_ptr<Matrix> matrix;  // the last one: its cases follow each other
  if (!matrix || matrix->type() != type || matrix->k() != k) {
    matrix = nullptr;
    matrix = std::make_shared<Matrix>(table, type, k);
  }
  const int at_once = matrix->kernel().max_panels;
  const double rows = kPanelRows * at_once;
  Case made;
  made.work[Multiplier(table, type)] = rows * static_cast<double>(k) * cols;
  made.work[kMemory] = static_cast<double>(matrix->panel_bytes()) * at_once;
  made.got = matrix->Product(table, cols);
  made.expected = matrix->expected();
  made.run = [&table, m = matrix, at_once, cols, next = int64_t{0},
              out =
                  std::vector<float>(static_cast<size_t>(matrix->out_stride() * cols))]() mutable {
    m->Run(table, next, at_once, cols, out.data());
    next += at_once;
    if (next >= m->panels()) next = 0;
  };
  return made;
}

}  // namespace

std::vector<NamedCase> MatMulCases() {
  std::vector<NamedCase> cases;
  for (const quant::TypeTraits& type : quant::AllTypes()) {
    const std::string name = std::string("matmul/") + type.name;
    const auto add = [&](const std::string& of_k, int64_t k, int cols) {
      cases.push_back({name + of_k + "/cols:" + std::to_string(cols),
                       [type = type.type, k, cols](const KernelTable& table) {
                         return MakeCase(table, type, k, cols);
                       }});
    };
    for (const int cols : kColumns) add("", kK, cols);
    for (const int cols : kColumnsOfLong) add("/k:" + std::to_string(kLongK), kLongK, cols);
  }
  return cases;
}

}  // namespace slm::bench
