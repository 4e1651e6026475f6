// Encoders that search: the scale and the min of every sub-block, and of a super-block its d and
// dmin, are chosen to minimise sum of importance * (x - decoded x)^2 (docs/quantization.md).
// Written once over V16 (base/simd_scalar.h) and compiled per instruction set: the includer opens a
// target region and a namespace and includes a simd_*.h first.
//
// A lane is a sub-block, so that no sum crosses lanes but those of a super-block, and there is no
// branch on data. There is no fma, which would be slow where the CPU has none.

namespace encoding {

template <quant::Type kType>
struct Levels {
  static constexpr quant::Grid kGrid = quant::GridOf(kType);
  static constexpr bool kHasMin = kGrid.has_min, kIsTable = kGrid.is_table;
  static constexpr int kN = kGrid.sub_block;         // elements of a lane
  static constexpr int kGroup = kGrid.block / kN;    // lanes that share d
  static constexpr int kLow = kHasMin           ? 0  // of the values that d multiplies
                              : kIsTable        ? -127
                              : kGrid.bits == 8 ? -127
                                                : -kGrid.zero;
  static constexpr int kHigh = kIsTable          ? 113
                               : kGrid.bits == 8 ? 127
                                                 : (1 << kGrid.bits) - 1 + (kHasMin ? 0 : kLow);
  static constexpr int kMaxScale = kGroup == 1                   ? 1
                                   : kType == quant::Type::kQ2_K ? 15
                                   : kType == quant::Type::kQ6_K ? 127
                                   : kHasMin                     ? 63
                                                                 : 31;
  static constexpr int kMinScale = kGroup == 1 ? 1 : kHasMin ? 0 : -kMaxScale - 1;
  // How many of kNeighbour are tried; the scale of a simple block is 1.
  static constexpr int kNeighbours = kGroup == 1 ? 1 : 3;
};

// How much is searched; docs/quantization.md says what more would bring.
constexpr int kReaches = 12, kReachesInside = 6;  // per end of the grid
constexpr float kReachStep = 0.15f;               // levels
constexpr int kRanges = 20, kRangesInside = 12;
constexpr float kRangeStep = 0.1f;  // levels
constexpr int kPolishes = 3;
constexpr int kMultiples = 64;
constexpr int kRounds = 3;

constexpr float kNeighbour[3] = {0, -1, 1};

// 16 sub-blocks of n <= 32 elements; element i of sub-block l is at [i][l]. Values are scaled by a
// power of two per block, so that the largest is in [1, 2), and so is the importance.
struct SubBlocks {
  alignas(64) float x[32][16];
  alignas(64) float w[32][16];
  V16 weight;  // sum of w
  V16 unit;    // what x was divided by
  V16 inverse_unit;
};

SLM_INLINE V16 Clamp(V16 x, float low, float high) { return Min(Max(x, Set(low)), Set(high)); }

// Nearest even, for |x| < 2^22: where there is no instruction for it, two additions are faster.
SLM_INLINE V16 RoundSmall(V16 x) { return Sub(Add(x, Set(0x1.8p23f)), Set(0x1.8p23f)); }

// a / b; 0 where b is not above 0 by enough.
SLM_INLINE V16 Ratio(V16 a, V16 b) { return IfLess(Set(1e-30f), b, Div(a, b), Set(0.0f)); }

SLM_INLINE V16 InverseOf(V16 scale) {
  return IfLess(Set(1e-20f), Abs(scale), Div(Set(1.0f), scale), Set(0.0f));
}

// Folds the lanes of a block; all of them get the result.
template <int kGroup>
SLM_INLINE V16 GroupAdd(V16 a) {
  if constexpr (kGroup > 8) a = Add(a, SwapLanes<8>(a));
  if constexpr (kGroup > 4) a = Add(a, SwapLanes<4>(a));
  if constexpr (kGroup > 1) a = Add(a, SwapLanes<2>(a));
  if constexpr (kGroup > 1) a = Add(a, SwapLanes<1>(a));
  return a;
}
template <int kGroup>
SLM_INLINE V16 GroupMax(V16 a) {
  if constexpr (kGroup > 8) a = Max(a, SwapLanes<8>(a));
  if constexpr (kGroup > 4) a = Max(a, SwapLanes<4>(a));
  if constexpr (kGroup > 1) a = Max(a, SwapLanes<2>(a));
  if constexpr (kGroup > 1) a = Max(a, SwapLanes<1>(a));
  return a;
}

// The power of two at or below each lane's x > 0, from 2^low on.
static V16 PowerBelow(V16 x, int low) {
  float lanes[16];
  Store(x, lanes);
  for (float& lane : lanes) {
    uint32_t bits;
    __builtin_memcpy(&bits, &lane, 4);
    const int exponent = static_cast<int>(bits >> 23) - 127;
    bits = static_cast<uint32_t>((exponent < low ? low : exponent) + 127) << 23;
    __builtin_memcpy(&lane, &bits, 4);
  }
  return Load(lanes);
}

// `count` elements of src and of importance (all ones when nullptr); what is missing of 16
// sub-blocks is zero. What is not finite counts as 0, and magnitudes end at 2^60. A block without
// importance has equal ones.
template <quant::Type kType>
static void LoadSubBlocks(const float* src, const float* importance, int64_t count, SubBlocks* b) {
  using L = Levels<kType>;
  const V16 zero = Set(0.0f), huge = Set(0x1p60f);
  for (int l = 0; l < 16; ++l)
    for (int i = 0; i < L::kN; ++i) {
      const int64_t at = l * L::kN + i;
      b->x[i][l] = at < count ? src[at] : 0.0f;
      b->w[i][l] = importance && at < count ? importance[at] : 1.0f;
    }
  V16 largest = zero, heaviest = zero;
  for (int i = 0; i < L::kN; ++i) {
    V16 x = Load(b->x[i]), w = Load(b->w[i]);
    x = IfLess(Abs(x), Set(__builtin_inff()), x, zero);
    x = Min(Max(x, Sub(zero, huge)), huge);
    w = Min(IfLess(zero, w, w, zero), huge);
    largest = Max(Abs(x), largest);
    heaviest = Max(w, heaviest);
    Store(x, b->x[i]);
    Store(w, b->w[i]);
  }
  // Below 2^-40 there is nothing that d, a half, could scale to.
  b->unit = PowerBelow(GroupMax<L::kGroup>(largest), -40);
  b->inverse_unit = Div(Set(1.0f), b->unit);
  heaviest = GroupMax<L::kGroup>(heaviest);
  const V16 lightest = IfLess(Set(0x1p-60f), heaviest, Set(0x1p-20f), Set(1.0f));
  const V16 per_weight = Div(Set(1.0f), PowerBelow(heaviest, -60));
  b->weight = zero;
  for (int i = 0; i < L::kN; ++i) {
    const V16 w = Max(Mul(Load(b->w[i]), per_weight), lightest);
    Store(Mul(Load(b->x[i]), b->inverse_unit), b->x[i]);
    Store(w, b->w[i]);
    b->weight = Add(b->weight, w);
  }
}

// As d and m are stored: the nearest half of d * unit, in the scaled values. Saturates.
SLM_INLINE V16 AsHalf(V16 d, const SubBlocks& b) {
  uint8_t halves[32];
  StoreHalf(Clamp(Mul(d, b.unit), -65504.0f, 65504.0f), halves);
  return Mul(LoadHalf(halves), b.inverse_unit);
}

constexpr float kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                  1,    13,   25,  38,  53,  69,  89,  113};
// From here on the level is nearer than the one before.
constexpr float kIq4Borders[16] = {-1e30f, -115.5f, -93.5f, -74,   -57,   -42, -28.5f, -16,
                                   -4.5f,  7,       19,     31.5f, 45.5f, 61,  79,     101};

