// The functions of the backward pass, on rows of floats: part of KernelTable. A derivative is named
// by a d before what it is taken by: `dx` is that of the loss by x.
#pragma once

#include <cstdint>

namespace slm::kernels {

struct AdamStep {
  float learning_rate = 0;  // with the corrections of both moments in it, see adamw
  float decay = 1;          // 1 - learning rate * weight decay: weights are multiplied by it first
  float beta1 = 0, beta2 = 0;
  float epsilon = 0;  // times the root of the second moment's correction
};

struct GradientKernels {
  // out = rms_norm(x) * w: dx += what dout makes of it.
  void (*rms_norm)(const float* x, const float* w, const float* dout, int64_t n, float eps,
                   float* dx);
  // out = silu(gate) * up, or gelu(gate) * up with the tanh form.
  void (*silu_mul)(const float* gate, const float* up, const float* dout, int64_t n, float* dgate,
                   float* dup);
  void (*gelu_mul)(const float* gate, const float* up, const float* dout, int64_t n, float* dgate,
                   float* dup);
  // y = softcap(x): inout *= dy / dx.
  void (*softcap)(const float* y, float cap, int64_t n, float* inout);
  // inout = exp(inout - log sum exp(inout)); returns that logarithm.
  float (*softmax)(int64_t n, float* inout);
  // p = softmax(s): inout is dp, and becomes ds.
  void (*softmax_backward)(const float* p, int64_t n, float* inout);
  // Decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101), as PyTorch's AdamW orders it:
  //   m = m + (1 - beta1) (g - m), v = beta2 v + (1 - beta2) g g,
  //   w = w decay - learning_rate m / (sqrt(v) + epsilon)
  void (*adamw)(const AdamStep& step, const float* g, int64_t n, float* m, float* v, float* w);
};

}  // namespace slm::kernels
