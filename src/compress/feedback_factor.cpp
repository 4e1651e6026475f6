#include "compress/feedback_factor.h"

#include <algorithm>

#include "base/error.h"
#include "base/thread_pool.h"
#include "kernels/table.h"
#include "ops/matrix.h"

namespace slm::compress {
namespace {

constexpr int64_t kBlock = 128;

// A symmetric matrix of which the lower triangle holds H at first. The factor takes its place from
// the last block to the first; U^T grows below the diagonal, so that its rows are contiguous
// for what is subtracted from the rest.
class Factorizer {
 public:
  Factorizer(std::vector<float>* h, int64_t k, const kernels::KernelTable& kernels,
             ThreadPool* pool)
      : h_(*h), k_(k), kernels_(kernels), pool_(pool), d_(static_cast<size_t>(k)) {}

  std::vector<float> Run() {
    for (int64_t end = k_; end > 0;) {
      const int64_t begin = std::max<int64_t>(0, (end - 1) / kBlock * kBlock);
      FactorBlock(begin, end);
      if (begin > 0) {
        SolveRows(begin, end);
        SubtractFromRest(begin, end);
      }
      end = begin;
    }
    return std::move(d_);
  }

 private:
  float& At(int64_t i, int64_t j) { return h_[static_cast<size_t>(i * k_ + j)]; }

  // The diagonal block, in double: At(j, i) becomes U_ij for i < j.
  void FactorBlock(int64_t begin, int64_t end) {
    const int64_t n = end - begin;
    std::vector<double> a(static_cast<size_t>(n * n));
    const auto at = [&](int64_t i, int64_t j) -> double& {
      return a[static_cast<size_t>(i * n + j)];
    };
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j <= i; ++j) at(i, j) = static_cast<double>(At(begin + i, begin + j));
    for (int64_t j = n - 1; j >= 0; --j) {
      // Rounding can take what damping gave; a tiny pivot only means that nothing depends on it.
      const double pivot = std::max(at(j, j), 1e-6);
      d_[static_cast<size_t>(begin + j)] = static_cast<float>(pivot);
      for (int64_t i = 0; i < j; ++i) at(j, i) /= pivot;  // U_ij
      for (int64_t i = 0; i < j; ++i) {
        const double scaled = at(j, i) * pivot;
        for (int64_t l = 0; l <= i; ++l) at(i, l) -= scaled * at(j, l);
      }
    }
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < i; ++j) At(begin + i, begin + j) = static_cast<float>(at(i, j));
  }

  // Rows before the block: H_Ij = sum over m >= j of U_Im D_m U_jm (U_jj = 1), solved from the last
  // column of the block to its first. At(j, i) holds H_ij and becomes U_ij.
  void SolveRows(int64_t begin, int64_t end) {
    constexpr int64_t kTile = 64;
    pool_->ParallelFor((begin + kTile - 1) / kTile, [&](int64_t tile, int) {
      const int64_t first = tile * kTile, count = std::min(kTile, begin - first);
      for (int64_t j = end - 1; j >= begin; --j) {
        float* row = &At(j, first);
        for (int64_t m = j + 1; m < end; ++m) {
          const float factor = d_[static_cast<size_t>(m)] * At(m, j);
          const float* other = &At(m, first);
          for (int64_t i = 0; i < count; ++i) row[i] -= factor * other[i];
        }
        const float pivot = d_[static_cast<size_t>(j)];
        for (int64_t i = 0; i < count; ++i) row[i] /= pivot;
      }
    });
  }

  // H_il -= sum over j of U_ij D_j U_lj for l <= i < begin.
  void SubtractFromRest(int64_t begin, int64_t end) {
    const int64_t n = end - begin;
    std::vector<float> plain(static_cast<size_t>(begin * n)), scaled(plain.size());
    for (int64_t j = 0; j < n; ++j) {
      const float* row = &At(begin + j, 0);
      const float d = d_[static_cast<size_t>(begin + j)];
      for (int64_t i = 0; i < begin; ++i) {
        plain[static_cast<size_t>(i * n + j)] = row[i];
        scaled[static_cast<size_t>(i * n + j)] = row[i] * d;
      }
    }
    const ops::Matrix matrix(
        {quant::Type::kF32, reinterpret_cast<const uint8_t*>(plain.data()), begin, n}, kernels_,
        pool_);
    pool_->ParallelFor(matrix.panels(), [&](int64_t panel, int) {
      const int64_t first = panel * quant::kPanelRows;
      const int64_t width = std::min<int64_t>(quant::kPanelRows, begin - first);
      thread_local std::vector<float> products;
      products.resize(static_cast<size_t>((begin - first) * quant::kPanelRows));
      kernels::MatMulArgs args = {};
      matrix.SetPanels(panel, panel + 1, &args);
      args.act = reinterpret_cast<const uint8_t*>(scaled.data() + first * n);
      args.act_stride = static_cast<size_t>(n) * sizeof(float);
      args.cols = static_cast<int>(begin - first);
      args.out = products.data();
      args.out_stride = quant::kPanelRows;
      matrix.Run(args);
      for (int64_t i = first; i < begin; ++i) {
        const float* from = products.data() + (i - first) * quant::kPanelRows;
        for (int64_t l = 0; l < std::min(width, i - first + 1); ++l) At(i, first + l) -= from[l];
      }
    });
  }

  std::vector<float>& h_;
  int64_t k_;
  const kernels::KernelTable& kernels_;
  ThreadPool* pool_;
  std::vector<float> d_;
};

}  // namespace

FeedbackFactor MakeFeedbackFactor(Gram gram, float damping, const kernels::KernelTable& kernels,
                                  ThreadPool* pool) {
  SLM_CHECK(damping > 0);
  const int64_t k = gram.k();
  FeedbackFactor factor;
  factor.k = k;
  factor.ut = std::move(gram).TakeSums();
  double trace = 0;
  for (int64_t i = 0; i < k; ++i)
    trace += static_cast<double>(factor.ut[static_cast<size_t>(i * k + i)]);
  const double mean = trace / static_cast<double>(k);
  const auto scale = static_cast<float>(mean > 0 ? 1 / mean : 0);
  for (float& x : factor.ut) x *= scale;
  for (int64_t i = 0; i < k; ++i) factor.ut[static_cast<size_t>(i * k + i)] += damping;
  factor.d = Factorizer(&factor.ut, k, kernels, pool).Run();
  return factor;
}

}  // namespace slm::compress