SLM_INLINE V16 Iq4Index(V16 t) {
  V16 index = IfLess(t, Set(kIq4Borders[8]), Set(0.0f), Set(8.0f));
  SLM_UNROLL
  for (int step = 4; step > 0; step /= 2) {
    const V16 next = Add(index, Set(static_cast<float>(step)));
    index = IfLess(t, Lookup(kIq4Borders, next), index, next);
  }
  return index;
}

// The value nearest to t, and its code.
template <quant::Type kType>
SLM_INLINE V16 NearestValue(V16 t) {
  if constexpr (Levels<kType>::kIsTable) return Lookup(kIq4Values, Iq4Index(t));
  return RoundSmall(Clamp(t, Levels<kType>::kLow, Levels<kType>::kHigh));
}
template <quant::Type kType>
SLM_INLINE V16 NearestCode(V16 t) {
  if constexpr (Levels<kType>::kIsTable) return Iq4Index(t);
  const V16 value = NearestValue<kType>(t);
  if constexpr (Levels<kType>::kGrid.bits == 8 || Levels<kType>::kHasMin) return value;
  return Sub(value, Set(Levels<kType>::kLow));
}

// --- x = scale * value

// What the values nearest to x / scale leave: e = x - scale * value.
struct ScaledSums {
  V16 vv, ev, ee;  // sums of w * value^2, w * e * value, w * e^2
};

