// Encoders that search: the scale and the min of every sub-block, and of a super-block its d and
// dmin, are chosen to minimise sum of importance * (x - decoded x)^2 (docs/quantization.md).
// Written once over V16 (base/simd_scalar.h) and compiled per instruction set: the includer opens a
// target region and a namespace and includes a simd_*.h first.
//
// A lane is a sub-block, so that no sum crosses lanes but those of a super-block, and there is no
// branch on data. There is no fma, which would be slow where the CPU has none.

namespace encoding {

// How much is searched. Candidates are apart by Levels::step, so far that they round differently,
// from some levels inside the range to some beyond it.
constexpr int kReaches = 12, kReachesInside = 7;  // for the extreme value, at either end
constexpr int kKeyReaches = 4;                    // for the value that matters most, at either end
constexpr int kRanges = 16, kRangesInside = 11;   // for the range of types with a min
constexpr int kPolishes = 2;
constexpr int kMultiples = 32;
constexpr int kRounds = 2;

// 0, -1, 1, -2, 2, ..
constexpr float Neighbour(int i) { return static_cast<float>(i % 2 ? -(i + 1) / 2 : i / 2); }

// What a type can hold, as far as the search goes.
struct Levels {
  int n;      // elements of a lane
  int group;  // lanes that share d
  bool has_min, is_table;
  bool weighs_magnitude;       // where there is no importance
  float low, high;             // of the values that scale multiplies
  float min_scale, max_scale;  // whole; 1 where a block is one sub-block
  float step;                  // from candidate to candidate
  int tries;                   // whole scales that are tried at first
};

constexpr Levels LevelsOf(quant::Type type) {
  const quant::Grid grid = quant::GridOf(type);
  Levels l = {};
  l.n = grid.sub_block;
  l.group = grid.block / grid.sub_block;
  l.has_min = grid.has_min;
  l.is_table = grid.is_table;
  l.weighs_magnitude = grid.bits <= 3;
  const int codes = 1 << grid.bits;
  l.low = static_cast<float>(grid.is_table || grid.bits == 8 ? -127 : -grid.zero);
  l.high = static_cast<float>(grid.is_table ? 113 : grid.bits == 8 ? 127 : codes - 1 - grid.zero);
  const int scales = type == quant::Type::kQ2_K ? 16 : type == quant::Type::kQ6_K ? 128 : 32;
  l.max_scale = static_cast<float>(l.group == 1 ? 1 : scales == 32 && l.has_min ? 63 : scales - 1);
  l.min_scale = l.group == 1 ? 1 : l.has_min ? 0 : -l.max_scale - 1;
  constexpr float kSteps[] = {0, 0, 0, 0.4f, 0.5f, 0.7f, 1.0f, 0, 2.0f};  // by bits
  constexpr float kStepsWithMin[] = {0, 0, 0.14f, 0, 0.25f, 0.45f};
  constexpr float kTableStep = 7;  // values of IQ4 at the ends are some 20 apart
  l.step = l.is_table ? kTableStep : l.has_min ? kStepsWithMin[grid.bits] : kSteps[grid.bits];
  l.tries = l.group == 1 ? 1 : l.max_scale > 100 ? 13 : l.has_min ? 7 : 9;
  return l;
}

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

// Folds the lanes of a block, of 1, 8 or 16; all of them get the result.
SLM_INLINE V16 GroupAdd(V16 a, int group) {
  if (group == 1) return a;
  if (group == 16) a = Add(a, SwapLanes<8>(a));
  a = Add(a, SwapLanes<4>(a));
  a = Add(a, SwapLanes<2>(a));
  return Add(a, SwapLanes<1>(a));
}
SLM_INLINE V16 GroupMax(V16 a, int group) {
  if (group == 1) return a;
  if (group == 16) a = Max(a, SwapLanes<8>(a));
  a = Max(a, SwapLanes<4>(a));
  a = Max(a, SwapLanes<2>(a));
  return Max(a, SwapLanes<1>(a));
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

// Without importance, in 2 and 3 bits: sqrt(mean of x^2 in the block + x^2). What is least in plain
// squares shrinks large values a little, all of them, and those shrink the output where noise would
// average out. With more bits there is next to nothing to shrink.
static void WeighByMagnitude(const Levels& l, SubBlocks* b) {
  V16 squares = Set(0.0f);
  for (int i = 0; i < l.n; ++i) {
    const V16 x = Load(b->x[i]);
    squares = Add(squares, Mul(x, x));
  }
  const float count = static_cast<float>(l.n * l.group);
  const V16 mean = Max(Mul(GroupAdd(squares, l.group), Set(1 / count)), Set(0x1p-40f));
  for (int i = 0; i < l.n; ++i) {
    const V16 x = Load(b->x[i]);
    Store(Sqrt(Add(mean, Mul(x, x))), b->w[i]);
  }
}

// `count` elements of src and of importance (may be nullptr); what is missing of 16 sub-blocks is
// zero. What is not finite counts as 0, and magnitudes end at 2^60.
static void LoadSubBlocks(const Levels& l, const float* src, const float* importance, int64_t count,
                          SubBlocks* b) {
  const V16 zero = Set(0.0f), huge = Set(0x1p60f);
  for (int lane = 0; lane < 16; ++lane)
    for (int i = 0; i < l.n; ++i) {
      const int64_t at = lane * l.n + i;
      b->x[i][lane] = at < count ? src[at] : 0.0f;
      b->w[i][lane] = importance && at < count ? importance[at] : 1.0f;
    }
  V16 largest = zero, heaviest = zero;
  for (int i = 0; i < l.n; ++i) {
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
  b->unit = PowerBelow(GroupMax(largest, l.group), -40);
  b->inverse_unit = Div(Set(1.0f), b->unit);
  for (int i = 0; i < l.n; ++i) Store(Mul(Load(b->x[i]), b->inverse_unit), b->x[i]);
  if (!importance && l.weighs_magnitude) {
    WeighByMagnitude(l, b);
    heaviest = Set(1.0f);
  }
  heaviest = GroupMax(heaviest, l.group);
  const V16 lightest = IfLess(Set(0x1p-60f), heaviest, Set(0x1p-20f), Set(1.0f));
  const V16 per_weight = Div(Set(1.0f), PowerBelow(heaviest, -60));
  b->weight = zero;
  for (int i = 0; i < l.n; ++i) {
    const V16 w = Max(Mul(Load(b->w[i]), per_weight), lightest);
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

// The value nearest to t.
template <bool kIsTable>
SLM_INLINE V16 Nearest(const Levels& l, V16 t) {
  if constexpr (kIsTable) return Lookup(kIq4Values, Iq4Index(t));
  return RoundSmall(Clamp(t, l.low, l.high));
}

// --- x = scale * value

// What the values nearest to x / scale leave: e = x - scale * value.
struct ScaledSums {
  V16 vv, ev, ee;  // sums of w * value^2, w * e * value, w * e^2
};

template <bool kIsTable>
static ScaledSums SumScaledOf(const Levels& l, const SubBlocks& b, V16 scale) {
  const V16 inverse = InverseOf(scale);
  ScaledSums s = {Set(0.0f), Set(0.0f), Set(0.0f)};
  for (int i = 0; i < l.n; ++i) {
    const V16 x = Load(b.x[i]), w = Load(b.w[i]);
    const V16 v = Nearest<kIsTable>(l, Mul(x, inverse));
    const V16 e = Sub(x, Mul(scale, v)), we = Mul(w, e);
    s.vv = Add(s.vv, Mul(Mul(w, v), v));
    s.ev = Add(s.ev, Mul(we, v));
    s.ee = Add(s.ee, Mul(we, e));
  }
  return s;
}

static ScaledSums SumScaled(const Levels& l, const SubBlocks& b, V16 scale) {
  return l.is_table ? SumScaledOf<true>(l, b, scale) : SumScaledOf<false>(l, b, scale);
}

struct ScaledFit {
  V16 scale, error, vv;
};

// The best scale for the values that `scale` gives, kept when it is better than what there is.
static void TryScaled(const Levels& l, const SubBlocks& b, V16 scale, ScaledFit* fit) {
  const ScaledSums s = SumScaled(l, b, scale);
  const V16 step = Ratio(s.ev, s.vv);
  const V16 error = Sub(s.ee, Mul(step, s.ev));
  fit->scale = IfLess(error, fit->error, Add(scale, step), fit->scale);
  fit->vv = IfLess(error, fit->error, s.vv, fit->vv);
  fit->error = Min(error, fit->error);
}

static ScaledFit FitScaled(const Levels& l, const SubBlocks& b) {
  V16 extreme = Set(0.0f), magnitude = Set(0.0f), key = extreme, heaviest = extreme;
  for (int i = 0; i < l.n; ++i) {
    const V16 x = Load(b.x[i]);
    extreme = IfLess(magnitude, Abs(x), x, extreme);
    magnitude = Max(Abs(x), magnitude);
    const V16 weighted = Mul(Mul(x, x), Load(b.w[i]));
    key = IfLess(heaviest, weighted, x, key);
    heaviest = Max(weighted, heaviest);
  }
  ScaledFit fit = {Set(0.0f), Set(__builtin_inff()), Set(0.0f)};
  // Where on the grid the extreme value comes to lie: around either end of it.
  for (int i = 0; i < kReaches; ++i) {
    const float beyond = l.step * static_cast<float>(i - kReachesInside);
    TryScaled(l, b, Mul(extreme, Set(1.0f / (l.low - beyond))), &fit);
    TryScaled(l, b, Mul(extreme, Set(1.0f / (l.high + beyond))), &fit);
  }
  for (int i = 0; i < kKeyReaches; ++i) {
    const float inward = 1.0f - static_cast<float>(i) / kKeyReaches;
    TryScaled(l, b, Mul(key, Set(1.0f / (l.low * inward))), &fit);
    TryScaled(l, b, Mul(key, Set(1.0f / (l.high * inward))), &fit);
  }
  for (int i = 0; i < kPolishes; ++i) TryScaled(l, b, fit.scale, &fit);
  return fit;
}

// scale / d as a whole number that the type can hold.
SLM_INLINE V16 WholeScale(const Levels& l, V16 scale, V16 inverse_d, float by = 0) {
  // Clamped twice: what is rounded has to be small, and `by` may not leave the range.
  const V16 near = RoundSmall(Clamp(Mul(scale, inverse_d), -1000, 1000));
  return Clamp(Add(near, Set(by)), l.min_scale, l.max_scale);
}

// The d of a block whose multiples come nearest to the sub-blocks' scales; weight[l] is what a
// squared difference costs.
static V16 ChooseUnit(const Levels& l, const SubBlocks& b, V16 scale, V16 weight) {
  if (l.group == 1) return AsHalf(scale, b);
  const V16 top = GroupMax(Abs(scale), l.group);
  V16 best = Set(0.0f), least = Set(__builtin_inff());
  // The largest scale becomes any multiple from the highest down to half of it; of either sign, if
  // negative ones go further.
  for (int i = 0; i < kMultiples; ++i) {
    const float multiple = (l.max_scale + 1) * (1.0f - static_cast<float>(i) / (2 * kMultiples));
    for (float sign = 1; sign >= (l.has_min ? 1 : -1); sign -= 2) {
      const V16 d = AsHalf(Mul(top, Set(sign / multiple)), b);
      const V16 n = WholeScale(l, scale, InverseOf(d));
      const V16 e = Sub(scale, Mul(d, n));
      const V16 cost = GroupAdd(Mul(Mul(e, e), weight), l.group);
      best = IfLess(cost, least, d, best);
      least = Min(cost, least);
    }
  }
  return best;
}

struct Chosen {
  V16 d, m, scale, min;  // scale and min are whole
};

static Chosen ChooseScaled(const Levels& l, const SubBlocks& b) {
  const V16 zero = Set(0.0f), infinity = Set(__builtin_inff());
  const ScaledFit fit = FitScaled(l, b);
  V16 target = fit.scale, d = ChooseUnit(l, b, target, fit.vv), least = infinity;
  Chosen best = {zero, zero, zero, zero};
  for (int round = 0; round < kRounds; ++round) {
    const int tries = round == 0 || l.tries < 3 ? l.tries : 3;
    V16 scale = zero;
    ScaledSums sums = {zero, zero, infinity};
    for (int i = 0; i < tries; ++i) {
      const V16 n = WholeScale(l, target, InverseOf(d), Neighbour(i));
      const ScaledSums s = SumScaled(l, b, Mul(d, n));
      scale = IfLess(s.ee, sums.ee, n, scale);
      sums.ev = IfLess(s.ee, sums.ee, s.ev, sums.ev);
      sums.vv = IfLess(s.ee, sums.ee, s.vv, sums.vv);
      sums.ee = Min(s.ee, sums.ee);
    }
    const V16 error = GroupAdd(sums.ee, l.group);
    best.d = IfLess(error, least, d, best.d);
    best.scale = IfLess(error, least, scale, best.scale);
    least = Min(error, least);
    // For these values: the best scale of each sub-block, and the best d.
    target = Add(Mul(d, scale), Ratio(sums.ev, sums.vv));
    const V16 along = GroupAdd(Mul(scale, sums.ev), l.group);
    const V16 square = GroupAdd(Mul(Mul(scale, scale), sums.vv), l.group);
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

static AffineSums SumAffine(const Levels& l, const SubBlocks& b, ScaleAndOffset at) {
  const V16 inverse = InverseOf(at.scale), zero = Set(0.0f);
  AffineSums s = {zero, zero, zero, zero, zero};
  for (int i = 0; i < l.n; ++i) {
    const V16 x = Add(Load(b.x[i]), at.offset), w = Load(b.w[i]);
    const V16 v = Nearest<false>(l, Mul(x, inverse));
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

static ScaleAndOffset TryAffine(const Levels& l, const SubBlocks& b, ScaleAndOffset at,
                                AffineFit* fit) {
  const AffineSums s = SumAffine(l, b, at);
  ScaleAndOffset step = SolveAffine(s, b.weight);
  if (l.group > 1) {  // mins are not negative
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

static AffineFit FitAffine(const Levels& l, const SubBlocks& b) {
  const V16 zero = Set(0.0f);
  V16 low = l.group > 1 ? zero : Load(b.x[0]), high = low;
  for (int i = 0; i < l.n; ++i) {
    low = Min(Load(b.x[i]), low);
    high = Max(Load(b.x[i]), high);
  }
  AffineFit fit = {zero, zero, Set(__builtin_inff()), zero, zero};
  const V16 range = Sub(high, low), offset = Sub(zero, low);
  // How many steps the range takes: around as many as there are.
  for (int i = 0; i < kRanges; ++i) {
    const float steps = l.high + l.step * static_cast<float>(i - kRangesInside);
    const ScaleAndOffset next = TryAffine(l, b, {Mul(range, Set(1.0f / steps)), offset}, &fit);
    TryAffine(l, b, next, &fit);
  }
  for (int i = 0; i < kPolishes; ++i) TryAffine(l, b, {fit.scale, fit.offset}, &fit);
  return fit;
}

static Chosen ChooseAffine(const Levels& l, const SubBlocks& b) {
  const V16 zero = Set(0.0f), infinity = Set(__builtin_inff());
  const AffineFit fit = FitAffine(l, b);
  ScaleAndOffset target = {fit.scale, fit.offset};
  // By how much the best offset grows with the scale: the mean value.
  V16 mean = Ratio(fit.v, b.weight);
  V16 d = ChooseUnit(l, b, target.scale, Sub(fit.vv, Mul(fit.v, mean)));
  V16 m = zero, least = infinity;
  Chosen best = {zero, zero, zero, zero};
  for (int round = 0; round < kRounds; ++round) {
    const int tries = round == 0 || l.tries < 3 ? l.tries : 3;
    const V16 per_d = InverseOf(d);
    if (round == 0) {
      const V16 change = Sub(Mul(d, WholeScale(l, target.scale, per_d)), target.scale);
      const V16 offset = Add(target.offset, Mul(change, mean));
      m = ChooseUnit(l, b, l.group > 1 ? Max(offset, zero) : offset, b.weight);
    }
    const V16 per_m = InverseOf(m);
    V16 scale = zero, min = zero;
    AffineSums sums = {zero, zero, zero, zero, infinity};
    for (int i = 0; i < tries; ++i) {
      const V16 n = WholeScale(l, target.scale, per_d, Neighbour(i));
      const V16 change = Sub(Mul(d, n), target.scale);
      const V16 offset = Add(target.offset, Mul(change, mean));
      for (int j = 0; j < (l.group == 1 ? 1 : 3); ++j) {
        const V16 k = WholeScale(l, offset, per_m, Neighbour(j));
        const AffineSums s = SumAffine(l, b, {Mul(d, n), Mul(m, k)});
        scale = IfLess(s.ee, sums.ee, n, scale);
        min = IfLess(s.ee, sums.ee, k, min);
        sums.v = IfLess(s.ee, sums.ee, s.v, sums.v);
        sums.vv = IfLess(s.ee, sums.ee, s.vv, sums.vv);
        sums.e = IfLess(s.ee, sums.ee, s.e, sums.e);
        sums.ev = IfLess(s.ee, sums.ee, s.ev, sums.ev);
        sums.ee = Min(s.ee, sums.ee);
      }
    }
    const V16 error = GroupAdd(sums.ee, l.group);
    best.d = IfLess(error, least, d, best.d);
    best.m = IfLess(error, least, m, best.m);
    best.scale = IfLess(error, least, scale, best.scale);
    best.min = IfLess(error, least, min, best.min);
    least = Min(error, least);
    // For these values: the best scale and offset of each sub-block, and the best d and m.
    const ScaleAndOffset own = SolveAffine(sums, b.weight);
    target = {Add(Mul(d, scale), own.scale), Add(Mul(m, min), own.offset)};
    mean = Ratio(sums.v, b.weight);
    sums.v = GroupAdd(Mul(Mul(scale, min), sums.v), l.group);
    sums.vv = GroupAdd(Mul(Mul(scale, scale), sums.vv), l.group);
    sums.e = GroupAdd(Mul(min, sums.e), l.group);
    sums.ev = GroupAdd(Mul(scale, sums.ev), l.group);
    const V16 weight = GroupAdd(Mul(Mul(min, min), b.weight), l.group);
    const ScaleAndOffset common = SolveAffine(sums, weight);
    d = AsHalf(Max(Add(d, common.scale), zero), b);
    m = Add(m, common.offset);
    m = AsHalf(l.group > 1 ? Max(m, zero) : m, b);
  }
  return best;
}

// --- Blocks

// `count` elements, at most 16 sub-blocks.
static void EncodeBlocks(quant::Type type, const float* src, const float* importance, int64_t count,
                         size_t block_bytes, uint8_t* dst) {
  const Levels l = LevelsOf(type);
  SubBlocks b;
  LoadSubBlocks(l, src, importance, count, &b);
  const Chosen chosen = l.has_min ? ChooseAffine(l, b) : ChooseScaled(l, b);
  const V16 inverse = InverseOf(Mul(chosen.d, chosen.scale)), offset = Mul(chosen.m, chosen.min);
  const V16 zero = Set(static_cast<float>(quant::GridOf(type).zero));
  int8_t code[32][16], scale[16], min[16];
  for (int i = 0; i < l.n; ++i) {
    const V16 t = Mul(Add(Load(b.x[i]), offset), inverse);
    StoreInt8(l.is_table ? Iq4Index(t) : Add(Nearest<false>(l, t), zero), code[i]);
  }
  StoreInt8(chosen.scale, scale);
  StoreInt8(chosen.min, min);
  uint8_t d[32], m[32];
  StoreHalf(Mul(chosen.d, b.unit), d);
  // A simple block adds m, a super-block takes dmin off.
  StoreHalf(Mul(l.group == 1 ? Sub(Set(0.0f), chosen.m) : chosen.m, b.unit), m);
  quant::IntegerBlock block;
  for (int first = 0; first < 16 && first * l.n < count; first += l.group, dst += block_bytes) {
    for (int lane = 0; lane < l.group; ++lane) {
      for (int i = 0; i < l.n; ++i)
        block.code[lane * l.n + i] = static_cast<uint8_t>(code[i][first + lane]);
      block.scale[lane] = scale[first + lane];
      block.min[lane] = static_cast<uint8_t>(min[first + lane]);
    }
    __builtin_memcpy(&block.d, d + 2 * first, 2);
    __builtin_memcpy(&block.m, m + 2 * first, 2);
    quant::FromIntegers(type, block, dst);
  }
}

template <quant::Type kType>
static void Encode(const float* src, const float* importance, uint8_t* dst, int64_t n) {
  const quant::TypeTraits& traits = quant::Traits(kType);
  if (!importance && traits.encode) return traits.encode(src, dst, n);
  const int64_t step = 16 * LevelsOf(kType).n;
  for (int64_t i = 0; i < n; i += step)
    EncodeBlocks(kType, src + i, importance ? importance + i : nullptr, n - i < step ? n - i : step,
                 traits.block_bytes,
                 dst + static_cast<size_t>(i / traits.block_size) * traits.block_bytes);
}

}  // namespace encoding
