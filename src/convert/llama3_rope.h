// Llama 3's rope scaling: four numbers in config.json, a tensor of factors in GGUF.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace slm::convert {

struct Llama3Scaling {
  double factor = 1;
  double low_freq_factor = 1, high_freq_factor = 4;
  double original_context = 0;  // original_max_position_embeddings
};

// What the frequency of each pair is divided by, [rope_dim / 2]: where a wavelength is beyond the
// original context, `factor`; short ones are kept, those between blended. In float, as PyTorch
// computes it. Reference: transformers, modeling_rope_utils.py, _compute_llama3_parameters.
std::vector<float> Llama3Factors(const Llama3Scaling& scaling, double rope_base, int64_t rope_dim);

// Numbers that give these factors, to 2e-5. The factors fix them only up to a common multiple of
// all but `factor`; low_freq_factor 1, as published, decides, and round numbers come first. Nothing
// when the factors are not of this kind.
std::optional<Llama3Scaling> FindLlama3Scaling(std::span<const float> factors, double rope_base,
                                               int64_t rope_dim);

}  // namespace slm::convert