template <quant::Type kType>
SLM_INLINE ScaledSums SumScaled(const SubBlocks& b, V16 scale) {
  const V16 inverse = InverseOf(scale);
  ScaledSums s = {Set(0.0f), Set(0.0f), Set(0.0f)};
  for (int i = 0; i < Levels<kType>::kN; ++i) {
    const V16 x = Load(b.x[i]), w = Load(b.w[i]);
    const V16 v = NearestValue<kType>(Mul(x, inverse));
    const V16 e = Sub(x, Mul(scale, v)), we = Mul(w, e);
    s.vv = Add(s.vv, Mul(Mul(w, v), v));
    s.ev = Add(s.ev, Mul(we, v));
    s.ee = Add(s.ee, Mul(we, e));
  }
  return s;
}

struct ScaledFit {
  V16 scale, error, vv;
};

// The best scale for the values that `scale` gives, kept when it is better than what there is.
template <quant::Type kType>
static void TryScaled(const SubBlocks& b, V16 scale, ScaledFit* fit) {
  const ScaledSums s = SumScaled<kType>(b, scale);
  const V16 step = Ratio(s.ev, s.vv);
  const V16 error = Sub(s.ee, Mul(step, s.ev));
  fit->scale = IfLess(error, fit->error, Add(scale, step), fit->scale);
  fit->vv = IfLess(error, fit->error, s.vv, fit->vv);
  fit->error = Min(error, fit->error);
}

template <quant::Type kType>
static ScaledFit FitScaled(const SubBlocks& b) {
  using L = Levels<kType>;
  V16 extreme = Set(0.0f), magnitude = Set(0.0f);
  for (int i = 0; i < L::kN; ++i) {
    const V16 x = Load(b.x[i]);
    extreme = IfLess(magnitude, Abs(x), x, extreme);
    magnitude = Max(Abs(x), magnitude);
  }
  ScaledFit fit = {Set(0.0f), Set(__builtin_inff()), Set(0.0f)};
  // Where on the grid the extreme value comes to lie: around either end of it.
  constexpr float kStep = L::kIsTable ? 14 * kReachStep : kReachStep;
  for (int i = 0; i < kReaches; ++i) {
    const float beyond = kStep * static_cast<float>(i - kReachesInside);
    TryScaled<kType>(b, Mul(extreme, Set(1.0f / (L::kLow - beyond))), &fit);
    TryScaled<kType>(b, Mul(extreme, Set(1.0f / (L::kHigh + beyond))), &fit);
  }
  for (int i = 0; i < kPolishes; ++i) TryScaled<kType>(b, fit.scale, &fit);
  return fit;
}

// scale / d as a whole number that the type can hold.
template <quant::Type kType>
SLM_INLINE V16 WholeScale(V16 scale, V16 inverse_d, float by = 0) {
  // Clamped twice: what is rounded has to be small, and `by` may not leave the range.
  const V16 near = RoundSmall(Clamp(Mul(scale, inverse_d), -1000, 1000));
  return Clamp(Add(near, Set(by)), Levels<kType>::kMinScale, Levels<kType>::kMaxScale);
}

// The d of a block whose multiples come nearest to the sub-blocks' scales; weight[l] is what a
// squared difference costs.
template <quant::Type kType>
static V16 ChooseUnit(const SubBlocks& b, V16 scale, V16 weight) {
  using L = Levels<kType>;
  if constexpr (L::kGroup == 1) return AsHalf(scale, b);
  const V16 top = GroupMax<L::kGroup>(Abs(scale));
  V16 best = Set(0.0f), least = Set(__builtin_inff());
  // The largest scale becomes any multiple from the highest down to half of it; of either sign, if
  // negative ones go further.
  for (int i = 0; i < kMultiples; ++i) {
    const float multiple = (L::kMaxScale + 1) * (1.0f - static_cast<float>(i) / (2 * kMultiples));
    for (float sign = 1; sign >= (L::kHasMin ? 1 : -1); sign -= 2) {
      const V16 d = AsHalf(Mul(top, Set(sign / multiple)), b);
      const V16 n = WholeScale<kType>(scale, InverseOf(d));
      const V16 e = Sub(scale, Mul(d, n));
      const V16 cost = GroupAdd<L::kGroup>(Mul(Mul(e, e), weight));
      best = IfLess(cost, least, d, best);
      least = Min(cost, least);
    }
  }
  return best;
}

