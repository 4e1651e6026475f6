#include "convert/hf_tokenizer.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "convert/expressions.h"
#include "model/vocab.h"
#include "text/chat_template.h"
#include "text/special_tokens.h"

namespace slm::convert {
namespace {

using nlohmann::ordered_json;
using text::TokenType;

constexpr std::string_view kSpmSpace = "\xe2\x96\x81";  // U+2581

ordered_json ByteLevel(bool use_regex) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", false},
          {"trim_offsets", true},
          {"use_regex", use_regex}};
}

ordered_json Split(std::string_view regex) {
  return {{"type", "Split"},
          {"pattern", {{"Regex", regex}}},
          {"behavior", "Isolated"},
          {"invert", false}};
}

// What tokenizer.ggml.pre names. Empty: not known here.
std::vector<ordered_json> PreTokenizers(std::string_view pre) {
  const auto expression = [](std::string_view regex) {
    return std::vector<ordered_json>{Split(regex), ByteLevel(false)};
  };
  if (pre == "llama-bpe" || pre == "llama3" || pre == "llama-v3" || pre == "smaug-bpe" ||
      pre == "dbrx")
    return expression(kLlama3);
  if (pre == "cl100k") return expression(kCl100k);
  if (pre == "qwen2" || pre == "deepseek-r1-qwen") return expression(kQwen2);
  if (pre == "gpt-4o") return expression(kO200k);
  if (pre == "tekken") return expression(kTekken);
  if (pre == "gpt-2") return {ByteLevel(true)};
  if (pre == "smollm") return {{{"type", "Digits"}, {"individual_digits", true}}, ByteLevel(true)};
  if (pre == "default" || pre.empty())  // llama.cpp's own; no publisher has it
    return {Split(R"([\p{P}\$\+<=>\^~\|]+)"), Split(kGpt2), Split(R"(\p{N}+)"),
            Split("[0-9][0-9][0-9]"), ByteLevel(false)};
  return {};
}

ordered_json Replace(const ordered_json& pattern, std::string_view content) {
  return {{"type", "Replace"}, {"pattern", pattern}, {"content", content}};
}

ordered_json Sequence(const char* steps_name, const std::vector<ordered_json>& steps) {
  return {{"type", "Sequence"}, {steps_name, steps}};
}

std::string Quote(std::string_view text) {
  try {
    return ordered_json(text).dump();
  } catch (const ordered_json::exception&) {
    throw Error(Code::kBadInput, "vocabulary: a token is not UTF-8; tokenizer.json cannot hold it");
  }
}

// [{"type_id":0,..}, ..]: the tokens around one text or two.
ordered_json PostProcessor(const text::Tokenizer& tokenizer) {
  if (!tokenizer.adds_bos() && !tokenizer.adds_eos()) return nullptr;
  ordered_json specials = ordered_json::object();
  const auto special = [&](int32_t id, int type_id) -> ordered_json {
    const std::string text(tokenizer.TokenBytes(id));
    specials[text] = {{"id", text}, {"ids", {id}}, {"tokens", {text}}};
    return {{"SpecialToken", {{"id", text}, {"type_id", type_id}}}};
  };
  ordered_json pair = ordered_json::array(), single;
  for (const int type_id : {0, 1}) {
    if (tokenizer.adds_bos()) pair.push_back(special(tokenizer.bos(), type_id));
    pair.push_back({{"Sequence", {{"id", type_id == 0 ? "A" : "B"}, {"type_id", type_id}}}});
    if (tokenizer.adds_eos()) pair.push_back(special(tokenizer.eos(), type_id));
    if (type_id == 0) single = pair;
  }
  return {{"type", "TemplateProcessing"},
          {"single", single},
          {"pair", pair},
          {"special_tokens", specials}};
}

class Writer {
 public:
  explicit Writer(const format::GgufFile& file)
      : vocab_(model::ReadVocab(file)), tokenizer_(model::MakeTokenizer(file)) {
    is_spm_ = vocab_.model == "llama";
    for (size_t i = 0; i < vocab_.tokens.size(); ++i) {
      const auto type =
          vocab_.types.empty() ? TokenType::kNormal : static_cast<TokenType>(vocab_.types[i]);
      const bool is_control = tokenizer_.IsControl(static_cast<int32_t>(i));
      types_.push_back(is_control && type != TokenType::kUnknown ? TokenType::kControl : type);
    }
  }

  const text::Tokenizer& tokenizer() const { return tokenizer_; }

