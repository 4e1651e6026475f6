// The float kernels, written once over V16 and compiled per instruction set: the includer opens a
// target region and a namespace and includes a simd_*.h first. The order of every sum is part of
// the specification (docs/arithmetic.md).

// exp(x) for x clamped to [-87, 88], to 1 ulp: 2^n * exp(r), |r| <= ln(2) / 2, by the Taylor series
// to r^7 / 7!.
SLM_INLINE V16 Exp(V16 x) {
  x = Min(Max(x, Set(-87.0f)), Set(88.0f));
  const V16 n = Round(Mul(x, Set(1.44269504f)));
  V16 r = Fma(n, Set(-0x1.62e4p-1f), x);  // ln 2 in two parts: n times the first is exact
  r = Fma(n, Set(-0x1.7f7d1cp-20f), r);
  V16 p = Set(1.0f / 5040);
  p = Fma(p, r, Set(1.0f / 720));
  p = Fma(p, r, Set(1.0f / 120));
  p = Fma(p, r, Set(1.0f / 24));
  p = Fma(p, r, Set(1.0f / 6));
  p = Fma(p, r, Set(0.5f));
  p = Fma(p, r, Set(1.0f));
  p = Fma(p, r, Set(1.0f));
  return TimesPowerOf2(p, n);
}

static void RmsNorm(const float* x, const float* w, int64_t n, float eps, float* out) {
  V16 squares = Set(0.0f);
  for (int64_t i = 0; i < n; i += 16) {
    const V16 v = LoadN(x + i, n - i);
    squares = Fma(v, v, squares);
  }
  const float mean = ReduceAdd(squares) / static_cast<float>(n);
  const V16 factor = Set(1.0f / __builtin_sqrtf(mean + eps));
  for (int64_t i = 0; i < n; i += 16)
    StoreN(Mul(Mul(LoadN(x + i, n - i), factor), LoadN(w + i, n - i)), out + i, n - i);
}

// Rounds `count` blocks of 16, an even number, to int8 by one scale, which is returned; their pair
// sums go to `pairs`.
SLM_INLINE float QuantizeBlock(const float* x, int count, int8_t* q, int16_t (*pairs)[2]) {
  V16 largest = Set(0.0f);
  for (int i = 0; i < count; ++i) largest = Max(Abs(Load(x + 16 * i)), largest);
  float max = ReduceMax(largest);
  if (!(max > 1e-30f)) max = 0;  // 127 / max would overflow
  const V16 inverse = Set(max > 0 ? 127.0f / max : 0.0f);
  const auto scaled = [&](int i) {
    return Min(Max(Mul(Load(x + 16 * i), inverse), Set(-127.0f)), Set(127.0f));
  };
  for (int i = 0; i < count; i += 2) StoreInt8Sums(scaled(i), scaled(i + 1), q + 16 * i, pairs + i);
  return max / 127.0f;
}

// Sums follow in a second pass: in one, compilers take the pairs apart while they are in registers.
static void QuantizeAct32(const float* x, int64_t n, Act32* out) {
  for (int64_t b = 0; b < n / 32; ++b)
    out[b].d = QuantizeBlock(x + 32 * b, 2, out[b].q, out[b].pairs);
  for (int64_t b = 0; b < n / 32; ++b) {
    const auto& pairs = out[b].pairs;
    const int sum = pairs[0][0] + pairs[0][1] + pairs[1][0] + pairs[1][1];
    out[b].shift = -128 * sum;
    out[b].sum = out[b].d * static_cast<float>(sum);
  }
}

static void QuantizeAct256(const float* x, int64_t n, Act256* out) {
  for (int64_t b = 0; b < n / 256; ++b)
    out[b].d = QuantizeBlock(x + 256 * b, 16, out[b].q, out[b].pairs);
  for (int64_t b = 0; b < n / 256; ++b) {
    Act256& block = out[b];
    for (int s = 0; s < 16; ++s) {
      const int sum = block.pairs[s][0] + block.pairs[s][1];
      block.sum16[s] = static_cast<int16_t>(sum);
      block.shift16[s] = -128 * sum;
    }
    for (int s = 0; s < 8; ++s) {
      const int sum = block.sum16[2 * s] + block.sum16[2 * s + 1];
      block.sum32[s] = static_cast<int16_t>(sum);
      block.shift32[s] = -128 * sum;
    }
  }
}

