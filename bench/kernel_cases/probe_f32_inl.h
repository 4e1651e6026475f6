// The probe for floats, over V16; included as kernels/float_inl.h is.
static int64_t ProbeF32(int64_t rounds) {
  V16 sum[kAccumulators];
  SLM_UNROLL
  for (int i = 0; i < kAccumulators; ++i) sum[i] = Set(static_cast<float>(i));
  const V16 w = Set(0.5f), x = Set(1.5f);
  for (int64_t i = 0; i < rounds; ++i) {
    SLM_UNROLL
    for (int j = 0; j < kAccumulators; ++j) sum[j] = Fma(w, x, sum[j]);
  }
  SLM_UNROLL
  for (int i = 1; i < kAccumulators; ++i) sum[0] = Add(sum[0], sum[i]);
  volatile float keep = ReduceAdd(sum[0]);
  (void)keep;
  return rounds * kAccumulators * 16;
}
