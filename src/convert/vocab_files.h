// A checkpoint's tokenizer as the tokenizer.* metadata of a GGUF file. Three sources: a
// SentencePiece tokenizer.model, Hugging Face's tokenizer.json, mistral-common's tekken.json.
//
// What is written follows llama.cpp's converter; docs/convert.md lists where the publishers' files
// are taken more literally.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "convert/config.h"
#include "format/gguf_writer.h"
#include "text/vocab.h"

namespace slm::convert {

struct HfVocab {
  std::string model, pre;  // as text::Vocab
  std::vector<std::string> tokens;
  std::vector<float> scores;        // "llama" only
  std::vector<int32_t> types;       // text::TokenType
  std::vector<std::string> merges;  // "gpt2" only

  int32_t bos = -1, eos = -1, eot = -1, eom = -1, unk = -1, pad = -1;
  std::optional<bool> add_bos, add_eos, add_space_prefix, remove_extra_whitespaces;

  std::string chat_template;                          // empty: none
  std::map<std::string, std::string> more_templates;  // by name: "tool_use"

  std::vector<std::string> notices;  // none twice
};

// `config` is the checkpoint's; the vocabulary is padded to its vocab_size with unused tokens, as
// the rows of the embedding are. Throws Error: kBadInput for files that are missing, malformed or
// contradict each other, kUnsupported for tokenizers that GGUF cannot say, naming what is new.
HfVocab ReadHfVocab(const std::string& folder, const Config& config);

// What a runtime will read. Views into `vocab`.
text::Vocab ViewOf(const HfVocab& vocab);

void WriteVocab(const HfVocab& vocab, format::GgufWriter* writer);

// Fills what the readers of the three formats share: id `id` becomes `text` with `type`; ids that
// were not set before are padding.
void SetToken(HfVocab* vocab, size_t id, std::string text, int32_t type, float score);

}  // namespace slm::convert