static void RoundBf16(const float* x, int64_t n, uint16_t* out) {
  int64_t i = 0;
  for (; i + 16 <= n; i += 16)
    for (int lane = 0; lane < 16; ++lane) out[i + lane] = FloatToBfloat(x[i + lane]);
  for (; i < n; ++i) out[i] = FloatToBfloat(x[i]);
  if (n % 2) out[n] = 0;
}

static void AddTo(const float* x, int64_t n, float* inout) {
  for (int64_t i = 0; i < n; i += 16)
    StoreN(Add(LoadN(inout + i, n - i), LoadN(x + i, n - i)), inout + i, n - i);
}

static void Scale(float factor, int64_t n, float* inout) {
  for (int64_t i = 0; i < n; i += 16)
    StoreN(Mul(LoadN(inout + i, n - i), Set(factor)), inout + i, n - i);
}

static void MultiplyAdd(const float* factor, const float* offset, int64_t n, float* inout) {
  for (int64_t i = 0; i < n; i += 16)
    StoreN(Fma(LoadN(inout + i, n - i), LoadN(factor + i, n - i), LoadN(offset + i, n - i)),
           inout + i, n - i);
}

// tanh(y) = 1 - 2 / (exp(2 y) + 1), to 1e-7 absolute.
SLM_INLINE V16 Softcap(V16 x, float cap) {
  const V16 e = Exp(Mul(x, Set(2.0f / cap)));
  const V16 tanh = Sub(Set(1.0f), Div(Set(2.0f), Add(e, Set(1.0f))));
  return Mul(tanh, Set(cap));
}

static void SoftcapAll(float cap, int64_t n, float* inout) {
  for (int64_t i = 0; i < n; i += 16)
    StoreN(Softcap(LoadN(inout + i, n - i), cap), inout + i, n - i);
}

// x * sigmoid(y)
SLM_INLINE V16 TimesSigmoid(V16 x, V16 y) { return Div(x, Add(Set(1.0f), Exp(Sub(Set(0.0f), y)))); }

static void SiluMul(const float* gate, const float* up, int64_t n, float* out) {
  for (int64_t i = 0; i < n; i += 16) {
    const V16 g = LoadN(gate + i, n - i);
    StoreN(Mul(TimesSigmoid(g, g), LoadN(up + i, n - i)), out + i, n - i);
  }
}

// 0.5 g (1 + tanh(u)) = g * sigmoid(2 u), u = sqrt(2 / pi) (g + 0.044715 g^3)
static void GeluMul(const float* gate, const float* up, int64_t n, float* out) {
  for (int64_t i = 0; i < n; i += 16) {
    const V16 g = LoadN(gate + i, n - i);
    const V16 cubic = Fma(Mul(Mul(g, g), g), Set(0.044715f), g);
    const V16 value = TimesSigmoid(g, Mul(cubic, Set(1.59576912f)));
    StoreN(Mul(value, LoadN(up + i, n - i)), out + i, n - i);
  }
}

// The pairs (a, b), turned: a cos - b sin, b cos + a sin.
SLM_INLINE void Rotate(V16 cos, V16 sin, V16* a, V16* b) {
  const V16 x = *a, y = *b;
  *a = Fma(x, cos, Sub(Set(-0.0f), Mul(y, sin)));
  *b = Fma(x, sin, Mul(y, cos));
}

static void Rope(const float* cos, const float* sin, int64_t n, bool is_interleaved, float* inout) {
  const int64_t half = n / 2;
  for (int64_t i = 0; i < half; i += 16) {
    const int64_t left = half - i;
    float* low = is_interleaved ? inout + 2 * i : inout + i;
    float* high = is_interleaved ? low + 16 : low + half;
    const int64_t low_left = is_interleaved ? 2 * left : left;
    const int64_t high_left = is_interleaved ? 2 * left - 16 : left;
    V16 a = LoadN(low, low_left), b = LoadN(high, high_left);
    if (is_interleaved) SplitPairs(&a, &b);
    Rotate(LoadN(cos + i, left), LoadN(sin + i, left), &a, &b);
    if (is_interleaved) MergePairs(&a, &b);
    StoreN(a, low, low_left);
    StoreN(b, high, high_left);
  }
}

