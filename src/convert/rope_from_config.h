// Rotary positions: config.json's numbers as GGUF metadata and tensors. Reference for what they
// mean: transformers, modeling_rope_utils.py.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "convert/checkpoint.h"
#include "convert/metadata_writer.h"
#include "model/hparams.h"

namespace slm::convert {

// What config.json says of rotary positions, in its older and newer form.
struct RopeConfig {
  std::string type = "default";
  double base = 0;  // 0: not said
  std::optional<double> window_base = std::nullopt;
  Config params;  // the numbers that go with the type
};

RopeConfig ReadRope(const Config& config);

// <arch>.rope.* but for the dimensions. Throws kUnsupported for a scaling that the family's GGUF
// cannot say. Adds notices of what is not carried over.
void WriteRope(const Checkpoint& checkpoint, const model::Hparams& hparams, MetadataWriter* out,
               std::vector<std::string>* notices);

// A tensor that is computed from config.json: rope_freqs or rope_factors_*.
struct RopeTensor {
  model::Slot slot;
  std::vector<float> values;  // [rope_dim / 2]
};

// None for scalings that WriteRope refuses.
std::vector<RopeTensor> MakeRopeTensors(const Checkpoint& checkpoint,
                                        const model::Hparams& hparams);

}  // namespace slm::convert
