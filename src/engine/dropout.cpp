#include "engine/dropout.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/random.h"
#include "base/thread_pool.h"
#include "engine/layer_trace.h"
#include "kernels/activations.h"

namespace slm::engine {
namespace {

constexpr int64_t kPerDraw = 4;  // columns by 16 bits each
constexpr int64_t kBlock = 256;
constexpr double kSteps = 65536;

void Grow(std::vector<float>* values, int64_t n) {
  if (static_cast<int64_t>(values->size()) < n) values->resize(static_cast<size_t>(n));
}

}  // namespace

Dropout::Dropout(double share, Runtime* runtime)
    : threshold_(static_cast<uint32_t>(std::lround(share * kSteps))),
      scale_(static_cast<float>(kSteps / (kSteps - threshold_))),
      runtime_(runtime) {
  SLM_CHECK(share >= 0 && threshold_ < kSteps);
}

template <class F>
void Dropout::ForAll(const Rows& rows, const F& f) const {
  SLM_CHECK(rows.first + rows.count <= static_cast<int64_t>(seeds_.size()));
  const uint64_t tensor =
      static_cast<uint64_t>(rows.layer) * static_cast<uint64_t>(model::Slot::kCount) +
      static_cast<uint64_t>(rows.slot);
  const uint32_t threshold = threshold_;
  const float scale = scale_;
  runtime_->pool()->ParallelFor(rows.count, [&, threshold, scale](int64_t row, int) {
    const uint64_t seed = RandomBits(seeds_[static_cast<size_t>(rows.first + row)], tensor);
    uint16_t drawn[kBlock];
    for (int64_t first = 0; first < rows.k; first += kBlock) {
      const int64_t count = std::min(kBlock, rows.k - first);
      for (int64_t i = 0; i < count; i += kPerDraw) {
        const uint64_t bits = RandomBits(seed, static_cast<uint64_t>((first + i) / kPerDraw));
        for (int64_t j = 0; j < kPerDraw; ++j)
          drawn[i + j] = static_cast<uint16_t>(bits >> (16 * j));
      }
      for (int64_t i = 0; i < count; ++i) f(row, first + i, drawn[i] < threshold ? 0.0f : scale);
    }
  });
}

float* Dropout::Apply(const Rows& rows, const float* x) {
  Grow(&dropped_, rows.count * rows.k);
  float* dropped = dropped_.data();
  ForAll(rows, [k = rows.k, dropped, x](int64_t row, int64_t i, float factor) {
    dropped[row * k + i] = factor * x[row * k + i];
  });
  return dropped;
}

void Dropout::AddGradient(const Rows& rows, const float* d, int64_t stride, float* dx) const {
  ForAll(rows, [=](int64_t row, int64_t i, float factor) {
    dx[row * stride + i] += factor * d[row * stride + i];
  });
}

std::vector<ops::Product> Dropout::RunRest(const Rows& rows, const float* x,
                                           std::span<const ops::Matrix* const> matrices,
                                           ops::Precision precision) {
  SLM_CHECK(precision != ops::Precision::kServed);
  Grow(&rest_, rows.count * rows.k);
  float* rest = rest_.data();
  ForAll(rows, [k = rows.k, rest, x](int64_t row, int64_t i, float factor) {
    rest[row * k + i] = x[row * k + i] - factor * x[row * k + i];
  });
  ops::Input input = {rows.count, rows.k, {}, rest};
  input.precision = precision;
  input.forms.words = precision == ops::Precision::kWords && rows.k % kernels::kWordBlock == 0;
  if (input.forms.words) {
    const size_t bytes =
        static_cast<size_t>(rows.count) * kernels::ActRowBytes(kernels::ActFormat::kWords, rows.k);
    if (words_.size() < bytes) words_ = AlignedBuffer(bytes);
    input.words = words_.data();
    runtime_->backend()->Prepare(input);
  }
  int64_t size = 0;
  for (const ops::Matrix* matrix : matrices) size += rows.count * PadRow(matrix->rows());
  Grow(&products_, size);
  std::vector<ops::Product> products;
  float* out = products_.data();
  for (const ops::Matrix* matrix : matrices) {
    products.push_back({matrix, nullptr, out, PadRow(matrix->rows())});
    out += rows.count * PadRow(matrix->rows());
  }
  runtime_->backend()->MatMul(input, products);
  return products;
}

}  // namespace slm::engine
