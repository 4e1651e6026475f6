#include "convert/tokenizer_json.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/error.h"
#include "convert/pre_tokenizer_names.h"
#include "format/byte_reader.h"
#include "text/unicode.h"
#include "text/vocab.h"

namespace slm::convert {
namespace {

using format::Quoted;
using nlohmann::json;
using text::TokenType;

constexpr std::string_view kSpace = "\xe2\x96\x81";  // U+2581
constexpr float kAddedScore = -1000.0f;

std::string Replaced(std::string text, std::string_view from, std::string_view to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

// Some publishers leave these unmarked (llama.cpp's converter, does_token_look_special).
bool LooksSpecial(std::string_view text) {
  const auto within = [&](std::string_view begin, std::string_view end) {
    return text.starts_with(begin) && text.ends_with(end);
  };
  return text == "<pad>" || text == "<mask>" || text == "<2mass>" || text == "[@BOS@]" ||
         within("<|", "|>") || within("<\xef\xbd\x9c", "\xef\xbd\x9c>") || within("<unused", ">");
}

bool IsByteToken(std::string_view text) {
  return text.size() == 6 && text.starts_with("<0x") && text.ends_with(">") &&
         text.substr(3, 2).find_first_not_of("0123456789ABCDEFabcdef") == std::string_view::npos;
}

class Reader {
 public:
  Reader(const std::string& path, const json& tokenizer, size_t vocab_size, HfVocab* vocab)
      : path_(path), tokenizer_(tokenizer), vocab_size_(vocab_size), vocab_(vocab) {}

  void Read() {
    const json& model = Object(tokenizer_, "model");
    const auto type = model.value("type", json());
    if (type != "BPE" && !(type.is_null() && model.contains("merges")))
      throw Error(Code::kUnsupported, "{}: model.type: expected BPE, got {}", path_, type.dump());
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      const json& affix = model.value(key, json());
      if (affix.is_string() && !affix.get<std::string>().empty())
        throw Error(Code::kUnsupported, "{}: model.{}: GGUF cannot say it", path_, key);
    }
    const auto fallback = model.value("byte_fallback", json());
    const bool is_spm = fallback.is_boolean() && fallback.get<bool>();
    vocab_->model = is_spm ? "llama" : "gpt2";
    vocab_->pre = is_spm ? "default" : RecognizePreTokenizer(path_, tokenizer_);
    ReadTokens(Object(model, "vocab"));
    ReadMerges(List(model, "merges"), is_spm);
    AddTokens();
    if (is_spm) {
      ReadSpaces();
      SetScores();
    } else {
      vocab_->scores.clear();
    }
  }

  void AddTokens() {
    const json& added = tokenizer_.value("added_tokens", json());
    if (added.is_null()) return;
    if (!added.is_array()) Fail("added_tokens", "expected a list");
    for (const json& token : added) {
      if (!token.is_object()) Fail("added_tokens", "expected objects");
      const auto id = Id(token.value("id", json()), "added_tokens");
      const json content = token.value("content", json());
      if (!content.is_string()) Fail("added_tokens", "expected a content");
      const json special = token.value("special", json());
      // Text models of multimodal checkpoints have no row for the tokens of the other parts.
      if (id >= vocab_size_) {
        vocab_->notices.push_back(
            fmt::format("added token {} has no row in the embedding: left out",
                        Quoted(content.get<std::string>())));
        continue;
      }
      AddToken(vocab_, id, content.get<std::string>(), special.is_boolean() && special.get<bool>());
    }
  }

 private:
  [[noreturn]] void Fail(const std::string& where, const std::string& problem) const {
    throw Error(Code::kBadInput, "{}: {}: {}", path_, where, problem);
  }
  const json& Object(const json& parent, const char* key) const {
    const auto at = parent.find(key);
    if (at == parent.end() || !at->is_object()) Fail(key, "expected an object");
    return *at;
  }
  const json& List(const json& parent, const char* key) const {
    const auto at = parent.find(key);
    if (at == parent.end() || !at->is_array()) Fail(key, "expected a list");
    return *at;
  }
  size_t Id(const json& value, const std::string& where) const {
    if (!value.is_number_unsigned() || value.get<uint64_t>() > INT32_MAX)
      Fail(where, "expected ids from 0 on, got " + value.dump().substr(0, 64));
    return value.get<size_t>();
  }

  void ReadTokens(const json& tokens) {
    const bool is_spm = vocab_->model == "llama";
    for (const auto& [text, value] : tokens.items()) {
      const size_t id = Id(value, "model.vocab");
      if (id >= vocab_size_)
        Fail("model.vocab", fmt::format("{} has id {}, but config.json's vocab_size is {}",
                                        Quoted(text), id, vocab_size_));
      if (vocab_->types[id] != static_cast<int32_t>(TokenType::kUnused))
        Fail("model.vocab",
             fmt::format("id {} is {} and {}", id, Quoted(vocab_->tokens[id]), Quoted(text)));
      const auto type = is_spm && IsByteToken(text) ? TokenType::kByte : TokenType::kNormal;
      SetToken(vocab_, id, text, static_cast<int32_t>(type), 0.0f);
      id_of_.emplace(text, id);
    }
    const json& unk = Object(tokenizer_, "model").value("unk_token", json());
    if (unk.is_string() && id_of_.contains(unk.get<std::string>())) {
      vocab_->unk = static_cast<int32_t>(id_of_[unk.get<std::string>()]);
      if (is_spm)
        vocab_->types[static_cast<size_t>(vocab_->unk)] = static_cast<int32_t>(TokenType::kUnknown);
    }
  }

  // "left right", or since 2024 a pair, so that tokens may hold spaces.
  static std::pair<std::string, std::string> Parts(const json& merge) {
    if (merge.is_string()) {
      const auto text = merge.get<std::string>();
      const size_t space = text.find(' ', 1);
      if (space != std::string::npos) return {text.substr(0, space), text.substr(space + 1)};
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
               merge[1].is_string()) {
      return {merge[0].get<std::string>(), merge[1].get<std::string>()};
    }
    return {};
  }

  void ReadMerges(const json& merges, bool is_spm) {
    first_merge_.assign(vocab_size_, -1);
    last_merge_.assign(vocab_size_, -1);
    num_merges_.assign(vocab_size_, 0);
    for (size_t i = 0; i < merges.size(); ++i) {
      auto [left, right] = Parts(merges[i]);
      const auto result = id_of_.find(left + right);
      const bool is_good = !left.empty() && !right.empty() && result != id_of_.end() &&
                           id_of_.contains(left) && id_of_.contains(right);
      if (!is_good)
        Fail("model.merges",
             fmt::format("number {}, {}: expected two tokens whose sum is one", i,
                         Quoted(merges[i].dump(-1, ' ', false, json::error_handler_t::replace))));
      const size_t id = result->second;
      if (first_merge_[id] < 0) first_merge_[id] = static_cast<int64_t>(i);
      last_merge_[id] = static_cast<int64_t>(i);
      ++num_merges_[id];
      if (!is_spm)
        vocab_->merges.push_back(Replaced(left, " ", "\u0120") + " " +
                                 Replaced(right, " ", "\u0120"));
    }
  }

  // SentencePiece has a score for each token, not a list of merges: the earlier a token's merges
  // come, the higher it is. That says the same only when the merges of a token follow each other
  // and are all that the vocabulary allows, as they are in a list made from scores.
  void SetScores() {
    const auto normal = static_cast<int32_t>(TokenType::kNormal);
    std::vector<std::pair<int64_t, size_t>> order;
    for (size_t id = 0; id < vocab_->tokens.size(); ++id) {
      if (vocab_->types[id] != normal) continue;
      if (NumSplits(vocab_->tokens[id]) > num_merges_[id]) FailMerges(vocab_->tokens[id]);
      order.emplace_back(
          first_merge_[id] < 0 ? std::numeric_limits<int64_t>::max() : first_merge_[id], id);
    }
    std::sort(order.begin(), order.end());
    // Llama's runs of spaces share one score, so that their merges mix.
    int64_t last = -1;
    for (size_t i = 0; i < order.size(); ++i) {
      const auto& [first, id] = order[i];
      const bool mixes = first_merge_[id] >= 0 && first < last;
      const size_t before = i == 0 ? id : order[i - 1].second;
      if (mixes && !(IsSpaces(vocab_->tokens[id]) && IsSpaces(vocab_->tokens[before])))
        FailMerges(vocab_->tokens[id]);
      last = std::max(last, last_merge_[id]);
      vocab_->scores[id] = mixes ? vocab_->scores[before] : -static_cast<float>(i);
    }
  }

  static bool IsSpaces(std::string_view text) {
    while (text.starts_with(kSpace)) text.remove_prefix(kSpace.size());
    return text.empty();
  }

  [[noreturn]] void FailMerges(const std::string& token) const {
    throw Error(
        Code::kUnsupported,
        "{}: model.merges: those of {} are not in the order of SentencePiece's scores; with "
        "byte_fallback GGUF cannot say them",
        path_, Quoted(token));
  }

  // In how many places a token can be cut into two tokens that can come out of merges.
  int64_t NumSplits(const std::string& token) const {
    int64_t count = 0;
    for (size_t cut = 1; cut < token.size(); ++cut) {
      if ((static_cast<uint8_t>(token[cut]) & 0xc0) == 0x80) continue;
      if (IsMergeable(token.substr(0, cut)) && IsMergeable(token.substr(cut))) ++count;
    }
    return count;
  }
  bool IsMergeable(const std::string& text) const {
    const auto at = id_of_.find(text);
    if (at == id_of_.end()) return false;
    const int32_t type = vocab_->types[at->second];
    return type == static_cast<int32_t>(TokenType::kNormal) ||
           type == static_cast<int32_t>(TokenType::kUserDefined);
  }

  // Where the text gets its first U+2581 from: the normalizer, or a Metaspace pre-tokenizer.
  void ReadSpaces() {
    bool has_replace = false, has_prefix = false;
    const json normalizer = tokenizer_.value("normalizer", json());
    std::vector<json> steps;
    if (normalizer.is_object() && normalizer.value("type", json()) == "Sequence") {
      const json list = normalizer.value("normalizers", json());
      if (list.is_array()) steps.assign(list.begin(), list.end());
    } else if (!normalizer.is_null()) {
      steps.push_back(normalizer);
    }
    for (const json& step : steps) {
      const json type = step.is_object() ? step.value("type", json()) : json();
      if (type == "Prepend" && step.value("prepend", json()) == kSpace) {
        has_prefix = true;
      } else if (type == "Replace" && step.value("content", json()) == kSpace &&
                 step.value("pattern", json()) == json{{"String", " "}}) {
        has_replace = true;
      } else {
        FailSpaces("normalizer", step);
      }
    }
    const json pre = tokenizer_.value("pre_tokenizer", json());
    const json pre_type = pre.is_object() ? pre.value("type", json()) : json();
    if (pre_type == "Metaspace" && pre.value("replacement", json()) == kSpace) {
      has_replace = true;
      const json scheme = pre.value("prepend_scheme", json());
      has_prefix = scheme.is_string() ? scheme != "never"
                                      : pre.value("add_prefix_space", json(true)) == true;
    } else if (pre_type == "Split") {
      // Gemma's: at spaces, which the normalizer has left none of.
      if (pre.value("pattern", json()) != json{{"String", " "}}) FailSpaces("pre_tokenizer", pre);
    } else if (!pre.is_null()) {
      FailSpaces("pre_tokenizer", pre);
    }
    if (!has_replace) FailSpaces("normalizer", normalizer);
    vocab_->add_space_prefix = has_prefix;
  }

  [[noreturn]] void FailSpaces(const char* what, const json& value) const {
    throw Error(Code::kUnsupported, "{}: {}: SentencePiece in GGUF cannot say {}", path_, what,
                value.dump(-1, ' ', false, json::error_handler_t::replace).substr(0, 500));
  }

  const std::string& path_;
  const json& tokenizer_;
  size_t vocab_size_;
  HfVocab* vocab_;
  std::unordered_map<std::string, size_t> id_of_;
  std::vector<int64_t> first_merge_, last_merge_, num_merges_;  // by id of the result
};

}  // namespace

void ReadTokenizerJson(const std::string& path, const json& tokenizer, size_t vocab_size,
                       HfVocab* vocab) {
  Reader(path, tokenizer, vocab_size, vocab).Read();
}

void ReadAddedTokens(const std::string& path, const json& tokenizer, size_t vocab_size,
                     HfVocab* vocab) {
  Reader(path, tokenizer, vocab_size, vocab).AddTokens();
}

void AddToken(HfVocab* vocab, size_t id, const std::string& text, bool is_special) {
  const bool is_control = is_special || LooksSpecial(text);
  SetToken(vocab, id, is_control ? text : Replaced(text, kSpace, " "),
           static_cast<int32_t>(is_control ? TokenType::kControl : TokenType::kUserDefined),
           kAddedScore);
}

}  // namespace slm::convert
