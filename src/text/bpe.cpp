#include "text/bpe.h"

#include "base/error.h"
#include "text/unicode.h"

namespace slm::text {
namespace {

// The byte for each character of GPT-2's alphabet: printable Latin-1 stands for itself, the other
// bytes, in order, for U+0100 and up. -1 elsewhere.
constexpr size_t kAlphabetEnd = 0x144;

std::array<int16_t, kAlphabetEnd> MakeAlphabet() {
  std::array<int16_t, kAlphabetEnd> bytes;
  bytes.fill(-1);
  size_t next = 0x100;
  for (size_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte != 0xad);
    bytes[printable ? byte : next++] = static_cast<int16_t>(byte);
  }
  return bytes;
}

PairTable ReadMerges(const Vocab& vocab, const TokenTable& tokens) {
  PairTable pairs(vocab.merges.size());
  const auto find = [&](std::string_view text) {
    const auto bytes = BytesOfGpt2Token(text);
    return bytes ? tokens.Find(*bytes) : -1;
  };
  for (size_t i = 0; i < vocab.merges.size(); ++i) {
    const std::string_view merge = vocab.merges[i];
    const size_t space = merge.find(' ', 1);
    if (space == std::string_view::npos || space + 1 == merge.size()) {
      throw Error(Code::kBadInput, "vocabulary: merge {} is '{}', expected two tokens and a space",
                  i, merge.substr(0, 64));
    }
    const std::string_view left = merge.substr(0, space), right = merge.substr(space + 1);
    const int32_t left_id = find(left), right_id = find(right);
    const int32_t id = find(std::string(left).append(right));
    if (left_id < 0 || right_id < 0 || id < 0) {
      throw Error(Code::kBadInput, "vocabulary: merge {}, '{}': its {} is no token", i,
                  merge.substr(0, 64),
                  left_id < 0    ? "left part"
                  : right_id < 0 ? "right part"
                                 : "result");
    }
    pairs.Add(left_id, right_id, {static_cast<uint32_t>(i), id});
  }
  return pairs;
}

}  // namespace

std::optional<std::string> BytesOfGpt2Token(std::string_view token) {
  static const auto alphabet = MakeAlphabet();
  std::string bytes;
  bytes.reserve(token.size());
  for (const char *p = token.data(), *end = p + token.size(); p < end;) {
    const Utf8Char c = DecodeUtf8(p, end);
    if (c.status != Utf8Char::kValid || c.code >= kAlphabetEnd || alphabet[c.code] < 0)
      return std::nullopt;
    bytes.push_back(static_cast<char>(alphabet[c.code]));
    p += c.size;
  }
  return bytes;
}

Bpe::Bpe(const Vocab& vocab, const TokenTable& tokens, const PreTokenizer& pre)
    : tokens_(tokens), pre_(pre), whole_(tokens.size()) {
  for (size_t byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    byte_ids_[byte] = tokens.Find({&c, 1});
  }
  if (!vocab.merges.empty()) pairs_ = ReadMerges(vocab, tokens);
}

void Bpe::Encode(std::string_view text, std::vector<int32_t>* out) const {
  const std::optional<std::string> normalized =
      pre_.nfc ? NormalizeNfc(text) : std::optional<std::string>();
  if (normalized) text = *normalized;
  std::vector<Symbol> scratch;
  for (const char *p = text.data(), *end = p + text.size(); p < end;) {
    const char* const next = pre_.next(p, end);
    EncodePiece({p, static_cast<size_t>(next - p)}, &scratch, out);
    p = next;
  }
}

void Bpe::EncodePiece(std::string_view piece, std::vector<Symbol>* scratch,
                      std::vector<int32_t>* out) const {
  const int32_t id = tokens_.Find(piece);
  const auto whole = id < 0                                     ? WholePieces::kSplit
                     : pre_.whole_pieces || !pairs_.has_value() ? WholePieces::kWhole
                                                                : whole_.Get(id);
  if (whole == WholePieces::kWhole) {
    out->push_back(id);
    return;
  }
  Split(piece, scratch);
  for (const Symbol& symbol : *scratch) out->push_back(symbol.id);
  if (whole == WholePieces::kUnknown)
    whole_.Set(id, scratch->size() == 1 && scratch->front().id == id);
}

void Bpe::Split(std::string_view piece, std::vector<Symbol>* symbols) const {
  if (piece.size() >= UINT32_MAX)
    throw Error(Code::kUnsupported, "text: a piece of {} bytes without a break", piece.size());
  symbols->clear();
  for (uint32_t i = 0; i < piece.size(); ++i) {
    const int32_t id = byte_ids_[static_cast<uint8_t>(piece[i])];
    if (id >= 0) symbols->push_back({i, i + 1, id});
  }
  if (pairs_) {
    MergeSymbols(symbols, [this](const Symbol& left, const Symbol& right) {
      return pairs_->Find(left.id, right.id);
    });
    return;
  }
  MergeSymbols(symbols, [&](const Symbol& left, const Symbol& right) {
    const int32_t id = tokens_.Find(piece.substr(left.begin, right.end - left.begin));
    return id < 0 ? Merge() : Merge{static_cast<uint32_t>(id), id};
  });
}

}  // namespace slm::text
