// general.*: the name, licence and origins of a model, and its sampling defaults, from README.md's
// front matter, generation_config.json, config.json and the folder's name, as llama.cpp's converter
// takes them.
#pragma once

#include <cstdint>

#include "convert/checkpoint.h"
#include "format/gguf_writer.h"

namespace slm::convert {

// A README.md that is no model card says nothing; neither is an error.
void WriteGeneralMetadata(const Checkpoint& checkpoint, int64_t parameters,
                          format::GgufWriter* writer);

}  // namespace slm::convert