// --- KV cache
// ------------------------------------------------------------------------------------------------------

constexpr float kMaxHalf = 65504.0f;

// 32 values as int8 with a half scale, as Q8_0 has them.
SLM_INLINE uint16_t QuantizeKv(V16 a, V16 b, int8_t* q) {
  const float max = ReduceMax(Max(Abs(a), Abs(b))) / 127.0f;
  const float d = max < kMaxHalf ? max : kMaxHalf;
  const V16 inverse = Set(d > 1e-30f ? 1.0f / d : 0.0f);
  StoreInt8(Min(Max(Mul(a, inverse), Set(-127.0f)), Set(127.0f)), q);
  StoreInt8(Min(Max(Mul(b, inverse), Set(-127.0f)), Set(127.0f)), q + 16);
  return FloatToHalf(d);
}

// What is stored is finite: an infinity would be NaN in rows that must not see it.
SLM_INLINE V16 Saturate(V16 x, float most) { return Min(Max(x, Set(-most)), Set(most)); }

SLM_INLINE constexpr int64_t ElementBytes(KvType type) {
  return type == KvType::kF32 ? 4 : type == KvType::kF16 ? 2 : 1;
}

// Elements lie `stride` apart.
template <KvType kType>
static void StoreVector(const float* x, int64_t n, uint8_t* to, int64_t stride, uint8_t* scales) {
  constexpr size_t kBytes = static_cast<size_t>(ElementBytes(kType));
  for (int64_t d = 0; d < n; d += 32) {
    const int64_t count = n - d < 32 ? n - d : 32;
    const V16 low = LoadN(x + d, count), high = LoadN(x + d + 16, count - 16);
    uint8_t bytes[32 * kBytes];
    if constexpr (kType == KvType::kF32) {
      float values[32];
      Store(Saturate(low, __FLT_MAX__), values);
      Store(Saturate(high, __FLT_MAX__), values + 16);
      __builtin_memcpy(bytes, values, sizeof bytes);
    }
    if constexpr (kType == KvType::kF16) {
      StoreHalf(Saturate(low, kMaxHalf), bytes);
      StoreHalf(Saturate(high, kMaxHalf), bytes + 32);
    }
    if constexpr (kType == KvType::kQ8_0) {
      const uint16_t scale = QuantizeKv(low, high, reinterpret_cast<int8_t*>(bytes));
      __builtin_memcpy(scales + 2 * (d / 32 * kPagePositions), &scale, 2);
    }
    if (stride == 1 && count == 32) {
      __builtin_memcpy(to + static_cast<size_t>(d) * kBytes, bytes, sizeof bytes);
    } else {
      for (int64_t i = 0; i < count; ++i)
        __builtin_memcpy(to + static_cast<size_t>((d + i) * stride) * kBytes,
                         bytes + static_cast<size_t>(i) * kBytes, kBytes);
    }
  }
}

static void StoreVector(KvType type, const float* x, int64_t n, uint8_t* to, int64_t stride,
                        uint8_t* scales) {
  switch (type) {
    case KvType::kF32:
      return StoreVector<KvType::kF32>(x, n, to, stride, scales);
    case KvType::kF16:
      return StoreVector<KvType::kF16>(x, n, to, stride, scales);
    case KvType::kQ8_0:
      return StoreVector<KvType::kQ8_0>(x, n, to, stride, scales);
  }
}

static void StoreKv(const float* k, const float* v, int64_t head_dim, int position,
                    const KvPage& page) {
  StoreVector(page.k_type, k, head_dim, page.k + position * ElementBytes(page.k_type),
              kPagePositions, page.k_scales + 2 * position);
  StoreVector(page.v_type, v, head_dim, page.v + position * head_dim * ElementBytes(page.v_type), 1,
              page.v_scales + 2 * position);
}