struct Chosen {
  V16 d, m, scale, min;  // scale and min are whole
};

template <quant::Type kType>
static Chosen ChooseScaled(const SubBlocks& b) {
  using L = Levels<kType>;
  const V16 zero = Set(0.0f), infinity = Set(__builtin_inff());
  const ScaledFit fit = FitScaled<kType>(b);
  V16 target = fit.scale, d = ChooseUnit<kType>(b, target, fit.vv), least = infinity;
  Chosen best = {zero, zero, zero, zero};
  for (int round = 0; round < kRounds; ++round) {
    V16 scale = zero;
    ScaledSums sums = {zero, zero, infinity};
    for (int i = 0; i < L::kNeighbours; ++i) {
      const V16 n = WholeScale<kType>(target, InverseOf(d), kNeighbour[i]);
      const ScaledSums s = SumScaled<kType>(b, Mul(d, n));
      scale = IfLess(s.ee, sums.ee, n, scale);
      sums.ev = IfLess(s.ee, sums.ee, s.ev, sums.ev);
      sums.vv = IfLess(s.ee, sums.ee, s.vv, sums.vv);
      sums.ee = Min(s.ee, sums.ee);
    }
    const V16 error = GroupAdd<L::kGroup>(sums.ee);
    best.d = IfLess(error, least, d, best.d);
    best.scale = IfLess(error, least, scale, best.scale);
    least = Min(error, least);
    // For these values: the best scale of each sub-block, and the best d.
    target = Add(Mul(d, scale), Ratio(sums.ev, sums.vv));
    const V16 along = GroupAdd<L::kGroup>(Mul(scale, sums.ev));
    const V16 square = GroupAdd<L::kGroup>(Mul(Mul(scale, scale), sums.vv));
    d = AsHalf(Add(d, Ratio(along, square)), b);
  }
  return best;
}

// --- x = scale * value - offset

struct ScaleAndOffset {
  V16 scale, offset;
};

// e = x - (scale * value - offset)
struct AffineSums {
  V16 v, vv, e, ev, ee;
};

template <quant::Type kType>
SLM_INLINE AffineSums SumAffine(const SubBlocks& b, ScaleAndOffset at) {
  const V16 inverse = InverseOf(at.scale), zero = Set(0.0f);
  AffineSums s = {zero, zero, zero, zero, zero};
  for (int i = 0; i < Levels<kType>::kN; ++i) {
    const V16 x = Add(Load(b.x[i]), at.offset), w = Load(b.w[i]);
    const V16 v = NearestValue<kType>(Mul(x, inverse));
    const V16 e = Sub(x, Mul(at.scale, v)), we = Mul(w, e), wv = Mul(w, v);
    s.v = Add(s.v, wv);
    s.vv = Add(s.vv, Mul(wv, v));
    s.e = Add(s.e, we);
    s.ev = Add(s.ev, Mul(we, v));
    s.ee = Add(s.ee, Mul(we, e));
  }
  return s;
}

struct AffineFit {
  V16 scale, offset, error, v, vv;
};

// The changes of scale and offset that are best for the values of `s`.
SLM_INLINE ScaleAndOffset SolveAffine(const AffineSums& s, V16 weight) {
  const V16 product = Mul(weight, s.vv);
  const V16 det = Sub(product, Mul(s.v, s.v));
  const V16 scale = Div(Sub(Mul(weight, s.ev), Mul(s.v, s.e)), det);
  const V16 offset = Div(Sub(Mul(s.v, s.ev), Mul(s.vv, s.e)), det);
  const V16 least = Add(Mul(product, Set(1e-5f)), Set(1e-30f));
  return {IfLess(least, det, scale, Set(0.0f)),
          IfLess(least, det, offset, Sub(Set(0.0f), Ratio(s.e, weight)))};
}

// Error after a step: sum of w * (e - step.scale * v + step.offset)^2.
SLM_INLINE V16 ErrorAfter(const AffineSums& s, V16 weight, const ScaleAndOffset& step) {
  const V16 a = step.scale, c = step.offset, two = Set(2.0f);
  V16 error = Sub(s.ee, Mul(Mul(two, a), s.ev));
  error = Add(error, Mul(Mul(two, c), s.e));
  error = Add(error, Mul(Mul(a, a), s.vv));
  error = Sub(error, Mul(Mul(Mul(two, a), c), s.v));
  return Add(error, Mul(Mul(c, c), weight));
}