  // The same text as of a JSON library, but a large object of such a one is slow or out of order.
  std::string TokenizerJson() const {
    std::string out = R"({"version":"1.0","truncation":null,"padding":null,"added_tokens":)";
    out += AddedTokens().dump();
    out += R"(,"normalizer":)" + Normalizer().dump();
    out += R"(,"pre_tokenizer":)" + PreTokenizer().dump();
    out += R"(,"post_processor":)" + PostProcessor(tokenizer_).dump();
    out += R"(,"decoder":)" + Decoder().dump();
    out += R"(,"model":{"type":"BPE","dropout":null,"unk_token":)" + UnknownToken().dump();
    out += R"(,"continuing_subword_prefix":null,"end_of_word_suffix":null)";
    out += fmt::format(R"(,"fuse_unk":{},"byte_fallback":{},"ignore_merges":{},"vocab":{{)",
                       is_spm_, HasByteTokens(), SkipsMerges());
    AppendVocab(&out);
    out += R"(},"merges":[)";
    AppendMerges(&out);
    return out + "]}}\n";
  }

  ordered_json SpecialTokens() const {
    ordered_json map = ordered_json::object();
    const std::pair<const char*, int32_t> roles[] = {{"bos_token", tokenizer_.bos()},
                                                     {"eos_token", tokenizer_.eos()},
                                                     {"unk_token", tokenizer_.unk()},
                                                     {"pad_token", tokenizer_.pad()}};
    for (const auto& [name, id] : roles)
      if (id >= 0) map[name] = vocab_.tokens[static_cast<size_t>(id)];
    return map;
  }

 private:
  bool HasByteTokens() const {
    return is_spm_ && std::find(types_.begin(), types_.end(), TokenType::kByte) != types_.end();
  }

  // A piece of text that is a token as a whole is taken without merging: as published, and where
  // there are ranks instead of merges.
  bool SkipsMerges() const {
    if (is_spm_) return false;
    const std::string_view pre = vocab_.pre;
    return pre == "llama-bpe" || pre == "llama3" || pre == "llama-v3" || pre == "smaug-bpe" ||
           pre == "cl100k" || pre == "tekken" || vocab_.merges.empty();
  }

  ordered_json UnknownToken() const {
    return is_spm_ ? ordered_json(vocab_.tokens[static_cast<size_t>(tokenizer_.unk())])
                   : ordered_json();
  }

  ordered_json AddedTokens() const {
    ordered_json list = ordered_json::array();
    std::unordered_set<std::string> seen;
    for (const text::SpecialToken& token : text::ListSpecialTokens(vocab_, types_)) {
      if (!seen.insert(token.text).second) continue;
      const bool is_user = types_[static_cast<size_t>(token.id)] == TokenType::kUserDefined;
      list.push_back({{"id", token.id},
                      {"content", token.text},
                      {"single_word", false},
                      {"lstrip", token.strip_left},
                      {"rstrip", token.strip_right},
                      {"normalized", false},
                      {"special", !is_user}});
    }
    return list;
  }

  ordered_json Normalizer() const {
    if (!is_spm_) return vocab_.pre == "qwen2" ? ordered_json{{"type", "NFC"}} : ordered_json();
    std::vector<ordered_json> steps;
    if (vocab_.remove_extra_whitespaces.value_or(false)) {
      steps.push_back(Replace({{"Regex", R"(\A +| +\z)"}}, ""));
      steps.push_back(Replace({{"Regex", " {2,}"}}, " "));
    }
    if (tokenizer_.adds_space_prefix())
      steps.push_back({{"type", "Prepend"}, {"prepend", kSpmSpace}});
    steps.push_back(Replace({{"String", " "}}, kSpmSpace));
    return Sequence("normalizers", steps);
  }

  ordered_json PreTokenizer() const {
    if (is_spm_) return nullptr;
    const std::vector<ordered_json> steps = PreTokenizers(vocab_.pre);
    if (steps.empty())
      throw Error(Code::kUnsupported,
                  "vocabulary: how pre-tokenizer '{}' is written in tokenizer.json is not known",
                  vocab_.pre.substr(0, 64));
    return steps.size() == 1 ? steps[0] : Sequence("pretokenizers", steps);
  }

  ordered_json Decoder() const {
    if (!is_spm_)
      return {{"type", "ByteLevel"},
              {"add_prefix_space", true},
              {"trim_offsets", true},
              {"use_regex", true}};
    std::vector<ordered_json> steps = {
        Replace({{"String", kSpmSpace}}, " "), {{"type", "ByteFallback"}}, {{"type", "Fuse"}}};
    if (tokenizer_.adds_space_prefix())
      steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
    return Sequence("decoders", steps);
  }

  // All tokens, special ones too: the library numbers those itself that it does not find here.
  void AppendVocab(std::string* out) const {
    std::unordered_set<std::string_view> seen;
    const char* separator = "";
    for (size_t i = 0; i < vocab_.tokens.size(); ++i) {
      if (!seen.insert(vocab_.tokens[i]).second) continue;
      *out += separator + Quote(vocab_.tokens[i]) + ":" + std::to_string(i);
      separator = ",";
    }
  }