// 16 elements of K at dimension d from position p, and of V at position p from dimension d; without
// the scales of kQ8_0.
template <KvType kType>
SLM_INLINE V16 LoadKv(const uint8_t* plane, int64_t at) {
  if constexpr (kType == KvType::kF32) return Load(reinterpret_cast<const float*>(plane) + at);
  if constexpr (kType == KvType::kF16) return LoadHalf(plane + 2 * at);
  if constexpr (kType == KvType::kQ8_0) return LoadInt8(plane + at);
}

// --- Attention over one page
// ---------------------------------------------------------------------------------------

// What kRows query rows see of a page: `begin` and `end` hold them all, `score` is [kRows][64].
template <int kRows>
struct Tile {
  const float* q[kRows];
  float score[kRows][kPagePositions];
  int begin, end;
};

// Keys and values are read K's before V's and the next head's after those: asking for what comes
// hides the way from memory, also where the hardware's own prefetching ends, at the borders of 4
// KiB. A plane that is read in one pass is read in order: a little ahead is enough. With several
// passes each asks for its part of the next plane, which the first cache need not hold, unless it
// is a small one of kQ8_0.
constexpr int kMostRows = kFloatTile;
constexpr int64_t kAhead = 4096;  // bytes

template <KvType kType>
SLM_INLINE void PrefetchAhead(const AttentionArgs& args, const uint8_t* p, int64_t bytes,
                              bool is_one_pass) {
  const int64_t plane = kPagePositions * args.head_dim * ElementBytes(kType);
  for (int64_t i = 0; i < bytes; i += 64) {
    if (is_one_pass)
      __builtin_prefetch(p + kAhead + i);
    else
      __builtin_prefetch(p + plane + i, 0, kType == KvType::kQ8_0 ? 3 : 2);
  }
}

// Scores of 16 kVectors positions from p on. Sums run over ascending d; with kQ8_0 within a block,
// whose scale takes them into the score.
template <KvType kType, int kRows, int kVectors>
SLM_INLINE void ScoreVectors(const AttentionArgs& args, int p, Tile<kRows>* tile) {
  const int64_t block = kType == KvType::kQ8_0 ? 32 : args.head_dim;
  for (int64_t begin = 0; begin < args.head_dim; begin += block) {
    const int64_t end = begin + block < args.head_dim ? begin + block : args.head_dim;
    V16 acc[kVectors][kRows];
    SLM_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      SLM_UNROLL
      for (int r = 0; r < kRows; ++r) acc[v][r] = Set(0.0f);
    }
    for (int64_t d = begin; d < end; ++d) {
      const int64_t at = d * kPagePositions + p;
      PrefetchAhead<kType>(args, args.page.k + at * ElementBytes(kType),
                           16 * kVectors * ElementBytes(kType), 16 * kVectors == kPagePositions);
      V16 k[kVectors];
      SLM_UNROLL
      for (int v = 0; v < kVectors; ++v) k[v] = LoadKv<kType>(args.page.k, at + 16 * v);
      SLM_UNROLL
      for (int r = 0; r < kRows; ++r) {
        const V16 q = Set(tile->q[r][d]);
        SLM_UNROLL
        for (int v = 0; v < kVectors; ++v) acc[v][r] = Fma(q, k[v], acc[v][r]);
      }
    }
    SLM_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      V16 scale;
      if constexpr (kType == KvType::kQ8_0)
        scale = LoadHalf(args.page.k_scales + 2 * (begin / 32 * kPagePositions + p + 16 * v));
      SLM_UNROLL
      for (int r = 0; r < kRows; ++r) {
        float* score = tile->score[r] + p + 16 * v;
        V16 sum = acc[v][r];
        if constexpr (kType == KvType::kQ8_0)
          sum = Fma(sum, scale, begin == 0 ? Set(0.0f) : Load(score));
        Store(end == args.head_dim && args.softcap > 0 ? Softcap(sum, args.softcap) : sum, score);
      }
    }
  }
}

// Vectors that are computed at once for kRows rows: whole blocks of kQ8_0, or one half.
constexpr int VectorsFor(int rows) {
  const int most = kAccumulators / rows;
  return most >= 4 ? 4 : most >= 2 ? 2 : 1;
}