template <quant::Type kType>
static ScaleAndOffset TryAffine(const SubBlocks& b, ScaleAndOffset at, AffineFit* fit) {
  const AffineSums s = SumAffine<kType>(b, at);
  ScaleAndOffset step = SolveAffine(s, b.weight);
  if constexpr (Levels<kType>::kGroup > 1) {  // mins are not negative
    const V16 zero = Set(0.0f), to_zero = Sub(zero, at.offset), next = Add(at.offset, step.offset);
    const V16 alone = Ratio(Add(s.ev, Mul(to_zero, s.v)), s.vv);
    step.scale = IfLess(next, zero, alone, step.scale);
    step.offset = IfLess(next, zero, to_zero, step.offset);
  }
  const V16 error = ErrorAfter(s, b.weight, step);
  step.scale = Add(at.scale, step.scale);
  step.offset = Add(at.offset, step.offset);
  fit->scale = IfLess(error, fit->error, step.scale, fit->scale);
  fit->offset = IfLess(error, fit->error, step.offset, fit->offset);
  fit->v = IfLess(error, fit->error, s.v, fit->v);
  fit->vv = IfLess(error, fit->error, s.vv, fit->vv);
  fit->error = Min(error, fit->error);
  return step;
}

template <quant::Type kType>
static AffineFit FitAffine(const SubBlocks& b) {
  using L = Levels<kType>;
  const V16 zero = Set(0.0f);
  V16 low = L::kGroup > 1 ? zero : Load(b.x[0]), high = low;
  for (int i = 0; i < L::kN; ++i) {
    low = Min(Load(b.x[i]), low);
    high = Max(Load(b.x[i]), high);
  }
  AffineFit fit = {zero, zero, Set(__builtin_inff()), zero, zero};
  const V16 range = Sub(high, low), offset = Sub(zero, low);
  // How many steps the range takes: around as many as there are.
  for (int i = 0; i < kRanges; ++i) {
    const float steps =
        static_cast<float>(L::kHigh) + kRangeStep * static_cast<float>(i - kRangesInside);
    const ScaleAndOffset next = TryAffine<kType>(b, {Mul(range, Set(1.0f / steps)), offset}, &fit);
    TryAffine<kType>(b, next, &fit);
  }
  for (int i = 0; i < kPolishes; ++i) TryAffine<kType>(b, {fit.scale, fit.offset}, &fit);
  return fit;
}