  void AppendMerges(std::string* out) const {
    const char* separator = "";
    const auto append = [&](std::string_view left, std::string_view right) {
      *out += separator;
      *out += "[" + Quote(left) + "," + Quote(right) + "]";
      separator = ",";
    };
    for (const std::string_view merge : vocab_.merges) {
      const size_t space = merge.find(' ', 1);
      append(merge.substr(0, space), merge.substr(space + 1));
    }
    if (!vocab_.merges.empty()) return;
    for (const auto& [rank, left, right] : MergesFromRanks())
      append(vocab_.tokens[left], vocab_.tokens[right]);
  }

  // Vocabularies without merges say which token is made first: by score, or by id. As transformers
  // converts them, every way to cut a token into two is a merge of that rank.
  std::vector<std::tuple<float, size_t, size_t>> MergesFromRanks() const {
    const auto can_merge = [&](size_t i) {
      return types_[i] == TokenType::kNormal || (is_spm_ && types_[i] == TokenType::kUserDefined);
    };
    std::unordered_map<std::string_view, size_t> ids;
    for (size_t i = 0; i < types_.size(); ++i)
      if (can_merge(i)) ids.emplace(vocab_.tokens[i], i);
    std::vector<std::tuple<float, size_t, size_t>> merges;
    for (const auto& [token, id] : ids) {
      const float rank = is_spm_ ? -vocab_.scores[id] : static_cast<float>(id);
      for (size_t cut = 1; cut < token.size(); ++cut) {
        const auto left = ids.find(token.substr(0, cut)), right = ids.find(token.substr(cut));
        if (left != ids.end() && right != ids.end())
          merges.emplace_back(rank, left->second, right->second);
      }
    }
    std::sort(merges.begin(), merges.end());
    return merges;
  }

  text::Vocab vocab_;
  text::Tokenizer tokenizer_;
  bool is_spm_ = false;
  std::vector<TokenType> types_;  // as the tokenizer takes them
};

ordered_json TokenizerConfig(const Writer& writer, const format::GgufFile& file) {
  const text::Tokenizer& tokenizer = writer.tokenizer();
  ordered_json config = {{"add_bos_token", tokenizer.adds_bos()},
                         {"add_eos_token", tokenizer.adds_eos()}};
  config.update(writer.SpecialTokens());
  config["clean_up_tokenization_spaces"] = false;
  const std::string arch(file.metadata().FindString("general.architecture").value_or(""));
  if (const auto context = file.metadata().FindInt(arch + ".context_length"))
    config["model_max_length"] = *context;
  // The class that takes tokenizer.json as it is; those named after models build their own.
  config["tokenizer_class"] = "PreTrainedTokenizerFast";
  return config;
}

bool IsFileName(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
}

void AddChatTemplates(const format::GgufFile& file,
                      const std::function<void(const std::string&)>& notice,
                      std::vector<TextFile>* files) {
  const format::GgufMetadata& metadata = file.metadata();
  const std::string key = "tokenizer.chat_template";
  for (const auto& entry : metadata.entries()) {
    if (!entry.key.starts_with(key + ".")) continue;
    const std::string_view name = entry.key.substr(key.size() + 1);
    if (!IsFileName(name))
      throw Error(Code::kBadInput, "{}: {}: its name is no file name", file.path(), entry.key);
    files->push_back({fmt::format("additional_chat_templates/{}.jinja", name),
                      std::string(metadata.GetString(entry.key))});
  }
  if (const auto source = metadata.FindString(key)) {
    files->push_back({"chat_template.jinja", std::string(*source)});
    return;
  }
  // What slm itself takes then.
  const auto text_of = [&](const char* name) {
    return std::string(metadata.FindString(name).value_or(""));
  };
  const auto published =
      text::FindPublishedTemplate({text_of("general.architecture"), text_of("general.name"),
                                   text_of("general.basename"), text_of("tokenizer.ggml.pre")});
  if (!published) return;
  notice(
      fmt::format("the file has no chat template; chat_template.jinja is the published one of {}",
                  published->name));
  files->push_back({"chat_template.jinja", std::string(published->source)});
}

}  // namespace

std::vector<TextFile> MakeHfTokenizer(const format::GgufFile& file,
                                      const std::function<void(const std::string&)>& notice) {
  const auto model = file.metadata().FindString("tokenizer.ggml.model");
  if (!model || *model == "no_vocab" || *model == "none") {
    notice("the file has no tokenizer, and so the folder has none");
    return {};
  }
  std::vector<TextFile> files;
  const auto render = [](const ordered_json& json) { return json.dump(2) + "\n"; };
  try {
    const Writer writer(file);
    files.push_back({"tokenizer.json", writer.TokenizerJson()});
    files.push_back({"tokenizer_config.json", render(TokenizerConfig(writer, file))});
    files.push_back({"special_tokens_map.json", render(writer.SpecialTokens())});
  } catch (const ordered_json::exception&) {
    throw Error(Code::kBadInput, "{}: a special token is not UTF-8", file.path());
  }
  AddChatTemplates(file, notice, &files);
  return files;
}

}  // namespace slm::convert
