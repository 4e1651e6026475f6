// Gemma 2 (2B to 27B) and the text part of Gemma 3 (270M to 27B). Checked against transformers'
// modeling_gemma2.py and modeling_gemma3.py. The converter folds the (1 + w) of the norms. Gemma 2
// alternates window and full layers and caps its logits; Gemma 3 has five window layers, with a
// rope base of their own, to a full one. The 27B models scale queries by 1/sqrt(D / H), which their
// files do not say.
#include "model/families/families.h"

namespace slm::model {

const Family kGemma2 = {.arch = "gemma2",
                        .norm_place = NormPlace::kPreAndPost,
                        .activation = ops::Activation::kGelu,
                        .scales_embedding = true,
                        .window_period = 2,
                        .window = 4096,
                        .attn_softcap = 50.0f,
                        .final_softcap = 30.0f,
                        .wide_query_scale_layers = 46};

const Family kGemma3 = {.arch = "gemma3",
                        .norm_place = NormPlace::kPreAndPost,
                        .activation = ops::Activation::kGelu,
                        .scales_embedding = true,
                        .window_period = 6,
                        .rope_base = 1000000.0f,
                        .window_rope_base = 10000.0f,
                        .wide_query_scale_layers = 62};

}  // namespace slm::model
