// general.*: the name, licence and origins of a model, and its sampling defaults, from README.md's
// front matter, generation_config.json, config.json and the folder's name, as llama.cpp's converter
// takes them.
#pragma once

#include <cstdint>

#include "convert/checkpoint.h"
#include "format/gguf_writer.h"
#include "text/chat_template.h"

namespace slm::convert {

// A README.md that is no model card says nothing; neither is an error. Adds notices of what is left
// out. Returns what the file now says about its origin, but for the tokenizer.
text::ModelTraits WriteGeneralMetadata(const Checkpoint& checkpoint, int64_t parameters,
                                       format::GgufWriter* writer,
                                       std::vector<std::string>* notices);

}  // namespace slm::convert
