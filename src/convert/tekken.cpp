#include "convert/tekken.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/error.h"
#include "convert/pre_tokenizer_names.h"
#include "convert/tokenizer_json.h"
#include "text/json.h"
#include "text/unicode.h"
#include "text/vocab.h"

namespace slm::convert {
namespace {

using nlohmann::json;
using text::TokenType;

// Of files that do not list their special tokens, the names of the first. Reference:
// mistral-common, tokens/tokenizers/tekken.py.
constexpr const char* kSpecials[] = {"<unk>",
                                     "<s>",
                                     "</s>",
                                     "[INST]",
                                     "[/INST]",
                                     "[AVAILABLE_TOOLS]",
                                     "[/AVAILABLE_TOOLS]",
                                     "[TOOL_RESULTS]",
                                     "[/TOOL_RESULTS]",
                                     "[TOOL_CALLS]",
                                     "[IMG]",
                                     "<pad>",
                                     "[IMG_BREAK]",
                                     "[IMG_END]",
                                     "[PREFIX]",
                                     "[MIDDLE]",
                                     "[SUFFIX]",
                                     "[SYSTEM_PROMPT]",
                                     "[/SYSTEM_PROMPT]",
                                     "[TOOL_CONTENT]"};

// Nothing longer is a token of any use; the work on one grows with the square of its length.
constexpr size_t kMaxTokenBytes = 1024;

std::string DecodeBase64(const std::string& path, std::string_view text) {
  std::string bytes;
  uint32_t buffer = 0;
  int bits = 0;
  while (text.ends_with('=')) text.remove_suffix(1);
  for (const char c : text) {
    const int digit = c >= 'A' && c <= 'Z'   ? c - 'A'
                      : c >= 'a' && c <= 'z' ? c - 'a' + 26
                      : c >= '0' && c <= '9' ? c - '0' + 52
                      : c == '+'             ? 62
                      : c == '/'             ? 63
                                             : -1;
    if (digit < 0) throw Error(Code::kBadInput, "{}: vocab: token_bytes are not base64", path);
    buffer = buffer << 6 | static_cast<uint32_t>(digit);
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push_back(static_cast<char>(buffer >> bits & 255));
  }
  return bytes;
}

// In GPT-2's alphabet, see text/bpe.cpp.
std::string Gpt2Token(std::string_view bytes) {
  static const auto alphabet = [] {
    std::array<uint32_t, 256> codes = {};
    uint32_t next = 0x100;
    for (uint32_t byte = 0; byte < 256; ++byte) {
      const bool printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte != 0xad);
      codes[byte] = printable ? byte : next++;
    }
    return codes;
  }();
  std::string text;
  for (const char c : bytes) text::AppendUtf8(alphabet[static_cast<uint8_t>(c)], &text);
  return text;
}

class Reader {
 public:
  Reader(const std::string& path, std::string_view text, size_t vocab_size, HfVocab* vocab)
      : path_(path),
        json_(text::ParseSortedJson(text, path)),
        vocab_size_(vocab_size),
        vocab_(vocab) {}

  void Read() {
    if (!json_.is_object()) throw Error(Code::kBadInput, "{}: expected a JSON object", path_);
    const json config = json_.value("config", json());
    if (!config.is_object()) Fail("config", "expected an object");
    const json pattern = config.value("pattern", json());
    if (!pattern.is_string()) Fail("config.pattern", "expected text");
    vocab_->model = "gpt2";
    vocab_->pre = RecognizeTekkenPattern(path_, pattern.get<std::string>());
    const size_t size = Size(config, "default_vocab_size");
    specials_ = Size(config, "default_num_special_tokens");
    if (size > vocab_size_ || specials_ >= size)
      Fail("config", fmt::format("expected {} special tokens among {}, at most the {} that the "
                                 "model has",
                                 specials_, size, vocab_size_));
    ReadSpecials();
    ReadTokens(size - specials_);
    MakeMerges();
    vocab_->scores.clear();
    vocab_->bos = FindSpecial("<s>");
    vocab_->eos = FindSpecial("</s>");
    vocab_->unk = FindSpecial("<unk>");
    vocab_->pad = FindSpecial("<pad>");
    if (vocab_->pad < 0) vocab_->pad = vocab_->eos;
    vocab_->add_bos = true;
    vocab_->add_eos = false;
  }

