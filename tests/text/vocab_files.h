// Vocabularies for tests, from GGUF files and from the files of tiktoken and mistral-common.
#pragma once

#include <deque>
#include <memory>
#include <string>

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

}  // namespace slm::text
