// Qwen 2 and 2.5, 0.5B to 72B: biases on q, k and v. Checked against transformers'
// modeling_qwen2.py.
#include "model/families/families.h"

namespace slm::model {

const Family kQwen2 = {.arch = "qwen2"};

}  // namespace slm::model
