#include "text/tokenizer.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/error.h"
#include "text/bpe.h"
#include "text/pre_tokenizer.h"
#include "text/special_tokens.h"
#include "text/spm.h"
#include "text/token_table.h"

namespace slm::text {
namespace {

constexpr std::string_view kSpmSpace = "\xe2\x96\x81";  // U+2581

std::string WithPlainSpaces(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (true) {
    const size_t at = text.find(kSpmSpace);
    out.append(text.substr(0, at));
    if (at == std::string_view::npos) return out;
    out.push_back(' ');
    text.remove_prefix(at + kSpmSpace.size());
  }
}

// SentencePiece's remove_extra_whitespaces: none at the ends, one between words.
std::string WithoutExtraSpaces(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c != ' ' || (!out.empty() && out.back() != ' ')) out.push_back(c);
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

// The byte of "<0xNN>", -1 for any other text.
int ByteOfToken(std::string_view text) {
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
  };
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return -1;
  const int high = digit(text[3]), low = digit(text[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

std::vector<TokenType> CheckedTypes(const Vocab& vocab) {
  if (vocab.types.empty()) return std::vector(vocab.tokens.size(), TokenType::kNormal);
  std::vector<TokenType> types;
  types.reserve(vocab.types.size());
  for (const int32_t type : vocab.types) {
    // Values of the future are taken for unused tokens, as llama.cpp takes them.
    const bool known = type >= 1 && type <= 6;
    types.push_back(known ? static_cast<TokenType>(type) : TokenType::kUnused);
  }
  return types;
}

void CheckShape(const Vocab& vocab) {
  const size_t n = vocab.tokens.size();
  if (n == 0 || n > INT32_MAX) throw Error(Code::kBadInput, "vocabulary: {} tokens", n);
  if (!vocab.types.empty() && vocab.types.size() != n) {
    throw Error(Code::kBadInput, "vocabulary: {} token types for {} tokens", vocab.types.size(), n);
  }
  if (vocab.model == "llama" && vocab.scores.size() != n)
    throw Error(Code::kBadInput, "vocabulary: {} scores for {} tokens", vocab.scores.size(), n);
  if (vocab.merges.size() >= UINT32_MAX)
    throw Error(Code::kBadInput, "vocabulary: {} merges", vocab.merges.size());
  const std::pair<const char*, int32_t> ids[] = {{"bos", vocab.bos}, {"eos", vocab.eos},
                                                 {"eot", vocab.eot}, {"eom", vocab.eom},
                                                 {"unk", vocab.unk}, {"pad", vocab.pad}};
  for (const auto& [name, id] : ids) {
    if (id < -1 || id >= static_cast<int64_t>(n)) {
      throw Error(Code::kBadInput, "vocabulary: the {} token is {}, but there are {} tokens", name,
                  id, n);
    }
  }
}

}  // namespace

struct Tokenizer::Impl {
  explicit Impl(const Vocab& vocab);

  void AddTokens(const Vocab& vocab);
  void SetMatchers(const Vocab& vocab);
  bool WantsToken(std::optional<bool> wanted, bool by_default, int32_t id, const char* name) const;
  void EncodeText(std::string_view text, bool after_special, std::vector<int32_t>* out) const;
  void CheckId(int32_t id) const;

  bool is_spm = false;
  const PreTokenizer* pre = nullptr;  // null for SPM
  std::vector<TokenType> types;
  TokenTable table;
  std::vector<int32_t> mergeable;
  std::optional<Bpe> bpe;
  std::optional<Spm> spm;
  std::optional<SpecialMatcher> all_specials;
  std::optional<SpecialMatcher> user_specials;
  int32_t bos = -1, eos = -1, eot = -1, eom = -1, unk = -1, pad = -1;
  bool add_bos = false, add_eos = false;
  bool space_prefix = false, remove_extra_spaces = false;
  std::vector<int32_t> ends;
};

Tokenizer::Impl::Impl(const Vocab& vocab) {
  if (vocab.model != "gpt2" && vocab.model != "llama") {
    throw Error(Code::kUnsupported, "vocabulary: tokenizer model '{}'; known are gpt2, llama",
                vocab.model.substr(0, 64));
  }
  is_spm = vocab.model == "llama";
  if (!is_spm) {
    pre = FindPreTokenizer(vocab.pre.empty() ? "default" : vocab.pre);
    if (pre == nullptr) {
      throw Error(Code::kUnsupported, "vocabulary: pre-tokenizer '{}'; known are {}",
                  vocab.pre.substr(0, 64), PreTokenizerNames());
    }
  }
  CheckShape(vocab);
  types = CheckedTypes(vocab);

  // SentencePiece's own numbering, where the file is silent.
  const auto or_default = [&](int32_t id, int32_t fallback) {
    const bool usable = is_spm && fallback < static_cast<int64_t>(vocab.tokens.size());
    return id < 0 && usable ? fallback : id;
  };
  unk = or_default(vocab.unk, 0);
  bos = or_default(vocab.bos, 1);
  eos = or_default(vocab.eos, 2);
  pad = vocab.pad;
  eot = vocab.eot;
  eom = vocab.eom;
  ends = AssignRoles(vocab.tokens, &types, eos, &eot, &eom);
  add_bos = WantsToken(vocab.add_bos, is_spm || pre->add_bos, bos, "BOS");
  add_eos = WantsToken(vocab.add_eos, false, eos, "EOS");
  space_prefix = is_spm && vocab.add_space_prefix.value_or(true);
  remove_extra_spaces = is_spm && vocab.remove_extra_whitespaces.value_or(false);

  AddTokens(vocab);
  SetMatchers(vocab);
}

bool Tokenizer::Impl::WantsToken(std::optional<bool> wanted, bool by_default, int32_t id,
                                 const char* name) const {
  if (wanted.value_or(false) && id < 0) {
    throw Error(Code::kBadInput, "vocabulary: a {} token is to be added, but none is named", name);
  }
  return wanted.value_or(by_default) && id >= 0;
}

void Tokenizer::Impl::AddTokens(const Vocab& vocab) {
  std::array<int32_t, 256> byte_ids;
  byte_ids.fill(-1);
  std::vector<int32_t> user_defined;
  for (size_t i = 0; i < vocab.tokens.size(); ++i) {
    const std::string_view text = vocab.tokens[i];
    const auto id = static_cast<int32_t>(i);
    const TokenType type = types[i];
    if (type == TokenType::kByte) {
      const int byte = ByteOfToken(text);
      if (byte < 0) {
        throw Error(Code::kBadInput, "vocabulary: byte token {} is '{}', expected <0xNN>", id,
                    text.substr(0, 64));
      }
      int32_t& slot = byte_ids[static_cast<size_t>(byte)];
      if (slot < 0) slot = id;
      const char c = static_cast<char>(byte);
      table.Add({&c, 1});
    } else if (type != TokenType::kNormal) {
      const bool spelled = is_spm && type == TokenType::kUserDefined;
      table.Add(spelled ? WithPlainSpaces(text) : std::string(text));
      if (type == TokenType::kUserDefined && !text.empty()) user_defined.push_back(id);
    } else if (is_spm) {
      table.Add(WithPlainSpaces(text));
      if (!text.empty()) mergeable.push_back(id);
    } else {
      // A text outside GPT-2's alphabet cannot come out of bytes.
      const std::optional<std::string> bytes = BytesOfGpt2Token(text);
      table.Add(bytes ? std::string_view(*bytes) : text);
      if (bytes && !bytes->empty()) mergeable.push_back(id);
    }
  }
  const size_t num_normal = mergeable.size();
  mergeable.insert(mergeable.end(), user_defined.begin(), user_defined.end());
  table.Index(mergeable);
  for (size_t i = 0; i < num_normal; ++i) {
    const int32_t first = table.Find(table.Bytes(mergeable[i]));
    if (first != mergeable[i]) {
      throw Error(Code::kBadInput, "vocabulary: tokens {} and {} are both '{}'", first,
                  mergeable[i], vocab.tokens[static_cast<size_t>(first)].substr(0, 64));
    }
  }
  if (is_spm) {
    spm.emplace(vocab, table, mergeable, byte_ids, unk);
  } else {
    bpe.emplace(vocab, table, *pre);
  }
}

void Tokenizer::Impl::SetMatchers(const Vocab& vocab) {
  std::vector<SpecialToken> all = ListSpecialTokens(vocab, types);
  std::vector<SpecialToken> user;
  for (SpecialToken& token : all) {
    if (is_spm) token.text = WithPlainSpaces(token.text);
    if (types[static_cast<size_t>(token.id)] == TokenType::kUserDefined) user.push_back(token);
  }
  user_specials.emplace(std::move(user));
  all_specials.emplace(std::move(all));
}

void Tokenizer::Impl::EncodeText(std::string_view text, bool after_special,
                                 std::vector<int32_t>* out) const {
  if (!is_spm) {
    bpe->Encode(text, out);
    return;
  }
  std::string plain = remove_extra_spaces ? WithoutExtraSpaces(text) : std::string(text);
  if (space_prefix && after_special && !plain.empty()) plain.insert(plain.begin(), ' ');
  spm->Encode(plain, out);
}

void Tokenizer::Impl::CheckId(int32_t id) const {
  if (id < 0 || static_cast<size_t>(id) >= types.size()) {
    throw Error(Code::kBadInput, "token {} is outside the vocabulary of {} tokens", id,
                types.size());
  }
}

Tokenizer::Tokenizer(const Vocab& vocab) : impl_(std::make_unique<const Impl>(vocab)) {}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

std::vector<int32_t> Tokenizer::Encode(std::string_view text, EncodeOptions options) const {
  const SpecialMatcher& matcher =
      options.parse_special ? *impl_->all_specials : *impl_->user_specials;
  const bool add_bos = options.add_special && impl_->add_bos;
  // To SentencePiece, U+2581 in a text is a space, from the start.
  std::string plain;
  if (impl_->is_spm && text.find(kSpmSpace) != std::string_view::npos)
    text = plain = WithPlainSpaces(text);
  std::vector<int32_t> ids;
  ids.reserve(text.size() / 3 + 2);
  if (add_bos) ids.push_back(impl_->bos);
  bool after_special = true;
  for (size_t pos = 0; pos < text.size();) {
    const SpecialMatch match = matcher.Next(text, pos);
    const size_t text_end = match.id < 0 ? text.size() : match.begin;
    if (text_end > pos) impl_->EncodeText(text.substr(pos, text_end - pos), after_special, &ids);
    after_special = match.id >= 0;
    if (match.id < 0) break;
    const bool is_bos_again = add_bos && match.begin == 0 && match.id == impl_->bos;
    if (!is_bos_again) ids.push_back(match.id);
    pos = match.end;
  }
  const bool ends_with_eos = after_special && !text.empty() && ids.back() == impl_->eos;
  if (options.add_special && impl_->add_eos && !ends_with_eos) ids.push_back(impl_->eos);
  return ids;
}

std::string Tokenizer::Decode(std::span<const int32_t> ids, bool with_control) const {
  std::string out;
  bool at_start = impl_->space_prefix;
  for (const int32_t id : ids) {
    if (IsControl(id) && !with_control) continue;
    std::string_view bytes = TokenBytes(id);
    if (at_start && bytes.starts_with(' ')) bytes.remove_prefix(1);
    if (!IsControl(id)) at_start = false;
    out.append(bytes);
  }
  return out;
}

std::string_view Tokenizer::TokenBytes(int32_t id) const {
  impl_->CheckId(id);
  return impl_->table.Bytes(id);
}

int32_t Tokenizer::size() const { return static_cast<int32_t>(impl_->types.size()); }

bool Tokenizer::IsControl(int32_t id) const {
  impl_->CheckId(id);
  const TokenType type = impl_->types[static_cast<size_t>(id)];
  return type == TokenType::kControl || type == TokenType::kUnknown;
}

int32_t Tokenizer::bos() const { return impl_->bos; }
int32_t Tokenizer::eos() const { return impl_->eos; }
int32_t Tokenizer::eot() const { return impl_->eot; }
int32_t Tokenizer::eom() const { return impl_->eom; }
int32_t Tokenizer::unk() const { return impl_->unk; }
int32_t Tokenizer::pad() const { return impl_->pad; }
bool Tokenizer::adds_bos() const { return impl_->add_bos; }
bool Tokenizer::adds_eos() const { return impl_->add_eos; }
bool Tokenizer::adds_space_prefix() const { return impl_->space_prefix; }
const std::vector<int32_t>& Tokenizer::end_of_generation() const { return impl_->ends; }

bool Tokenizer::IsEndOfGeneration(int32_t id) const {
  return std::binary_search(impl_->ends.begin(), impl_->ends.end(), id);
}

std::string StreamDecoder::Push(int32_t id) {
  const bool control = tokenizer_.IsControl(id);
  if (control && !with_control_) return {};
  std::string_view bytes = tokenizer_.TokenBytes(id);
  if (at_start_ && tokenizer_.adds_space_prefix() && bytes.starts_with(' ')) bytes.remove_prefix(1);
  if (!control) at_start_ = false;
  return utf8_.Feed(bytes);
}

}  // namespace slm::text
