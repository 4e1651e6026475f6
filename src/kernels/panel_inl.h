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
  uint32_t low[16], high[16];
  __builtin_memcpy(low, unit + 64 * plane, 64);
  if (kHigh > 0) __builtin_memcpy(high, unit + 64 * (8 / kGroups + (kHigh == 2 ? g / 4 : 0)), 64);
  const int high_shift = 8 * i + (kHigh == 2 ? 2 * (g % 4) : g);
  float codes[16];
  for (int r = 0; r < 16; ++r) {
    uint32_t code = (low[r] >> shift) & ((1u << kLow) - 1);
    if (kHigh > 0) code |= ((high[r] >> high_shift) & ((1u << kHigh) - 1)) << kLow;
    codes[r] = static_cast<float>(kBits == 8 ? static_cast<int>(static_cast<int8_t>(code))
                                             : static_cast<int>(code));
  }
  return Load(codes);
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

// Q8_0: blocks of 32, each with the half-precision scale that its largest value asks for.
static void EncodePanel(const float* w, int64_t n, uint8_t* panel) {
  constexpr quant::Grid kGrid = quant::GridOf(quant::Type::kQ8_0);
  for (int64_t k = 0; k < n; k += 32, w += 16 * 32, panel += kGrid.block_bytes()) {
    V16 largest = Set(0.0f);
    for (int i = 0; i < 32; ++i) largest = Max(Abs(Load(w + 16 * i)), largest);
    const V16 d = Min(Mul(largest, Set(1.0f / 127)), Set(kMaxHalf));
    StoreHalf(d, panel + kGrid.d());
    const V16 rounded = LoadHalf(panel + kGrid.d());
    // The rounded scale may be up to 2^-11 too small: codes are kept within 127.
    const V16 inverse =
        IfLess(Set(0.0f), rounded, Div(Set(1.0f), Max(rounded, Set(0x1p-24f))), Set(0.0f));
    for (int g = 0; g < 8; ++g) {
      int8_t code[4][16];
      for (int i = 0; i < 4; ++i)
        StoreInt8(Min(Max(Mul(Load(w + 16 * (4 * g + i)), inverse), Set(-127.0f)), Set(127.0f)),
                  code[i]);
      uint8_t words[64];
      for (int r = 0; r < 16; ++r)
        for (int i = 0; i < 4; ++i) words[4 * r + i] = static_cast<uint8_t>(code[i][r]);
      __builtin_memcpy(panel + 64 * g, words, 64);
    }
  }
}
