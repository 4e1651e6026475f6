// The way back for tokenizers: the vocabulary of a GGUF file as the files that Hugging Face's
// libraries read. GGUF keeps tokens, merges and scores but only the name of the recipe (normalizer,
// regular expressions, stripping), so the recipes are spelled out here as the publishers'
// tokenizer.json files give them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "format/gguf.h"

namespace slm::convert {

struct TextFile {
  std::string name;  // in the folder, "tokenizer.json"
  std::string content;
};

// tokenizer.json, tokenizer_config.json, special_tokens_map.json and the chat templates, if the
// file has a tokenizer. `notice` is called with what a user should know. Throws kBadInput for a
// vocabulary that contradicts itself, kUnsupported for one of a kind that is not known.
std::vector<TextFile> MakeHfTokenizer(const format::GgufFile& file,
                                      const std::function<void(const std::string&)>& notice);

}  // namespace slm::convert