// Scores of every position from the 16 that `begin` is in.
template <KvType kType, int kRows>
SLM_INLINE void ScoreRows(const AttentionArgs& args, Tile<kRows>* tile) {
  constexpr int kVectors = VectorsFor(kRows);
  const int end = (tile->end + 15) / 16 * 16;
  int p = tile->begin / 16 * 16;
  for (; p + 16 * kVectors <= end; p += 16 * kVectors)
    ScoreVectors<kType, kRows, kVectors>(args, p, tile);
  for (; p < end; p += 16) ScoreVectors<kType, kRows, 1>(args, p, tile);
}

// Scores become weights exp(s - max); those outside the row's own positions become zero.
SLM_INLINE void WeighRow(float* score, int begin, int end, int first, int last, float* max,
                         float* sum) {
  const float lowest = -__builtin_inff();
  const int tile0 = begin / 16 * 16;
  const auto seen = [&](V16 x, int p, float other) {
    return first <= p && p + 16 <= last ? x : Select(x, first - p, last - p, other);
  };
  V16 largest = Set(lowest);
  for (int p = tile0; p < end; p += 16) largest = Max(seen(Load(score + p), p, lowest), largest);
  *max = ReduceMax(largest);
  V16 total = Set(0.0f);
  for (int p = tile0; p < end; p += 16) {
    const V16 weight = Exp(Sub(Load(score + p), Set(*max)));
    const V16 inside = seen(weight, p, 0.0f);
    Store(inside, score + p);
    total = Add(total, inside);
  }
  *sum = ReduceAdd(total);
}

// With kQ8_0: the weights times the scales of a block of V.
template <int kRows>
SLM_INLINE void ScaleWeights(const uint8_t* scales, const Tile<kRows>& tile,
                             float (*out)[kPagePositions]) {
  for (int p = tile.begin / 16 * 16; p < tile.end; p += 16) {
    const V16 scale = LoadHalf(scales + 2 * p);
    SLM_UNROLL
    for (int r = 0; r < kRows; ++r) Store(Mul(Load(tile.score[r] + p), scale), out[r] + p);
  }
}

// Weighted sums of V, over ascending positions, for 16 kVectors dimensions from d on.
template <KvType kType, int kRows, int kVectors>
SLM_INLINE void OutputVectors(const AttentionArgs& args, int row0, int64_t d,
                              const Tile<kRows>& tile) {
  constexpr int kBlocks = (kVectors + 1) / 2;
  float scaled[kBlocks][kRows][kPagePositions];
  const float(*weights[kBlocks])[kPagePositions];
  SLM_UNROLL
  for (int b = 0; b < kBlocks; ++b) {
    weights[b] = kType == KvType::kQ8_0 ? scaled[b] : tile.score;
    if constexpr (kType == KvType::kQ8_0)
      ScaleWeights(args.page.v_scales + 2 * (d / 32 + b) * kPagePositions, tile, scaled[b]);
  }
  V16 acc[kVectors][kRows];
  SLM_UNROLL
  for (int v = 0; v < kVectors; ++v) {
    SLM_UNROLL
    for (int r = 0; r < kRows; ++r) acc[v][r] = Set(0.0f);
  }
  for (int p = tile.begin; p < tile.end; ++p) {
    const int64_t at = p * args.head_dim + d;
    PrefetchAhead<kType>(args, args.page.v + at * ElementBytes(kType),
                         16 * kVectors * ElementBytes(kType), 16 * kVectors >= args.head_dim);
    V16 x[kVectors];
    SLM_UNROLL
    for (int v = 0; v < kVectors; ++v) x[v] = LoadKv<kType>(args.page.v, at + 16 * v);
    SLM_UNROLL
    for (int r = 0; r < kRows; ++r) {
      SLM_UNROLL
      for (int v = 0; v < kVectors; ++v)
        acc[v][r] = Fma(Set(weights[v / 2][r][p]), x[v], acc[v][r]);
    }
  }
  SLM_UNROLL
  for (int v = 0; v < kVectors; ++v) {
    const int64_t at = d + 16 * v;
    SLM_UNROLL
    for (int r = 0; r < kRows; ++r)
      // -0 becomes 0: positions of weight 0 would make it so, and which there are is not specified.
      StoreN(Add(acc[v][r], Set(0.0f)), args.out + (row0 + r) * args.out_stride + at,
             args.head_dim - at);
  }
}

