// Llama 2, 3, 3.1 and 3.2 (rope factors as a tensor), SmolLM2, Mistral. Checked against
// transformers' modeling_llama.py. The converter permutes q and k, so that pairs are interleaved.
#include "model/families/families.h"

namespace slm::model {

const Family kLlama = {.arch = "llama", .rope_pairs = RopePairs::kInterleaved};

}  // namespace slm::model
