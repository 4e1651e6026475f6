// Packed panels (quant/packed.h) to floats and back, written once over V16; included behind
// float_inl.h.

// The codes of 16 rows for element i of group g of a unit: a lane a row.
template <int kBits>
SLM_INLINE V16 LoadCodes(const uint8_t* unit, int g, int i) {
  constexpr int kLow = kBits == 8 ? 8 : kBits >= 4 ? 4 : 2;  // bits of a code in the first planes
  constexpr int kHigh = kBits == 8 ? 0 : kBits - kLow;       // in the planes behind those
  constexpr int kGroups = 8 / kLow;                          // that share one of the first planes
  // Of four bits plane p has groups p and 4 + p; of two bits it has 4 p .. 4 p + 3.
  const int plane = kLow == 4 ? g % 4 : g / kGroups;
  const int shift = 8 * i + (kLow == 8 ? 0 : kLow == 4 ? 4 * (g / 4) : 2 * (g % 4));
  V16 code = LoadBits<kLow, kBits == 8>(unit + 64 * plane, shift);
  if constexpr (kHigh > 0) {
    const int high_plane = 8 / kGroups + (kHigh == 2 ? g / 4 : 0);
    const int high_shift = 8 * i + (kHigh == 2 ? 2 * (g % 4) : g);
    const V16 high = LoadBits<kHigh, false>(unit + 64 * high_plane, high_shift);
    code = Fma(high, Set(static_cast<float>(1 << kLow)), code);
  }
  return code;
}

// What a block of 16 rows means, by the formulas of quant/blocks.h: [elements][16].
template <quant::Type kType>
static void DecodeBlock(const uint8_t* block, float* out) {
  constexpr quant::Grid kGrid = quant::GridOf(kType);
  float table[16];
  if (kGrid.is_table)
    for (int c = 0; c < 16; ++c) table[c] = quant::kIq4NlValues[c];
  const V16 d = LoadHalf(block + kGrid.d());
  const V16 m = kGrid.has_min ? LoadHalf(block + kGrid.m()) : Set(0.0f);
  for (int e = 0; e < kGrid.block; e += kGrid.sub_block) {
    V16 scale = d, min = m;
    if constexpr (kGrid.has_scales()) {
      const size_t sub = static_cast<size_t>(e / kGrid.sub_block);
      scale = Mul(d, LoadInt8(block + kGrid.scales() + 16 * sub));
      // Mins are below 64.
      if constexpr (kGrid.has_min) min = Mul(m, LoadInt8(block + kGrid.mins() + 16 * sub));
    }
    for (int i = e; i < e + kGrid.sub_block; ++i) {
      const uint8_t* unit = block + static_cast<size_t>(i / quant::kUnit) * kGrid.unit_bytes();
      V16 code = LoadCodes<kGrid.bits>(unit, i % quant::kUnit / 4, i % 4);
      code = kGrid.is_table ? Lookup(table, code) : Sub(code, Set(static_cast<float>(kGrid.zero)));
      V16 w = Mul(scale, code);
      if constexpr (kGrid.has_min) w = kGrid.has_scales() ? Sub(w, min) : Add(w, min);
      Store(w, out + 16 * i);
    }
  }
}

// Elements of NF4, from block first / 64 on.
static void DecodeNf4(const uint8_t* panel, int64_t first, int64_t count, float* out) {
  const auto* values = reinterpret_cast<const float*>(&quant::kNf4Values);
  const auto* map = reinterpret_cast<const float*>(&quant::DynamicMap());
  quant::Nf4PanelHead head;
  __builtin_memcpy(&head, panel, sizeof head);
  const V16 offset = Load(reinterpret_cast<const float*>(panel + quant::Nf4Panel::kOffsets));
  for (int64_t b = first / 64; b < (first + count) / 64; ++b) {
    float absmax[16];
    for (int r = 0; r < 16; ++r) absmax[r] = map[panel[head.absmax + 16 * b + r]];
    const V16 scale = Load(reinterpret_cast<const float*>(panel + quant::Nf4Panel::kScales) +
                           16 * (b / head.stretch));
    const V16 largest = Add(Mul(Load(absmax), scale), offset);
    for (int i = 0; i < 64; ++i, out += 16) {
      const uint8_t* unit = panel + head.codes + 512 * b + 256 * (i / 32);
      Store(Mul(Lookup(values, LoadCodes<4>(unit, i % 32 / 4, i % 4)), largest), out);
    }
  }
}