 private:
  [[noreturn]] void Fail(const std::string& where, const std::string& problem) const {
    throw Error(Code::kBadInput, "{}: {}: {}", path_, where, problem);
  }
  size_t Size(const json& object, const char* key) const {
    const json value = object.is_object() ? object.value(key, json()) : json();
    if (!value.is_number_unsigned() || value.get<uint64_t>() > INT32_MAX)
      Fail(key, "expected a number, got " + value.dump().substr(0, 64));
    return value.get<size_t>();
  }
  std::string Text(const json& object, const char* key) const {
    const json value = object.is_object() ? object.value(key, json()) : json();
    if (!value.is_string()) Fail(key, "expected text");
    return value.get<std::string>();
  }

  void ReadSpecials() {
    const auto control = static_cast<int32_t>(TokenType::kControl);
    for (size_t id = 0; id < specials_; ++id)
      SetToken(vocab_, id,
               id < std::size(kSpecials) ? kSpecials[id] : fmt::format("<SPECIAL_{}>", id), control,
               0.0f);
    const json listed = json_.value("special_tokens", json());
    if (listed.is_null()) return;
    if (!listed.is_array()) Fail("special_tokens", "expected a list");
    for (size_t id = 0; id < std::min(std::size(kSpecials), specials_); ++id)
      SetToken(vocab_, id, fmt::format("<SPECIAL_{}>", id), control, 0.0f);
    for (const json& token : listed) {
      const size_t id = Size(token, "rank");
      if (id >= specials_) Fail("special_tokens", fmt::format("rank {} of {}", id, specials_));
      SetToken(vocab_, id, Text(token, "token_str"), control, 0.0f);
    }
  }

  void ReadTokens(size_t count) {
    const auto at = json_.find("vocab");
    static const json kNone;
    const json& tokens = at == json_.end() ? kNone : *at;
    if (!tokens.is_array() || tokens.size() < count)
      Fail("vocab", fmt::format("expected a list of at least {} tokens", count));
    for (size_t rank = 0; rank < count; ++rank) {
      if (Size(tokens[rank], "rank") != rank)
        Fail("vocab", fmt::format("rank {} is not in its place", rank));
      std::string bytes = DecodeBase64(path_, Text(tokens[rank], "token_bytes"));
      if (bytes.empty() || bytes.size() > kMaxTokenBytes)
        Fail("vocab", fmt::format("token {} has {} bytes", rank, bytes.size()));
      SetToken(vocab_, specials_ + rank, Gpt2Token(bytes), static_cast<int32_t>(TokenType::kNormal),
               0.0f);
      if (!rank_of_.emplace(bytes, rank).second)
        Fail("vocab", fmt::format("token {} is there twice", rank));
      bytes_.push_back(std::move(bytes));
    }
  }

  // Every way to make a token out of two, by the rank of the result, then of the parts: GPT-2's
  // form of tiktoken's rule.
  void MakeMerges() {
    for (size_t rank = 256; rank < bytes_.size(); ++rank) {
      const std::string& token = bytes_[rank];
      std::vector<std::pair<size_t, size_t>> parts;
      for (size_t cut = 1; cut < token.size(); ++cut) {
        const auto left = rank_of_.find(token.substr(0, cut));
        const auto right = rank_of_.find(token.substr(cut));
        if (left != rank_of_.end() && right != rank_of_.end())
          parts.emplace_back(left->second, right->second);
      }
      if (parts.empty()) Fail("vocab", fmt::format("token {} is no sum of two others", rank));
      std::sort(parts.begin(), parts.end());
      for (const auto& [left, right] : parts)
        vocab_->merges.push_back(Gpt2Token(bytes_[left]) + " " + Gpt2Token(bytes_[right]));
    }
  }

  int32_t FindSpecial(std::string_view text) const {
    for (size_t id = 0; id < specials_; ++id)
      if (vocab_->tokens[id] == text) return static_cast<int32_t>(id);
    return -1;
  }

  const std::string& path_;
  const json json_;
  size_t vocab_size_, specials_ = 0;
  HfVocab* vocab_;
  std::vector<std::string> bytes_;  // by rank
  std::unordered_map<std::string, size_t> rank_of_;
};

}  // namespace

void ReadTekken(const std::string& path, std::string_view text, size_t vocab_size, HfVocab* vocab) {
  Reader(path, text, vocab_size, vocab).Read();
}

}  // namespace slm::convert
