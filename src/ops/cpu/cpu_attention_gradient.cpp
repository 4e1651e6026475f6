#include "ops/cpu/cpu_attention_gradient.h"

#include <algorithm>

namespace slm::ops {
namespace {

constexpr int64_t kQueries = 64;  // of a tile

}  // namespace

void CpuAttentionGradient::Run(const AttentionGradient& op, int64_t kv_head) {
  const int64_t group = op.heads / op.kv_heads, dim = op.head_dim, at = kv_head * dim;
  keys_.FillTransposed(op.k + at, op.stride, dim, op.rows);
  values_.FillTransposed(op.v + at, op.stride, dim, op.rows);
  key_rows_.Fill(op.k + at, op.stride, op.rows, dim);
  for (int64_t t = 0; t < op.rows; ++t) {
    std::fill_n(op.dk + t * op.stride + at, dim, 0.0f);
    std::fill_n(op.dv + t * op.stride + at, dim, 0.0f);
  }
  for (int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head)
    for (int64_t first = 0; first < op.rows; first += kQueries) {
      const int64_t count = std::min(kQueries, op.rows - first);
      // From the start of a panel on.
      const int64_t seen = op.window > 0 ? std::max<int64_t>(0, first - op.window + 1) : 0;
      const int64_t begin = seen / quant::kPanelRows * quant::kPanelRows;
      RunTile(op, head, kv_head, {first, count, begin, first + count});
    }
}

uint64_t CpuAttentionGradient::BytesFor(const AttentionGradient& op) {
  const int64_t positions = op.window > 0 ? std::min(op.rows, op.window + kQueries) : op.rows;
  const int64_t tiles = (op.softcap > 0 ? 4 : 3) * std::min(kQueries, op.rows) * positions;
  return static_cast<uint64_t>(tiles + 3 * op.rows * op.head_dim) * sizeof(float);
}

// With s = q k^T, p = softmax(s), o = p v: dv = p^T do, dp = do v^T, ds = p (dp - sum p dp),
// dq = ds k, dk = ds^T q (Dao et al., "FlashAttention", arXiv 2205.14135, appendix B).
void CpuAttentionGradient::RunTile(const AttentionGradient& op, int64_t head, int64_t kv_head,
                                   const Tile& tile) {
  const int64_t dim = op.head_dim, n = tile.positions(), begin = tile.begin;
  const auto size = static_cast<size_t>(tile.count * n);
  weights_.resize(std::max(weights_.size(), size));
  slopes_.resize(weights_.size());
  transposed_.resize(weights_.size());
  const float* q = op.q + tile.first * op.stride + head * dim;
  const float* dout = op.dout + tile.first * op.dout_stride + head * dim;
  FloatProduct scores = {.a = q, .a_stride = op.stride, .m = tile.count, .n = n, .k = dim};
  scores.first_panel = begin / quant::kPanelRows;
  scores.c = weights_.data();
  scores.c_stride = n;
  multiplier_.Run(keys_, scores);
  scores.a = dout;
  scores.a_stride = op.dout_stride;
  scores.c = slopes_.data();
  multiplier_.Run(values_, scores);
  if (op.softcap > 0) {
    kernels_.softcap(op.softcap, static_cast<int64_t>(size), weights_.data());
    scores_.assign(weights_.begin(), weights_.begin() + static_cast<std::ptrdiff_t>(size));
  }
  for (int64_t r = 0; r < tile.count; ++r) {
    // What the query sees, among the tile's positions.
    const int64_t position = tile.first + r;
    const int64_t first =
        op.window > 0 ? std::max<int64_t>(0, position - op.window + 1 - begin) : 0;
    const int64_t last = position + 1 - begin;
    float* p = &weights_[static_cast<size_t>(r * n)];
    float* ds = &slopes_[static_cast<size_t>(r * n)];
    kernels_.gradients.softmax(last - first, p + first);
    kernels_.gradients.softmax_backward(p + first, last - first, ds + first);
    if (op.softcap > 0)
      kernels_.gradients.softcap(&scores_[static_cast<size_t>(r * n + first)], op.softcap,
                                 last - first, ds + first);
    for (float* row : {p, ds}) {
      std::fill(row, row + first, 0.0f);
      std::fill(row + last, row + n, 0.0f);
    }
  }
  FloatProduct dq = {.a = slopes_.data(), .a_stride = n, .m = tile.count, .n = dim};
  dq.first_k = begin;
  dq.k = n;
  dq.c = op.dq + tile.first * op.stride + head * dim;
  dq.c_stride = op.stride;
  multiplier_.Run(key_rows_, dq);
  FloatProduct of_keys = {.a = transposed_.data(), .a_stride = tile.count, .m = n, .n = dim};
  of_keys.k = tile.count;
  of_keys.adds = true;
  of_keys.c = op.dk + begin * op.stride + kv_head * dim;
  of_keys.c_stride = op.stride;
  queries_.Fill(q, op.stride, tile.count, dim);
  Transpose(slopes_.data(), n, tile.count, n, transposed_.data(), tile.count);
  multiplier_.Run(queries_, of_keys);
  of_keys.c = op.dv + begin * op.stride + kv_head * dim;
  queries_.Fill(dout, op.dout_stride, tile.count, dim);
  Transpose(weights_.data(), n, tile.count, n, transposed_.data(), tile.count);
  multiplier_.Run(queries_, of_keys);
}

}  // namespace slm::ops