static void DecodePanel(quant::Type type, const uint8_t* panel, int64_t first, int64_t count,
                        float* out) {
  using quant::Type;
  switch (type) {
    case Type::kF32:
      __builtin_memcpy(out, panel + 64 * first, static_cast<size_t>(64 * count));
      return;
    case Type::kF16:
      for (int64_t k = 0; k < count; ++k) Store(LoadHalf(panel + 32 * (first + k)), out + 16 * k);
      return;
    case Type::kBF16:
      for (int64_t k = first; k < first + count; ++k) {
        V16 pair[2];
        LoadBfloatPairs(panel + 64 * (k / 2), pair, pair + 1);
        Store(pair[k % 2], out + 16 * (k - first));
      }
      return;
    case Type::kNF4:
      return DecodeNf4(panel, first, count, out);
    default:
      break;
  }
  quant::ForQuantizedTypes([&](auto constant) {
    constexpr Type kType = constant.value;
    constexpr quant::Grid kGrid = quant::GridOf(kType);
    if (type != kType) return;
    const uint8_t* block = panel + static_cast<size_t>(first / kGrid.block) * kGrid.block_bytes();
    for (int64_t k = 0; k < count; k += kGrid.block, block += kGrid.block_bytes())
      DecodeBlock<kType>(block, out + 16 * k);
  });
}

// --- Products in words
// ------------------------------------------------------------------------------------------------
// Both sides are integers of 16 bits, with a scale that up to kWordGroup elements of a row share:
// 11 bits of weights, 14 of activations, so that the products of a group add up in 32 bits. Between
// floats and 8-bit integers in speed, and near floats in their error.

constexpr float kWeightWord = 1023.0f, kActWord = 8191.0f;
static_assert(kWordGroup * 1023 * 8191 <= INT32_MAX);
constexpr int64_t kGroupBlocks = kWordGroup / kWordBlock;
constexpr int64_t kWordCodes = 16 * 2 * kWordBlock;       // bytes: pairs of 16 rows
constexpr int64_t kWordBlockBytes = kWordCodes + 16 * 4;  // then scales
// Groups of a panel that columns pass over at a time, and columns that all panels do: those stay in
// the first cache, these in the second.
constexpr int64_t kWordStretch = 3;
constexpr int kWordCols = 120;

// `x`, times the inverse of the scale, within `most`.
SLM_INLINE V16 WordsOf(V16 x, V16 inverse, float most) {
  return Min(Max(Mul(x, inverse), Set(-most)), Set(most));
}

static void EncodePanel(const float* w, int64_t n, uint8_t* panel) {
  for (int64_t k = 0; k < n; k += kWordGroup) {
    const int64_t count = n - k < kWordGroup ? n - k : kWordGroup;
    V16 largest = Set(0.0f);
    for (int64_t i = 0; i < count; ++i) largest = Max(Abs(Load(w + 16 * i)), largest);
    // What is smaller is zero: its inverse would overflow.
    largest = IfLess(Set(1e-30f), largest, largest, Set(0.0f));
    const V16 inverse = IfLess(Set(0.0f), largest, Div(Set(kWeightWord), largest), Set(0.0f));
    float d[16];
    Store(Mul(largest, Set(1.0f / kWeightWord)), d);
    for (int64_t b = 0; b < count;
         b += kWordBlock, w += 16 * kWordBlock, panel += kWordBlockBytes) {
      for (int i = 0; i < kWordBlock / 2; ++i)
        StorePairs(WordsOf(Load(w + 32 * i), inverse, kWeightWord),
                   WordsOf(Load(w + 32 * i + 16), inverse, kWeightWord), panel + 64 * i);
      __builtin_memcpy(panel + kWordCodes, d, 64);
    }
  }
}

static void RoundWords(const float* x, int64_t n, ActWords* out) {
  for (int64_t k = 0; k < n; k += kWordGroup) {
    const int64_t count = n - k < kWordGroup ? n - k : kWordGroup;
    V16 largest = Set(0.0f);
    for (int64_t i = 0; i < count; i += 16) largest = Max(Abs(Load(x + i)), largest);
    float max = ReduceMax(largest);
    if (!(max > 1e-30f)) max = 0;
    const V16 inverse = Set(max > 0 ? kActWord / max : 0.0f);
    for (int64_t b = 0; b < count; b += kWordBlock, x += kWordBlock, ++out) {
      for (int i = 0; i < kWordBlock; i += 16)
        StoreInt16(WordsOf(Load(x + i), inverse, kActWord), out->q + i);
      out->d = max * (1.0f / kActWord);
    }
  }
}

