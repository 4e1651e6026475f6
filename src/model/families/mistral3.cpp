// Ministral 3: Llama with YaRN and queries that grow with the position
// (attention.temperature_scale). Checked against transformers' modeling_ministral3.py.
#include "model/families/families.h"

namespace slm::model {

const Family kMistral3 = {.arch = "mistral3", .rope_pairs = RopePairs::kInterleaved};

}  // namespace slm::model
