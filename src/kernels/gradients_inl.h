// The functions of kernels/gradients.h, written once over V16; included after float_inl.h.

static void RmsNormBackward(const float* x, const float* w, const float* dout, int64_t n, float eps,
                            float* dx) {
  V16 squares = Set(0.0f), products = Set(0.0f);
  for (int64_t i = 0; i < n; i += 16) {
    const V16 v = LoadN(x + i, n - i);
    squares = Fma(v, v, squares);
    products = Fma(Mul(LoadN(w + i, n - i), LoadN(dout + i, n - i)), v, products);
  }
  const float factor = 1.0f / __builtin_sqrtf(ReduceAdd(squares) / static_cast<float>(n) + eps);
  // Of f = (mean x^2 + eps)^(-1/2), df / dx_i = -f^3 x_i / n.
  const float slope = -factor * factor * factor * (ReduceAdd(products) / static_cast<float>(n));
  for (int64_t i = 0; i < n; i += 16) {
    const V16 direct = Mul(Mul(LoadN(w + i, n - i), LoadN(dout + i, n - i)), Set(factor));
    const V16 sum = Fma(LoadN(x + i, n - i), Set(slope), direct);
    StoreN(Add(LoadN(dx + i, n - i), sum), dx + i, n - i);
  }
}

// Of g * sigmoid(y), y a function of g with the derivative `dy`.
SLM_INLINE void GateBackward(V16 g, V16 y, V16 dy, const float* up, const float* dout, int64_t n,
                             float* dgate, float* dup) {
  const V16 sigmoid = Div(Set(1.0f), Add(Set(1.0f), Exp(Sub(Set(0.0f), y))));
  const V16 d = LoadN(dout, n);
  const V16 value = Mul(g, sigmoid);
  // s + g s (1 - s) y'
  const V16 slope = Fma(Mul(value, Sub(Set(1.0f), sigmoid)), dy, sigmoid);
  const V16 u = LoadN(up, n);
  StoreN(Mul(Mul(d, u), slope), dgate, n);
  StoreN(Mul(d, value), dup, n);
}

static void SiluMulBackward(const float* gate, const float* up, const float* dout, int64_t n,
                            float* dgate, float* dup) {
  for (int64_t i = 0; i < n; i += 16) {
    const V16 g = LoadN(gate + i, n - i);
    GateBackward(g, g, Set(1.0f), up + i, dout + i, n - i, dgate + i, dup + i);
  }
}

static void GeluMulBackward(const float* gate, const float* up, const float* dout, int64_t n,
                            float* dgate, float* dup) {
  for (int64_t i = 0; i < n; i += 16) {
    const V16 g = LoadN(gate + i, n - i);
    const V16 square = Mul(g, g);
    const V16 y = Mul(Fma(Mul(square, g), Set(0.044715f), g), Set(1.59576912f));
    const V16 dy = Fma(square, Set(3 * 0.044715f * 1.59576912f), Set(1.59576912f));
    GateBackward(g, y, dy, up + i, dout + i, n - i, dgate + i, dup + i);
  }
}

// d cap tanh(x / cap) / dx = 1 - tanh^2
static void SoftcapBackward(const float* y, float cap, int64_t n, float* inout) {
  for (int64_t i = 0; i < n; i += 16) {
    const V16 tanh = Mul(LoadN(y + i, n - i), Set(1.0f / cap));
    const V16 slope = Fma(Sub(Set(0.0f), tanh), tanh, Set(1.0f));
    StoreN(Mul(LoadN(inout + i, n - i), slope), inout + i, n - i);
  }
}

static float SoftmaxInPlace(int64_t n, float* inout) {
  const float lowest = -__builtin_inff();
  V16 largest = Set(lowest);
  for (int64_t i = 0; i < n; i += 16) {
    const int64_t left = n - i;
    V16 x = LoadN(inout + i, left);
    if (left < 16) x = Select(x, 0, static_cast<int>(left), lowest);
    largest = Max(x, largest);
  }
  const float max = ReduceMax(largest);
  V16 sums = Set(0.0f);
  for (int64_t i = 0; i < n; i += 16) {
    const int64_t left = n - i;
    V16 e = Exp(Sub(LoadN(inout + i, left), Set(max)));
    if (left < 16) e = Select(e, 0, static_cast<int>(left), 0.0f);
    StoreN(e, inout + i, left);
    sums = Add(sums, e);
  }
  const float sum = ReduceAdd(sums);
  Scale(1.0f / sum, n, inout);
  return max + static_cast<float>(__builtin_log(static_cast<double>(sum)));
}

static void SoftmaxBackward(const float* p, int64_t n, float* inout) {
  V16 sums = Set(0.0f);
  for (int64_t i = 0; i < n; i += 16)
    sums = Fma(LoadN(p + i, n - i), LoadN(inout + i, n - i), sums);
  const V16 mean = Set(ReduceAdd(sums));
  for (int64_t i = 0; i < n; i += 16)
    StoreN(Mul(LoadN(p + i, n - i), Sub(LoadN(inout + i, n - i), mean)), inout + i, n - i);
}

static void AdamW(const AdamStep& step, const float* g, int64_t n, float* m, float* v, float* w) {
  const V16 new1 = Set(1.0f - step.beta1), new2 = Set(1.0f - step.beta2), beta2 = Set(step.beta2);
  for (int64_t i = 0; i < n; i += 16) {
    const int64_t left = n - i;
    const V16 gradient = LoadN(g + i, left);
    V16 first = LoadN(m + i, left);
    first = Fma(Sub(gradient, first), new1, first);
    const V16 second = Fma(Mul(gradient, gradient), new2, Mul(LoadN(v + i, left), beta2));
    StoreN(first, m + i, left);
    StoreN(second, v + i, left);
    const V16 change = Div(first, Add(Sqrt(second), Set(step.epsilon)));
    const V16 kept = Mul(LoadN(w + i, left), Set(step.decay));
    StoreN(Fma(change, Set(-step.learning_rate), kept), w + i, left);
  }
}

static void InstallGradients(GradientKernels* table) {
  table->rms_norm = RmsNormBackward;
  table->silu_mul = SiluMulBackward;
  table->gelu_mul = GeluMulBackward;
  table->softcap = SoftcapBackward;
  table->softmax = SoftmaxInPlace;
  table->softmax_backward = SoftmaxBackward;
  table->adamw = AdamW;
}
