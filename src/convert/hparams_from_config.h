// The numbers of a model from config.json, and as GGUF metadata with the keys and values of
// llama.cpp's converter.
#pragma once

#include <optional>
#include <vector>

#include "convert/checkpoint.h"
#include "format/gguf_writer.h"
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

// Shapes, as far as tensors depend on them: what SizeOf() reads, and layers and context. Throws
// kBadInput, naming the key, for what is missing or makes no sense.
model::Hparams HparamsOf(const Checkpoint& checkpoint);

// <arch>.*, rope scaling included. Throws kUnsupported for a scaling that the family's GGUF cannot
// say. Adds notices of what is not carried over.
void WriteHparams(const Checkpoint& checkpoint, const model::Hparams& hparams,
                  format::GgufWriter* writer, std::vector<std::string>* notices);

// A tensor that is computed from config.json: rope_freqs or rope_factors_*.
struct RopeTensor {
  model::Slot slot;
  std::vector<float> values;  // [rope_dim / 2]
};

// None for scalings that WriteHparams refuses.
std::vector<RopeTensor> MakeRopeTensors(const Checkpoint& checkpoint,
                                        const model::Hparams& hparams);

}  // namespace slm::convert
