// Any text as a tokenizer.json, and as a tekken.json: an Error, or a vocabulary of the size asked
// for.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.h"
#include "convert/tekken.h"
#include "convert/tokenizer_json.h"
#include "text/json.h"

namespace {

constexpr size_t kVocabSize = 300;

slm::convert::HfVocab Padding() {
  slm::convert::HfVocab vocab;
  for (size_t id = 0; id < kVocabSize; ++id) SetToken(&vocab, id, "[PAD]", 5, 0.0f);
  return vocab;
}

template <class Read>
void Try(const Read& read) {
  slm::convert::HfVocab vocab = Padding();
  try {
    read(&vocab);
    SLM_CHECK(vocab.tokens.size() == kVocabSize && vocab.types.size() == kVocabSize);
    SLM_CHECK(vocab.scores.empty() || vocab.scores.size() == kVocabSize);
  } catch (const slm::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Try([&](slm::convert::HfVocab* vocab) {
    const auto json = slm::text::ParseSortedJson(text, "fuzz");
    slm::convert::ReadTokenizerJson("fuzz", json, kVocabSize, vocab);
  });
  Try([&](slm::convert::HfVocab* vocab) {
    slm::convert::ReadTekken("fuzz", text, kVocabSize, vocab);
  });
  return 0;
}