template <KvType kType, int kRows>
SLM_INLINE void OutputRows(const AttentionArgs& args, int row0, const Tile<kRows>& tile) {
  constexpr int kVectors = VectorsFor(kRows);
  int64_t d = 0;
  for (; d + 16 * kVectors <= args.head_dim; d += 16 * kVectors)
    OutputVectors<kType, kRows, kVectors>(args, row0, d, tile);
  for (; d < args.head_dim; d += 16) OutputVectors<kType, kRows, 1>(args, row0, d, tile);
}

// kRows query rows share every load of K and V.
template <int kRows>
static void AttentionRows(const AttentionArgs& args, int row0) {
  Tile<kRows> tile;
  tile.begin = kPagePositions, tile.end = 0;
  for (int r = 0; r < kRows; ++r) {
    const int first = args.begin[row0 + r], last = args.end[row0 + r];
    tile.q[r] = args.q + (row0 + r) * args.q_stride;
    tile.begin = tile.begin < first ? tile.begin : first;
    tile.end = tile.end > last ? tile.end : last;
  }
  switch (args.page.k_type) {
    case KvType::kF32:
      ScoreRows<KvType::kF32>(args, &tile);
      break;
    case KvType::kF16:
      ScoreRows<KvType::kF16>(args, &tile);
      break;
    case KvType::kQ8_0:
      ScoreRows<KvType::kQ8_0>(args, &tile);
      break;
  }
  for (int r = 0; r < kRows; ++r)
    WeighRow(tile.score[r], tile.begin, tile.end, args.begin[row0 + r], args.end[row0 + r],
             args.max + row0 + r, args.sum + row0 + r);
  switch (args.page.v_type) {
    case KvType::kF32:
      return OutputRows<KvType::kF32>(args, row0, tile);
    case KvType::kF16:
      return OutputRows<KvType::kF16>(args, row0, tile);
    case KvType::kQ8_0:
      return OutputRows<KvType::kQ8_0>(args, row0, tile);
  }
}

// `rows` rows, which are at most kRows.
template <int kRows>
SLM_INLINE void AttentionTile(const AttentionArgs& args, int row, int rows) {
  if constexpr (kRows > 1)
    if (rows < kRows) return AttentionTile<kRows - 1>(args, row, rows);
  AttentionRows<kRows>(args, row);
}

static void Attention(const AttentionArgs& args) {
  // As few tiles as can be, of about the same number of rows: small ones wait for their sums.
  for (int row = 0, tiles = (args.heads + kMostRows - 1) / kMostRows; tiles > 0; --tiles) {
    const int rows = (args.heads - row + tiles - 1) / tiles;
    AttentionTile<kMostRows>(args, row, rows);
    row += rows;
  }
}

static void AttentionMerge(const AttentionParts& parts, int64_t head_dim, float* all_out,
                           float* all_max, float* all_sum) {
  for (int next = 0; next < parts.count;) {
    // As many as have their two factors in one vector.
    const float* page[8];
    float sum[8], factors[16] = {};
    float *const old_factor = factors, *const factor = factors + 8;
    int count = 0;
    for (; next < parts.count && count < 8; ++next) {
      const int64_t at = next * parts.stride;
      if (parts.sum[at] < 0) continue;
      const float new_max = parts.max[at] > *all_max ? parts.max[at] : *all_max;
      page[count] = parts.out + at * head_dim;
      sum[count] = parts.sum[at];
      old_factor[count] = *all_max - new_max;
      factor[count++] = parts.max[at] - new_max;
      *all_max = new_max;
    }
    Store(Exp(Load(factors)), factors);
    for (int i = 0; i < count; ++i)
      *all_sum = __builtin_fmaf(sum[i], factor[i], *all_sum * old_factor[i]);
    for (int64_t d = 0; d < head_dim; d += 16) {
      V16 all = LoadN(all_out + d, head_dim - d);
      for (int i = 0; i < count; ++i)
        all = Fma(LoadN(page[i] + d, head_dim - d), Set(factor[i]), Mul(all, Set(old_factor[i])));
      StoreN(all, all_out + d, head_dim - d);
    }
  }
}

