#include "text/special_tokens.h"

#include <algorithm>

#include "text/unicode.h"

namespace slm::text {
namespace {

template <size_t N>
bool IsOneOf(std::string_view text, const std::array<std::string_view, N>& names) {
  return std::find(names.begin(), names.end(), text) != names.end();
}

// These names mean one thing in every vocabulary; some files call them normal by mistake.
constexpr std::array<std::string_view, 17> kTurnEnds = {
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|eom_id|>",
    "<|return|>",
    "<|call|>",
    "<|calls|>",
    "<|flush|>",
    "<end_of_utterance>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[e~[",
    "<\xef\xbd\x9c"
    "end\xe2\x96\x81of\xe2\x96\x81sentence\xef\xbd\x9c>"};

// These are ordinary text elsewhere (in Gemma, </s> is an HTML tag), so the file must agree. The
// last three end generated code for models that were trained to fill in the middle.
constexpr std::array<std::string_view, 10> kEndsIfControl = {
    "</s>",          "<eos>",        "[EOS]",        "<turn|>",    "<|fim_pad|>",
    "<|repo_name|>", "<|fim_repo|>", "<|file_sep|>", "<reponame>", "<fim-pad>"};

constexpr std::array<std::string_view, 8> kEotNames = {
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>",
    "<EOT>",      "_<EOT>",     "[EOT]",   "<end_of_utterance>"};

const char* SkipSpace(const char* p, const char* end) {
  while (p < end) {
    const ClassedChar c = ClassAt(p, end);
    if ((c.char_class & kSpace) == 0) break;
    p += c.size;
  }
  return p;
}

// The start of the white space that ends [begin, end).
const char* SkipSpaceBack(const char* begin, const char* end) {
  while (end > begin) {
    const char* p = end - 1;
    while (p > begin && end - p < 4 && (static_cast<uint8_t>(*p) & 0xc0) == 0x80) --p;
    const ClassedChar c = ClassAt(p, end);
    if ((c.char_class & kSpace) == 0 || p + c.size != end) break;
    end = p;
  }
  return end;
}

}  // namespace

SpecialMatcher::SpecialMatcher(std::vector<SpecialToken> tokens) : tokens_(std::move(tokens)) {
  std::stable_sort(tokens_.begin(), tokens_.end(),
                   [](const auto& a, const auto& b) { return a.text < b.text; });
  tokens_.erase(std::unique(tokens_.begin(), tokens_.end(),
                            [](const auto& a, const auto& b) { return a.text == b.text; }),
                tokens_.end());
  by_first_byte_.fill({0, 0});
  for (uint32_t i = 0; i < tokens_.size(); ++i) {
    auto& [first, last] = by_first_byte_[static_cast<uint8_t>(tokens_[i].text[0])];
    if (first == last) first = i;
    last = i + 1;
  }
}

// Narrows the sorted tokens, byte by byte, to those that go on as the text does. The shortest of
// them comes first; each that ends is a match, longer than the one before.
const SpecialToken* SpecialMatcher::LongestAt(std::string_view text) const {
  const auto byte_at = [](const SpecialToken& token, size_t i) {
    return static_cast<uint8_t>(token.text[i]);
  };
  const auto [first, last] = by_first_byte_[static_cast<uint8_t>(text[0])];
  auto low = tokens_.begin() + first, high = tokens_.begin() + last;
  const SpecialToken* longest = nullptr;
  for (size_t depth = 1; low != high; ++depth) {
    if (low->text.size() == depth) longest = &*low++;
    if (depth == text.size()) break;
    const auto byte = static_cast<uint8_t>(text[depth]);
    low = std::lower_bound(low, high, byte, [&](const SpecialToken& token, uint8_t b) {
      return byte_at(token, depth) < b;
    });
    high = std::upper_bound(low, high, byte, [&](uint8_t b, const SpecialToken& token) {
      return b < byte_at(token, depth);
    });
  }
  return longest;
}

SpecialMatch SpecialMatcher::Next(std::string_view text, size_t from) const {
  if (tokens_.empty()) return {};
  for (size_t i = from; i < text.size(); ++i) {
    const auto [first, last] = by_first_byte_[static_cast<uint8_t>(text[i])];
    if (first == last) continue;
    const SpecialToken* token = LongestAt(text.substr(i));
    if (token == nullptr) continue;
    SpecialMatch match{i, i + token->text.size(), token->id};
    const char* const data = text.data();
    if (token->strip_left)
      match.begin = static_cast<size_t>(SkipSpaceBack(data + from, data + i) - data);
    if (token->strip_right)
      match.end = static_cast<size_t>(SkipSpace(data + match.end, data + text.size()) - data);
    return match;
  }
  return {};
}

std::vector<int32_t> AssignRoles(const std::vector<std::string_view>& tokens,
                                 std::vector<TokenType>* types, int32_t eos, int32_t* eot,
                                 int32_t* eom) {
  std::vector<int32_t> ends;
  int32_t end_id = -1;
  bool has_return_or_flush = false, has_call = false;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const std::string_view text = tokens[i];
    const auto id = static_cast<int32_t>(i);
    TokenType& type = (*types)[i];
    const bool turn_end = IsOneOf(text, kTurnEnds);
    if (turn_end) {
      type = TokenType::kControl;
    } else if (type != TokenType::kControl || !IsOneOf(text, kEndsIfControl)) {
      continue;
    }
    ends.push_back(id);
    if (text == "<|end|>") end_id = id;
    if (text == "<|return|>" || text == "<|flush|>") has_return_or_flush = true;
    if (text == "<|call|>" || text == "<|calls|>") has_call = true;
    if (text == "<|eom_id|>" && *eom < 0) *eom = id;
    if (IsOneOf(text, kEotNames) && *eot < 0) *eot = id;
  }
  // In OpenAI's harmony format <|end|> ends one message of several, not the answer.
  if (end_id >= 0 && has_return_or_flush && has_call) {
    std::erase(ends, end_id);
    if (*eot == end_id) *eot = -1;
  }
  for (const int32_t id : {eos, *eot, *eom}) {
    if (id >= 0) ends.push_back(id);
  }
  std::sort(ends.begin(), ends.end());
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  return ends;
}

std::vector<SpecialToken> ListSpecialTokens(const Vocab& vocab,
                                            const std::vector<TokenType>& types) {
  std::vector<SpecialToken> specials;
  const auto has = [&](std::string_view text) {
    return std::any_of(specials.begin(), specials.end(),
                       [&](const SpecialToken& token) { return token.text == text; });
  };
  for (size_t i = 0; i < vocab.tokens.size(); ++i) {
    const TokenType type = types[i];
    const bool special = type == TokenType::kControl || type == TokenType::kUserDefined ||
                         type == TokenType::kUnknown;
    if (!special || vocab.tokens[i].empty()) continue;
    specials.push_back({std::string(vocab.tokens[i]), static_cast<int32_t>(i)});
  }
  if (vocab.model == "llama" && has("<|assistant|>") && has("<|user|>") &&
      has("<|end|>")) {  // Phi-3
    for (SpecialToken& token : specials) {
      token.strip_right =
          token.text != "<unk>" && token.text != "<s>" && token.text != "<|endoftext|>";
    }
  }
  if (vocab.pre == "dbrx" && has("<|im_sep|>")) {  // Phi-4
    for (SpecialToken& token : specials) token.strip_left = token.strip_right = true;
  }
  return specials;
}

}  // namespace slm::text
