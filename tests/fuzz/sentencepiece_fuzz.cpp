// Any bytes as a tokenizer.model: an Error, or pieces of known types.
#include <cstdint>

#include "base/error.h"
#include "convert/sentencepiece_model.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto model = slm::convert::ParseSentencePiece("fuzz", {data, size});
    SLM_CHECK(!model.pieces.empty() && model.pieces.size() <= size);
    for (const auto& piece : model.pieces) SLM_CHECK(piece.type >= 1 && piece.type <= 6);
  } catch (const slm::Error&) {
  }
  return 0;
}