// --- Products with float weights
// -----------------------------------------------------------------------------------

// What is read of a row at once: a pair of bfloat16, or one element.
template <quant::Type kType>
constexpr int kStep = kType == quant::Type::kBF16 ? 2 : 1;
template <quant::Type kType>
constexpr int64_t kStepBytes = kType == quant::Type::kF16 ? 32 : 64;  // of 16 rows

template <quant::Type kType>
SLM_INLINE void LoadStep(const uint8_t* p, V16* w) {
  if constexpr (kType == quant::Type::kF32) w[0] = Load(reinterpret_cast<const float*>(p));
  if constexpr (kType == quant::Type::kF16) w[0] = LoadHalf(p);
  if constexpr (kType == quant::Type::kBF16) LoadBfloatPairs(p, w, w + 1);
}

template <quant::Type kType>
SLM_INLINE V16 AddStep(const V16* w, const float* x, V16 acc) {
  if constexpr (kType == quant::Type::kBF16) acc = Fma(w[1], Set(x[1]), acc);
  return Fma(w[0], Set(x[0]), acc);
}

// How far ahead of its place in each panel one column asks for weights, where it reads several: it
// waits for memory and for its sums, one after the other. What follows a panel's end is behind the
// panels beside it.
constexpr int64_t kBytesAhead = 768;

// Steps [first, first + count) of kPanels panels from p on times kCols columns from c0, whose
// activations there are x[c]. Unless `first` is 0, or where the call adds, sums so far are in the
// output.
template <quant::Type kType, int kPanels, int kCols>
SLM_INLINE void FloatPanels(const MatMulArgs& args, int p, int64_t first, int64_t count, int c0,
                            const float* const* x) {
  constexpr int64_t kBytes = kStepBytes<kType>;
  float* out = args.out + c0 * args.out_stride + 16 * p;
  const uint8_t* panels[kPanels];
  const bool starts = first == 0 && !args.adds;
  V16 acc[kPanels][kCols];
  SLM_UNROLL
  for (int q = 0; q < kPanels; ++q) {
    panels[q] = args.panel + static_cast<size_t>(p + q) * args.panel_stride + kBytes * first;
    const V16 bias = args.bias ? Load(args.bias + 16 * (p + q)) : Set(0.0f);
    SLM_UNROLL
    for (int c = 0; c < kCols; ++c)
      acc[q][c] = starts ? bias : Load(out + c * args.out_stride + 16 * q);
  }
  const int64_t last = (args.k + kStep<kType> - 1) / kStep<kType> - kBytesAhead / kBytes - first;
  for (int64_t i = 0; i < count; ++i) {
    const size_t beside = i < last ? 0 : (kPanels - 1) * args.panel_stride;
    SLM_UNROLL
    for (int q = 0; q < kPanels; ++q) {
      V16 w[kStep<kType>];
      LoadStep<kType>(panels[q] + kBytes * i, w);
      if (kPanels > 1) __builtin_prefetch(panels[q] + kBytes * i + kBytesAhead + beside, 0, 0);
      SLM_UNROLL
      for (int c = 0; c < kCols; ++c)
        acc[q][c] = AddStep<kType>(w, x[c] + kStep<kType> * i, acc[q][c]);
    }
  }
  SLM_UNROLL
  for (int q = 0; q < kPanels; ++q) {
    SLM_UNROLL
    for (int c = 0; c < kCols; ++c) Store(acc[q][c], out + c * args.out_stride + 16 * q);
  }
}

constexpr int kFloatPanels = 4;          // of a call
constexpr int64_t kBfloatStretch = 256;  // pairs of a row that are floats at once

