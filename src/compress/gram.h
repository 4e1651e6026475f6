// Sums of x x^T over the rows x that a weight matrix is multiplied with: what the squared error of
// its output depends on. |(w - q) x|^2 summed over rows is (w - q) H (w - q)^T.
#pragma once

#include <cstdint>
#include <vector>

namespace slm {
class ThreadPool;
}
namespace slm::kernels {
struct KernelTable;
}

namespace slm::compress {

class Gram {
 public:
  explicit Gram(int64_t k);

  int64_t k() const { return k_; }
  int64_t rows() const { return rows_; }

  // `x` is [rows, k].
  void Add(const float* x, int64_t rows, const kernels::KernelTable& kernels, ThreadPool* pool);

  // [k, k], of which the lower triangle is filled: the sums.
  const std::vector<float>& sums() const { return sums_; }
  std::vector<float> TakeSums() && { return std::move(sums_); }
  // Whether every input that was added was finite.
  bool IsFinite() const;
  // Of every column: the mean of its squares.
  std::vector<float> Means() const;

 private:
  int64_t k_;
  int64_t rows_ = 0;
  std::vector<float> sums_;
  std::vector<float> columns_;  // of one call, [k, rows]
};

}  // namespace slm::compress
