// The tokenizer that a model file carries.
#pragma once

#include <string>

#include "format/gguf.h"
#include "text/tokenizer.h"

namespace slm::model {

// Throws Error as text::Tokenizer does, naming the file.
text::Tokenizer MakeTokenizer(const format::GgufFile& file);

}  // namespace slm::model
