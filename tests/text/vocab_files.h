// Vocabularies for tests, from GGUF files and from the files of tiktoken and mistral-common.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "format/gguf.h"
#include "text/vocab.h"

namespace slm::text {

// A vocabulary and what its views show.
struct VocabFile {
  Vocab vocab;
  std::deque<std::string> strings;
  std::unique_ptr<format::GgufFile> gguf;
};

VocabFile ReadGgufVocab(const std::string& path);

// A .tiktoken file: lines of base64 and rank, ranks ascending.
VocabFile ReadTiktoken(const std::string& path, const std::string& pre);

// mistral-common's tekken.json: the special tokens first, then the vocabulary up to the default
// size.
VocabFile ReadTekken(const std::string& path);

// Makes a vocabulary of `tokens` as they are, with `types` if there are any.
VocabFile MakeVocab(const std::string& model, const std::string& pre,
                    const std::vector<std::string>& tokens,
                    const std::vector<TokenType>& types = {},
                    const std::vector<std::string>& merges = {});

// The 256 bytes in GPT-2's alphabet, in order: a token's id is its byte.
std::vector<std::string> ByteTokens();

// tests/golden/tokenizers/<name>.json, with the strings and hashes that the script describes.
std::string GoldenPath(const std::string& name);
std::vector<std::string> GoldenStrings();
std::string Fnv1a(const std::vector<int32_t>& ids);  // 16 hexadecimal digits

}  // namespace slm::text
