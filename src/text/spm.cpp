#include "text/spm.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/error.h"
#include "text/unicode.h"

namespace slm::text {
namespace {

// Equal scores get equal ranks: the leftmost pair then wins.
std::vector<uint32_t> RankByScore(const std::vector<float>& scores) {
  std::vector<float> sorted = scores;
  for (size_t i = 0; i < scores.size(); ++i) {
    if (std::isnan(scores[i]))
      throw Error(Code::kBadInput, "vocabulary: the score of token {} is not a number", i);
  }
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  std::vector<uint32_t> ranks;
  ranks.reserve(scores.size());
  for (const float score : scores) {
    const auto place = std::lower_bound(sorted.begin(), sorted.end(), score, std::greater<>());
    ranks.push_back(static_cast<uint32_t>(place - sorted.begin()));
  }
  return ranks;
}

}  // namespace

Spm::Spm(const Vocab& vocab, const TokenTable& tokens, const std::vector<int32_t>& mergeable,
         const std::array<int32_t, 256>& byte_ids, int32_t unk)
    : tokens_(tokens),
      ranks_(RankByScore(vocab.scores)),
      byte_ids_(byte_ids),
      unk_(unk),
      whole_(tokens.size()) {
  for (const int32_t id : mergeable) {
    const std::string_view token = tokens.Bytes(id);
    for (size_t i = 1; i < token.size(); ++i) {
      if (token[i] == ' ' && token[i - 1] != ' ')
        joins_space_.set(static_cast<uint8_t>(token[i - 1]));
    }
  }
}

// SentencePiece merges over the whole text. No merge crosses a place that no token has inside, so
// that cutting there changes nothing and leaves words: short, and often a token themselves.
void Spm::Encode(std::string_view text, std::vector<int32_t>* ids) const {
  std::vector<Symbol> scratch;
  Output out{ids};
  size_t begin = 0;
  for (size_t i = 1; i <= text.size(); ++i) {
    const bool cut = i == text.size() || (text[i] == ' ' && text[i - 1] != ' ' &&
                                          !joins_space_[static_cast<uint8_t>(text[i - 1])]);
    if (!cut) continue;
    EncodePiece(text.substr(begin, i - begin), &scratch, &out);
    begin = i;
  }
}

void Spm::EncodePiece(std::string_view piece, std::vector<Symbol>* scratch, Output* out) const {
  const int32_t id = tokens_.Find(piece);
  const auto whole = id < 0 ? WholePieces::kSplit : whole_.Get(id);
  if (whole == WholePieces::kWhole) {
    out->ids->push_back(id);
    out->after_unknown = false;
    return;
  }
  Split(piece, scratch);
  for (const Symbol& symbol : *scratch) Emit(piece, symbol, out);
  if (whole == WholePieces::kUnknown)
    whole_.Set(id, scratch->size() == 1 && scratch->front().id == id);
}

void Spm::Split(std::string_view piece, std::vector<Symbol>* symbols) const {
  if (piece.size() >= UINT32_MAX)
    throw Error(Code::kUnsupported, "text: a piece of {} bytes without a break", piece.size());
  symbols->clear();
  const char* const end = piece.data() + piece.size();
  for (uint32_t i = 0; i < piece.size();) {
    const Utf8Char c = DecodeUtf8(piece.data() + i, end);
    const uint32_t size = c.status == Utf8Char::kValid ? c.size : 1;
    symbols->push_back({i, i + size, tokens_.Find(piece.substr(i, size))});
    i += size;
  }
  MergeSymbols(symbols, [&](const Symbol& left, const Symbol& right) {
    const int32_t id = tokens_.Find(piece.substr(left.begin, right.end - left.begin));
    return id < 0 ? Merge() : Merge{ranks_[static_cast<size_t>(id)], id};
  });
}

void Spm::Emit(std::string_view piece, const Symbol& symbol, Output* out) const {
  if (symbol.id >= 0) {
    out->ids->push_back(symbol.id);
    out->after_unknown = false;
    return;
  }
  for (uint32_t i = symbol.begin; i < symbol.end; ++i) {
    int32_t id = byte_ids_[static_cast<uint8_t>(piece[i])];
    const bool unknown = id < 0;
    if (unknown) id = out->after_unknown ? -1 : unk_;
    if (id >= 0) out->ids->push_back(id);
    out->after_unknown = unknown;
  }
}

}  // namespace slm::text
