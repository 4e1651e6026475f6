// Phi-3, Phi-3.5, Phi-4 and Phi-4-mini: fused qkv and gate/up, partial rotary, long rope with two
// sets of factors. Checked against transformers' modeling_phi3.py. A window in the file is for
// every layer, as transformers has it.
#include "model/families/families.h"

namespace slm::model {

const Family kPhi3 = {.arch = "phi3"};

}  // namespace slm::model
