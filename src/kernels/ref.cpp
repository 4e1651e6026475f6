// The float reference: weights decoded to f32, sums in double, libm. It shares no arithmetic with
// the other tables and bounds their error. Slow, and the only place to read what an operation
// means.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/error.h"
#include "base/half.h"
#include "kernels/tables.h"

namespace slm::kernels {
namespace {

double Dot(const float* a, const float* b, int64_t n) {
  double sum[8] = {};
  int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (int j = 0; j < 8; ++j)
      sum[j] += static_cast<double>(a[i + j]) * static_cast<double>(b[i + j]);
  for (; i < n; ++i) sum[0] += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

void MatMul(const MatMulArgs& args) {
  const quant::TypeTraits& traits = quant::Traits(args.type);
  const size_t row_bytes = static_cast<size_t>(args.k / traits.block_size) * traits.block_bytes;
  thread_local std::vector<float> row;
  row.resize(static_cast<size_t>(args.k));
  for (int r = 0; r < args.rows; ++r) {
    traits.decode(args.panel + static_cast<size_t>(r) * row_bytes, row.data(), args.k);
    for (int c = 0; c < args.cols; ++c) {
      const auto* x =
          reinterpret_cast<const float*>(args.act + static_cast<size_t>(c) * args.act_stride);
      float& out = args.out[c * args.out_stride + r];
      const double start = static_cast<double>(args.adds ? out : args.bias ? args.bias[r] : 0);
      out = static_cast<float>(start + Dot(row.data(), x, args.k));
    }
  }
}

void RmsNorm(const float* x, const float* w, int64_t n, float eps, float* out) {
  const double factor =
      1 / std::sqrt(Dot(x, x, n) / static_cast<double>(n) + static_cast<double>(eps));
  for (int64_t i = 0; i < n; ++i)
    out[i] = static_cast<float>(static_cast<double>(x[i]) * factor * static_cast<double>(w[i]));
}

void QuantizeAct32(const float*, int64_t, Act32*) { SLM_CHECK(false); }
void QuantizeAct256(const float*, int64_t, Act256*) { SLM_CHECK(false); }

void Add(const float* x, int64_t n, float* inout) {
  for (int64_t i = 0; i < n; ++i) inout[i] += x[i];
}

void Scale(float factor, int64_t n, float* inout) {
  for (int64_t i = 0; i < n; ++i) inout[i] *= factor;
}

void MultiplyAdd(const float* factor, const float* offset, int64_t n, float* inout) {
  for (int64_t i = 0; i < n; ++i) inout[i] = std::fma(inout[i], factor[i], offset[i]);
}

double Capped(double x, double cap) { return cap * std::tanh(x / cap); }

void Softcap(float cap, int64_t n, float* inout) {
  for (int64_t i = 0; i < n; ++i)
    inout[i] = static_cast<float>(Capped(static_cast<double>(inout[i]), static_cast<double>(cap)));
}

void SiluMul(const float* gate, const float* up, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) {
    const double g = static_cast<double>(gate[i]);
    out[i] = static_cast<float>(g / (1 + std::exp(-g)) * static_cast<double>(up[i]));
  }
}

void GeluMul(const float* gate, const float* up, int64_t n, float* out) {
  constexpr double kSqrt2OverPi = 0.79788456080286535588;
  for (int64_t i = 0; i < n; ++i) {
    const double g = static_cast<double>(gate[i]);
    const double value = 0.5 * g * (1 + std::tanh(kSqrt2OverPi * (g + 0.044715 * g * g * g)));
    out[i] = static_cast<float>(value * static_cast<double>(up[i]));
  }
}

void Rope(const float* cos, const float* sin, int64_t n, bool is_interleaved, float* inout) {
  for (int64_t i = 0; i < n / 2; ++i) {
    float& x = inout[is_interleaved ? 2 * i : i];
    float& y = inout[is_interleaved ? 2 * i + 1 : i + n / 2];
    const double a = static_cast<double>(x), b = static_cast<double>(y);
    const double c = static_cast<double>(cos[i]), s = static_cast<double>(sin[i]);
    x = static_cast<float>(a * c - b * s);
    y = static_cast<float>(a * s + b * c);
  }
}

// One element of a page: `at` among the elements, `block` among the scales.
float LoadKv(KvType type, const uint8_t* data, const uint8_t* scales, int64_t at, int64_t block) {
  switch (type) {
    case KvType::kF32: {
      float x;
      std::memcpy(&x, data + 4 * at, 4);
      return x;
    }
    case KvType::kF16: {
      uint16_t x;
      std::memcpy(&x, data + 2 * at, 2);
      return HalfToFloat(x);
    }
    case KvType::kQ8_0: {
      uint16_t scale;
      std::memcpy(&scale, scales + 2 * block, 2);
      return HalfToFloat(scale) * static_cast<float>(static_cast<int8_t>(data[at]));
    }
  }
  SLM_CHECK(false);
}

void Attention(const AttentionArgs& args) {
  const int64_t dim = args.head_dim;
  for (int h = 0; h < args.heads; ++h) {
    const float* q = args.q + h * args.q_stride;
    double score[kPagePositions];
    double max = -std::numeric_limits<double>::infinity(), sum = 0;
    for (int p = args.begin[h]; p < args.end[h]; ++p) {
      score[p] = 0;
      for (int64_t d = 0; d < dim; ++d) {
        const float k = LoadKv(args.page.k_type, args.page.k, args.page.k_scales,
                               d * kPagePositions + p, d / 32 * kPagePositions + p);
        score[p] += static_cast<double>(q[d]) * static_cast<double>(k);
      }
      if (args.softcap > 0) score[p] = Capped(score[p], static_cast<double>(args.softcap));
      max = std::max(max, score[p]);
    }
    std::vector<double> out(static_cast<size_t>(dim));
    for (int p = args.begin[h]; p < args.end[h]; ++p) {
      const double weight = std::exp(score[p] - max);
      sum += weight;
      for (int64_t d = 0; d < dim; ++d)
        out[static_cast<size_t>(d)] +=
            weight * static_cast<double>(LoadKv(args.page.v_type, args.page.v, args.page.v_scales,
                                                p * dim + d, d / 32 * kPagePositions + p));
    }
    for (int64_t d = 0; d < dim; ++d)
      args.out[h * args.out_stride + d] = static_cast<float>(out[static_cast<size_t>(d)]);
    args.max[h] = static_cast<float>(max);
    args.sum[h] = static_cast<float>(sum);
  }
}

void AttentionMerge(const AttentionParts& parts, int64_t head_dim, float* all_out, float* all_max,
                    float* all_sum) {
  for (int i = 0; i < parts.count; ++i) {
    const int64_t at = i * parts.stride;
    const float* out = parts.out + at * head_dim;
    const float max = parts.max[at], sum = parts.sum[at];
    if (sum < 0) continue;
    const float new_max = std::max(max, *all_max);
    const double old_factor =
        std::exp(static_cast<double>(*all_max) - static_cast<double>(new_max));
    const double factor = std::exp(static_cast<double>(max) - static_cast<double>(new_max));
    for (int64_t d = 0; d < head_dim; ++d)
      all_out[d] = static_cast<float>(static_cast<double>(all_out[d]) * old_factor +
                                      static_cast<double>(out[d]) * factor);
    *all_sum = static_cast<float>(static_cast<double>(*all_sum) * old_factor +
                                  static_cast<double>(sum) * factor);
    *all_max = new_max;
  }
}

}  // namespace

const KernelTable& RefTable() {
  static const KernelTable table = [] {
    KernelTable t = {};
    t.isa = "ref";
    for (const quant::TypeTraits& type : quant::AllTypes())
      t.matmul[static_cast<int>(type.type)] = {MatMul, ActFormat::kF32, false};
    t.rms_norm = RmsNorm;
    t.round_bf16 = ScalarTable().round_bf16;
    t.quantize_act32 = QuantizeAct32;
    t.quantize_act256 = QuantizeAct256;
    t.add = Add;
    t.scale = Scale;
    t.multiply_add = MultiplyAdd;
    t.softcap = Softcap;
    t.silu_mul = SiluMul;
    t.gelu_mul = GeluMul;
    t.rope = Rope;
    t.store_kv = ScalarTable().store_kv;  // rounding to the cache type is exact by definition
    t.attention = Attention;
    t.attention_merge = AttentionMerge;
    for (const quant::TypeTraits& type : quant::AllTypes())
      t.encode[static_cast<int>(type.type)] = type.encode_weighted;
    // Weights decode exactly; training by the reference takes the specification's derivatives.
    t.decode_panel = ScalarTable().decode_panel;
    t.words = ScalarTable().words;
    t.gradients = ScalarTable().gradients;
    t.probe_int8 = ScalarTable().probe_int8;
    t.probe_read = ScalarTable().probe_read;
    return t;
  }();
  return table;
}

}  // namespace slm::kernels
