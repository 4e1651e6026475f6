// Qwen 3, dense: norms on each head of q and k. Checked against transformers' modeling_qwen3.py.
#include "model/families/families.h"

namespace slm::model {

const Family kQwen3 = {.arch = "qwen3"};

}  // namespace slm::model