template <quant::Type kType>
static Chosen ChooseAffine(const SubBlocks& b) {
  using L = Levels<kType>;
  const V16 zero = Set(0.0f), infinity = Set(__builtin_inff());
  const AffineFit fit = FitAffine<kType>(b);
  ScaleAndOffset target = {fit.scale, fit.offset};
  // By how much the best offset grows with the scale: the mean value.
  V16 mean = Ratio(fit.v, b.weight);
  V16 d = ChooseUnit<kType>(b, target.scale, Sub(fit.vv, Mul(fit.v, mean)));
  V16 m = zero, least = infinity;
  Chosen best = {zero, zero, zero, zero};
  for (int round = 0; round < kRounds; ++round) {
    const V16 per_d = InverseOf(d);
    if (round == 0) {
      const V16 change = Sub(Mul(d, WholeScale<kType>(target.scale, per_d)), target.scale);
      const V16 offset = Add(target.offset, Mul(change, mean));
      m = ChooseUnit<kType>(b, L::kGroup > 1 ? Max(offset, zero) : offset, b.weight);
    }
    const V16 per_m = InverseOf(m);
    V16 scale = zero, min = zero;
    AffineSums sums = {zero, zero, zero, zero, infinity};
    for (int i = 0; i < L::kNeighbours; ++i) {
      const V16 n = WholeScale<kType>(target.scale, per_d, kNeighbour[i]);
      const V16 change = Sub(Mul(d, n), target.scale);
      const V16 offset = Add(target.offset, Mul(change, mean));
      for (int j = 0; j < L::kNeighbours; ++j) {
        const V16 k = WholeScale<kType>(offset, per_m, kNeighbour[j]);
        const AffineSums s = SumAffine<kType>(b, {Mul(d, n), Mul(m, k)});
        scale = IfLess(s.ee, sums.ee, n, scale);
        min = IfLess(s.ee, sums.ee, k, min);
        sums.v = IfLess(s.ee, sums.ee, s.v, sums.v);
        sums.vv = IfLess(s.ee, sums.ee, s.vv, sums.vv);
        sums.e = IfLess(s.ee, sums.ee, s.e, sums.e);
        sums.ev = IfLess(s.ee, sums.ee, s.ev, sums.ev);
        sums.ee = Min(s.ee, sums.ee);
      }
    }
    const V16 error = GroupAdd<L::kGroup>(sums.ee);
    best.d = IfLess(error, least, d, best.d);
    best.m = IfLess(error, least, m, best.m);
    best.scale = IfLess(error, least, scale, best.scale);
    best.min = IfLess(error, least, min, best.min);
    least = Min(error, least);
    // For these values: the best scale and offset of each sub-block, and the best d and m.
    const ScaleAndOffset own = SolveAffine(sums, b.weight);
    target = {Add(Mul(d, scale), own.scale), Add(Mul(m, min), own.offset)};
    mean = Ratio(sums.v, b.weight);
    sums.v = GroupAdd<L::kGroup>(Mul(Mul(scale, min), sums.v));
    sums.vv = GroupAdd<L::kGroup>(Mul(Mul(scale, scale), sums.vv));
    sums.e = GroupAdd<L::kGroup>(Mul(min, sums.e));
    sums.ev = GroupAdd<L::kGroup>(Mul(scale, sums.ev));
    const V16 weight = GroupAdd<L::kGroup>(Mul(Mul(min, min), b.weight));
    const ScaleAndOffset common = SolveAffine(sums, weight);
    d = AsHalf(Max(Add(d, common.scale), zero), b);
    m = Add(m, common.offset);
    m = AsHalf(L::kGroup > 1 ? Max(m, zero) : m, b);
  }
  return best;
}

// --- Blocks

template <quant::Type kType>
static void EncodeBlocks(const float* src, const float* importance, int64_t count,
                         size_t block_bytes, uint8_t* dst) {
  using L = Levels<kType>;
  SubBlocks b;
  LoadSubBlocks<kType>(src, importance, count, &b);
  Chosen chosen;
  if constexpr (L::kHasMin)
    chosen = ChooseAffine<kType>(b);
  else
    chosen = ChooseScaled<kType>(b);
  const V16 inverse = InverseOf(Mul(chosen.d, chosen.scale)), offset = Mul(chosen.m, chosen.min);
  int8_t code[32][16], scale[16], min[16];
  for (int i = 0; i < L::kN; ++i)
    StoreInt8(NearestCode<kType>(Mul(Add(Load(b.x[i]), offset), inverse)), code[i]);
  StoreInt8(chosen.scale, scale);
  StoreInt8(chosen.min, min);
  uint8_t d[32], m[32];
  StoreHalf(Mul(chosen.d, b.unit), d);
  // A simple block adds m, a super-block takes dmin off.
  StoreHalf(Mul(L::kGroup == 1 ? Sub(Set(0.0f), chosen.m) : chosen.m, b.unit), m);
  quant::IntegerBlock block;
  for (int first = 0; first < 16 && first * L::kN < count; first += L::kGroup, dst += block_bytes) {
    for (int l = 0; l < L::kGroup; ++l) {
      for (int i = 0; i < L::kN; ++i)
        block.code[l * L::kN + i] = static_cast<uint8_t>(code[i][first + l]);
      block.scale[l] = scale[first + l];
      block.min[l] = static_cast<uint8_t>(min[first + l]);
    }
    __builtin_memcpy(&block.d, d + 2 * first, 2);
    __builtin_memcpy(&block.m, m + 2 * first, 2);
    quant::FromIntegers(kType, block, dst);
  }
}

template <quant::Type kType>
static void EncodeSearching(const float* src, const float* importance, uint8_t* dst, int64_t n) {
  using L = Levels<kType>;
  const quant::TypeTraits& traits = quant::Traits(kType);
  if (!importance && traits.encode) return traits.encode(src, dst, n);
  constexpr int64_t kStep = 16 * L::kN;
  for (int64_t i = 0; i < n; i += kStep)
    EncodeBlocks<kType>(src + i, importance ? importance + i : nullptr,
                        n - i < kStep ? n - i : kStep, traits.block_bytes,
                        dst + static_cast<size_t>(i / traits.block_size) * traits.block_bytes);
}

}  // namespace encoding
