// H = (U + I) D (U + I)^T with U strictly upper triangular. With e = w - q the squared error of an
// output is then
//   e H e^T = sum over j of D_j (w_j + sum over i < j of U_ij e_i - q_j)^2
// so that rounding columns in order, each to what is nearest to w_j plus the feedback of the errors
// made before it, makes every term as small as it can be then. This is GPTQ (Frantar et al. 2022,
// arXiv 2210.17323) in the form of LDLQ (Chee et al. 2023, arXiv 2307.13304), which needs no
// inverse.
#pragma once

#include <cstdint>
#include <vector>

#include "compress/gram.h"

namespace slm {
class ThreadPool;
}
namespace slm::kernels {
struct KernelTable;
}

namespace slm::compress {

struct FeedbackFactor {
  int64_t k = 0;
  std::vector<float> ut;  // [k, k]: U_ij at j * k + i, below the diagonal
  std::vector<float> d;   // [k], positive
};

// Of H + damping * mean(diagonal of H) * I, scaled to a mean diagonal of 1; damping > 0 makes up
// for columns that the calibration text never used.
FeedbackFactor MakeFeedbackFactor(Gram gram, float damping, const kernels::KernelTable& kernels,
                                  ThreadPool* pool);

}  // namespace slm::compress
