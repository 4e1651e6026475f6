// The tokenizer that a model file carries.
#pragma once

#include "format/gguf.h"
#include "text/tokenizer.h"
#include "text/vocab.h"

namespace slm::model {

// The vocabulary as the file has it, as views of it. Throws kBadInput, naming the key.
text::Vocab ReadVocab(const format::GgufFile& file);

// Throws Error as text::Tokenizer does, naming the file.
text::Tokenizer MakeTokenizer(const format::GgufFile& file);

}  // namespace slm::model