SLM_INLINE void ExpandBfloats(const uint8_t* from, int64_t n, float* to) {
  for (int64_t i = 0; i < n; ++i) {
    uint16_t bits;
    __builtin_memcpy(&bits, from + 2 * i, 2);
    to[i] = BfloatToFloat(bits);
  }
}

// The same of `panels` panels and rows of activations as they are.
template <quant::Type kType, int kCols>
SLM_INLINE void FloatColumns(const MatMulArgs& args, int p, int panels, int64_t first,
                             int64_t count, int c0) {
  constexpr bool kIsBfloat = kType == quant::Type::kBF16;
  float expanded[kCols][kIsBfloat ? 2 * kBfloatStretch : 1];
  const float* x[kCols];
  for (int c = 0; c < kCols; ++c) {
    const uint8_t* row = args.act + static_cast<size_t>(c0 + c) * args.act_stride;
    x[c] = reinterpret_cast<const float*>(row);
    if constexpr (kIsBfloat) {
      ExpandBfloats(row + 4 * first, 2 * count, expanded[c]);
      x[c] = expanded[c];
    }
  }
  const int end = p + panels;
  if constexpr (kCols == 1 && kSideBySide > 1)
    for (; p + kSideBySide <= end; p += kSideBySide)
      FloatPanels<kType, kSideBySide, kCols>(args, p, first, count, c0, x);
  for (; p < end; ++p) FloatPanels<kType, 1, kCols>(args, p, first, count, c0, x);
}

// A function of its own: what computes may not be moved to before the environment is set.
template <quant::Type kType>
__attribute__((noinline)) static void FloatProducts(const MatMulArgs& args) {
  constexpr bool kIsBfloat = kType == quant::Type::kBF16;
  constexpr int kTile = kIsBfloat ? kBfloatTile : kFloatTile;
  const int64_t steps = (args.k + kStep<kType> - 1) / kStep<kType>;
  // What all columns pass over stays near: one panel, or a stretch of all.
  const int64_t stretch = kIsBfloat ? kBfloatStretch : steps;
  const int panels = kIsBfloat || args.cols == 1 ? args.panels : 1;
  for (int p = 0; p < args.panels; p += panels)
    for (int64_t first = 0; first < steps; first += stretch) {
      const int64_t count = steps - first < stretch ? steps - first : stretch;
      ForTiles<kTile, 4, 2, 1>(args.cols, [&](auto cols, int c) {
        FloatColumns<kType, cols.value>(args, p, panels, first, count, c);
      });
    }
}

static void MatMulBfloat(const MatMulArgs& args) {
  const FlushToZero flush;
  FloatProducts<quant::Type::kBF16>(args);
}

#include "kernels/gradients_inl.h"
//
#include "kernels/panel_inl.h"

static void InstallFloat(KernelTable* table) {
  using quant::Type;
  InstallGradients(&table->gradients);
  table->decode_panel = DecodePanel;
  table->words = {EncodePanel, RoundWords, MatMulWords, kWordBlockBytes};
  table->layout = quant::kPanelLayout;
  const auto install = [&](Type type, void (*run)(const MatMulArgs&)) {
    table->matmul[static_cast<int>(type)] = {run, ActFormat::kF32, true, kFloatPanels};
  };
  for (const quant::TypeTraits& type : quant::AllTypes())
    table->encode[static_cast<int>(type.type)] = type.encode_weighted;
  install(Type::kF32, FloatProducts<Type::kF32>);
  install(Type::kF16, FloatProducts<Type::kF16>);
  table->matmul[static_cast<int>(Type::kBF16)] = {MatMulBfloat, ActFormat::kBf16, true,
                                                  kFloatPanels};
  table->round_bf16 = RoundBf16;
  table->rms_norm = RmsNorm;
  table->quantize_act32 = QuantizeAct32;
  table->quantize_act256 = QuantizeAct256;
  table->add = AddTo;
  table->scale = Scale;
  table->multiply_add = MultiplyAdd;
  table->softcap = SoftcapAll;
  table->silu_mul = SiluMul;
  table->gelu_mul = GeluMul;
  table->rope = Rope;
  table->store_kv = StoreKv;
  table->attention = Attention;
  table->attention_merge = AttentionMerge;
}