// Blocks [first, first + count) of panel p times kCols columns from c0; sums so far are in the
// output, unless these are the first.
template <int kCols>
SLM_INLINE void WordColumns(const MatMulArgs& args, int p, int64_t first, int64_t count, int c0) {
  const uint8_t* panel = args.panel + static_cast<size_t>(p) * args.panel_stride +
                         static_cast<size_t>(first * kWordBlockBytes);
  const ActWords* act[kCols];
  for (int c = 0; c < kCols; ++c)
    act[c] = reinterpret_cast<const ActWords*>(args.act +
                                               static_cast<size_t>(c0 + c) * args.act_stride) +
             first;
  float* out = args.out + c0 * args.out_stride + 16 * p;
  if (first == 0 && !args.adds) {
    const V16 bias = args.bias ? Load(args.bias + 16 * p) : Set(0.0f);
    for (int c = 0; c < kCols; ++c) Store(bias, out + c * args.out_stride);
  } else {
    // What this block of columns had before is no longer in the first cache when its turn comes.
    for (int c = 0; c < kCols; ++c) __builtin_prefetch(out + c * args.out_stride, 1);
  }
  for (int64_t b = 0; b < count; b += kGroupBlocks) {
    const int64_t blocks = count - b < kGroupBlocks ? count - b : kGroupBlocks;
    int32_t sums[kCols][16];
    for (int lane = 0; lane < 16; lane += kIntLanes * kWordParts) {
      Ints sum[kCols][kWordParts];
      SLM_UNROLL
      for (int c = 0; c < kCols; ++c) {
        SLM_UNROLL
        for (int q = 0; q < kWordParts; ++q) sum[c][q] = ZeroInts();
      }
      for (int64_t part = 0; part < blocks; ++part) {
        const uint8_t* from = panel + part * kWordBlockBytes;
        // Unrolled further, gcc 12 keeps sums in memory.
        SLM_NO_UNROLL
        for (int i = 0; i < kWordBlock / 2; i += 4) {
          SLM_UNROLL
          for (int j = i; j < i + 4; ++j) {
            Ints w[kWordParts];
            SLM_UNROLL
            for (int q = 0; q < kWordParts; ++q)
              w[q] = LoadPairs(from + 64 * j + 4 * (lane + kIntLanes * q));
            SLM_UNROLL
            for (int c = 0; c < kCols; ++c) {
              const Ints x = SetPair(act[c][b + part].q + 2 * j);
              SLM_UNROLL
              for (int q = 0; q < kWordParts; ++q) AddPairs(w[q], x, &sum[c][q]);
            }
          }
        }
      }
      SLM_UNROLL
      for (int c = 0; c < kCols; ++c) {
        SLM_UNROLL
        for (int q = 0; q < kWordParts; ++q) StoreInts(sum[c][q], sums[c] + lane + kIntLanes * q);
      }
    }
    const V16 d = Load(reinterpret_cast<const float*>(panel + kWordCodes));
    for (int c = 0; c < kCols; ++c) {
      float* to = out + c * args.out_stride;
      Store(Fma(Mul(d, Set(act[c][b].d)), LoadInts(sums[c]), Load(to)), to);
    }
    panel += blocks * kWordBlockBytes;
  }
}

static void MatMulWords(const MatMulArgs& args) {
  const int64_t blocks = args.k / kWordBlock, groups = (args.k + kWordGroup - 1) / kWordGroup;
  const int64_t stretches = (groups + kWordStretch - 1) / kWordStretch;
  for (int64_t s = 0; s < stretches; ++s) {
    const int64_t first = s * groups / stretches * kGroupBlocks;
    const int64_t end_group = (s + 1) * groups / stretches * kGroupBlocks;
    const int64_t count = (end_group < blocks ? end_group : blocks) - first;
    for (int begin = 0; begin < args.cols; begin += kWordCols) {
      const int end = begin + kWordCols < args.cols ? begin + kWordCols : args.cols;
      for (int p = 0; p < args.panels; ++p)
        ForTiles<kWordTile, 4, 2, 1>(
            end, [&](auto cols, int c) { WordColumns<cols.value>(args, p, first, count, c); },
            begin);
    }
  }
}
