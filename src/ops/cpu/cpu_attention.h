// Attention over pages. Every page is computed by itself and pages are merged from left to right,
// so the bits do not depend on how the work is divided: by queries when there are many, by pages
// when there are few.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/table.h"
#include "ops/backend.h"

namespace slm::ops {

class CpuAttention {
 public:
  CpuAttention(const kernels::KernelTable& kernels, ThreadPool* pool);
  void Run(const AttentionOp& op);

 private:
  // Running or partial results of some query rows.
  struct Rows {
    std::vector<float> out, max, sum;
    void Resize(int64_t rows, int64_t head_dim);
    // Rows first, first + stride, ..
    kernels::AttentionParts Parts(int64_t first, int64_t stride, int64_t count,
                                  int64_t head_dim) const;
  };
  struct Scratch {
    std::vector<float> queries;  // ByQueries: of a chunk
    std::vector<int> begin, end;
    Rows page;
  };

  void ByQueries(const AttentionOp& op);
  void ByPages(const AttentionOp& op);
  // Query rows `q`, those of tokens t0..t0 + count for one KV head's group, over one page, which
  // they may see nothing of.
  void Page(const AttentionOp& op, const float* q, int64_t kv_head, int64_t t0, int64_t count,
            int64_t page, Scratch* scratch, Rows* to, int64_t to_row) const;

  const kernels::KernelTable& kernels_;
  ThreadPool* pool_;
  std::vector<Scratch> scratch_;  // per thread
  std::vector<float> queries_;    // ByPages: of all KV heads
  Rows partial_;                  // ByPages: of a wave of pages
};

}  // namespace slm::ops
