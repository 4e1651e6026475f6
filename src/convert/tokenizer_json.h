// Reads Hugging Face's tokenizer.json: byte-level BPE, and BPE with byte fallback, which is how
// SentencePiece's BPE is written there.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "convert/vocab_files.h"

namespace slm::convert {

// Fills tokens, types, scores or merges, and what the post-processor adds. `vocab_size`: rows of
// the embedding. Throws as ReadHfVocab does.
void ReadTokenizerJson(const std::string& path, const nlohmann::json& tokenizer, size_t vocab_size,
                       HfVocab* vocab);

// The added tokens alone, over a vocabulary that came from elsewhere.
void ReadAddedTokens(const std::string& path, const nlohmann::json& tokenizer, size_t vocab_size,
                     HfVocab* vocab);

// One added token: control when it is special or looks so, else user-defined with plain spaces.
void AddToken(HfVocab* vocab, size_t id, const std::string& text, bool is_special);

}  // namespace slm::convert
