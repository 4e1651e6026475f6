// The tensors of a checkpoint as those of our table: found, checked, and read row by row as floats
// with all that lies between the two layouts undone (scales of FP8, rows of q and k, 1 + w of
// norms).
#pragma once

#include <string>
#include <vector>

#include "convert/checkpoint.h"
#include "format/tensor_stream.h"
#include "model/hparams.h"

namespace slm::convert {

struct CheckpointTensors {
  std::vector<format::TensorSource> sources;  // those outside of layers, then layer by layer
  std::vector<std::string> notices;           // what was left out
};

// The sources read `checkpoint`, which must outlive them. Throws Error kBadInput naming the tensor
// that is missing, doubled, of a shape that config.json contradicts, or of no known use;
// kUnsupported for element types other than F32, F16, BF16 and F8_E4M3. Reading rows with NaN or
// infinity throws kBadInput unless `allows_non_finite`.
CheckpointTensors ListTensors(const Checkpoint& checkpoint, const model::Hparams& hparams,
                              bool allows_non_finite);

}  // namespace slm::convert
