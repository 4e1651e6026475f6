// Reads mistral-common's tekken.json: byte-level BPE whose tokens merge in the order of their
// ranks.
#pragma once

#include <string>
#include <string_view>

#include "convert/vocab_files.h"

namespace slm::convert {

// Throws as ReadHfVocab does.
void ReadTekken(const std::string& path, std::string_view text, size_t vocab_size, HfVocab* vocab);

}  // namespace slm::convert
