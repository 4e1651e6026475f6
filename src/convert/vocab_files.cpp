#include "convert/vocab_files.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/error.h"
#include "base/mapped_file.h"
#include "convert/sentencepiece_model.h"
#include "convert/tekken.h"
#include "convert/tokenizer_json.h"
#include "format/byte_reader.h"
#include "text/json.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

namespace slm::convert {
namespace {

namespace fs = std::filesystem;
using format::Quoted;
using nlohmann::json;
using text::TokenType;

constexpr float kPaddingScore = -10000.0f;
constexpr size_t kMaxTemplates = 100;
constexpr size_t kMaxTemplateNameBytes = 64;

std::optional<std::string> PathOf(const std::string& folder, const char* name) {
  const std::string path = fs::path(folder) / name;
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return std::nullopt;
  return path;
}

class Reader {
 public:
  Reader(const std::string& folder, const Config& config)
      : folder_(folder),
        config_(config),
        vocab_size_(static_cast<size_t>(config.GetInt("vocab_size"))) {}

  HfVocab Read() {
    Pad();
    const auto sentencepiece = PathOf(folder_, "tokenizer.model");
    const auto tokenizer = PathOf(folder_, "tokenizer.json");
    const auto tekken = PathOf(folder_, "tekken.json");
    if (const auto path = PathOf(folder_, "tokenizer_config.json"))
      tokenizer_config_ = Config::Read(*path);
    if (tokenizer) json_ = text::ParseSortedJson(ReadWholeFile(*tokenizer), *tokenizer);
    if (sentencepiece) {
      ReadSentencePiece(*sentencepiece);
      if (tokenizer) ReadAddedTokens(*tokenizer, json_, vocab_size_, &vocab_);
    } else if (tokenizer) {
      ReadTokenizerJson(*tokenizer, json_, vocab_size_, &vocab_);
    } else if (tekken) {
      ReadTekken(*tekken, ReadWholeFile(*tekken), vocab_size_, &vocab_);
    } else {
      throw Error(Code::kBadInput,
                  "{}: expected tokenizer.model, tokenizer.json or tekken.json; without one, "
                  "--no-vocab converts the weights alone",
                  folder_);
    }
    ReadTemplates();
    ReadSpecialIds();
    ReadAdditions();
    Check();
    RemoveDoubles(&vocab_.notices);
    return std::move(vocab_);
  }

 private:
  void Pad() {
    for (size_t id = 0; id < vocab_size_; ++id)
      SetToken(&vocab_, id, fmt::format("[PAD{}]", id), static_cast<int32_t>(TokenType::kUnused),
               kPaddingScore);
  }

  void ReadSentencePiece(const std::string& path) {
    const MappedFile file(path);
    const SentencePieceModel model = ParseSentencePiece(path, file.bytes());
    if (model.pieces.size() > vocab_size_)
      throw Error(Code::kBadInput, "{}: {} pieces, but config.json's vocab_size is {}", path,
                  model.pieces.size(), vocab_size_);
    vocab_.model = "llama";
    vocab_.pre = "default";
    for (size_t id = 0; id < model.pieces.size(); ++id) {
      const SentencePiece& piece = model.pieces[id];
      SetToken(&vocab_, id, piece.text, piece.type, piece.score);
    }
    vocab_.bos = model.bos;
    vocab_.eos = model.eos;
    vocab_.unk = model.unk;
    vocab_.pad = model.pad;
    if (!model.add_dummy_prefix) vocab_.add_space_prefix = false;
    if (tokenizer_config_)
      if (const auto add = tokenizer_config_->FindBool("add_prefix_space"))
        vocab_.add_space_prefix = add;
    if (model.remove_extra_whitespaces) vocab_.remove_extra_whitespaces = true;
    if (const auto added = PathOf(folder_, "added_tokens.json")) {
      const Config tokens = Config::Read(*added);
      for (const auto& [text, id] : tokens.json().items())
        AddChecked(tokens.GetInt(text), text, false);
    }
    const auto listed = TokenizerConfigObject("added_tokens_decoder");
    if (!listed) return;
    for (const auto& [id, token] : listed->json().items()) {
      const bool is_number =
          !id.empty() && id.size() < 10 && id.find_first_not_of("0123456789") == std::string::npos;
      const auto entry = listed->FindObject(id);
      const auto text = entry ? entry->FindString("content") : std::nullopt;
      if (!is_number || !text) listed->Fail(id, "expected an id with a content");
      AddChecked(std::stoll(id), *text, entry->FindBool("special").value_or(false));
    }
  }

  void AddChecked(int64_t id, const std::string& text, bool is_special) {
    if (static_cast<size_t>(id) >= vocab_size_) {
      vocab_.notices.push_back(
          fmt::format("added token {} has no row in the embedding: left out", Quoted(text)));
      return;
    }
    AddToken(&vocab_, static_cast<size_t>(id), text, is_special);
  }

  std::optional<Config> TokenizerConfigObject(std::string_view key) const {
    return tokenizer_config_ ? tokenizer_config_->FindObject(key) : std::nullopt;
  }

  // "bos_token": a text, or an object with one.
  std::optional<std::string> SpecialText(const std::string& key) const {
    const json* value = tokenizer_config_ ? tokenizer_config_->Find(key) : nullptr;
    if (!value) return std::nullopt;
    if (value->is_object()) return tokenizer_config_->FindObject(key)->FindString("content");
    return tokenizer_config_->FindString(key);
  }

  // tokenizer_config.json names the tokens; else config.json has ids; else the vocabulary's own
  // file does.
  void ReadSpecialIds() {
    const std::pair<const char*, int32_t*> kinds[] = {
        {"bos", &vocab_.bos}, {"eos", &vocab_.eos}, {"unk", &vocab_.unk}, {"pad", &vocab_.pad}};
    for (const auto& [kind, id] : kinds) {
      const auto text = SpecialText(std::string(kind) + "_token");
      if (text) {
        const auto at = std::find(vocab_.tokens.begin(), vocab_.tokens.end(), *text);
        if (at != vocab_.tokens.end()) {
          *id = static_cast<int32_t>(at - vocab_.tokens.begin());
          continue;
        }
      }
      const std::string key = std::string(kind) + "_token_id";
      const std::vector<int32_t> ids = Ids(config_, key);
      const bool is_list = config_.Find(key) && config_.Find(key)->is_array();
      if (!ids.empty() && (!is_list || *id < 0)) *id = ids[0];
    }
  }

  // An id or a list of some, where they are in the vocabulary.
  std::vector<int32_t> Ids(const Config& config, const std::string& key) const {
    const json* value = config.Find(key);
    if (!value) return {};
    std::vector<int32_t> ids;
    for (const json& id : value->is_array() ? *value : json::array({*value})) {
      if (!id.is_number_integer()) config.Fail(key, "expected an id or a list of some");
      if (id >= 0 && id < vocab_size_) ids.push_back(id.get<int32_t>());
    }
    return ids;
  }

  // The publisher's lists of ends may hold more than the EOS and what runtimes know by name. Those
  // go where a name does not decide already: EOT, then EOM.
  void AddEnds(const text::Tokenizer& tokenizer) {
    std::vector<int32_t> known = tokenizer.end_of_generation();
    std::vector<int32_t*> places;
    if (tokenizer.eot() < 0) places.push_back(&vocab_.eot);
    if (tokenizer.eom() < 0) places.push_back(&vocab_.eom);
    std::vector<int32_t> ends = Ids(config_, "eos_token_id");
    if (const auto path = PathOf(folder_, "generation_config.json"))
      for (const int32_t id : Ids(Config::Read(*path), "eos_token_id")) ends.push_back(id);
    for (const int32_t id : ends) {
      if (std::find(known.begin(), known.end(), id) != known.end()) continue;
      known.push_back(id);
      if (!places.empty()) {
        *places.front() = id;
        places.erase(places.begin());
        continue;
      }
      vocab_.notices.push_back(
          fmt::format("token {} ends an answer, too, which GGUF has no place for",
                      Quoted(vocab_.tokens[static_cast<size_t>(id)])));
    }
  }

  // Whether BOS and EOS are put around a text: tokenizer_config.json says so, or the template of
  // tokenizer.json's post-processor does.
  void ReadAdditions() {
    if (json_.is_object()) {
      const auto texts = TemplateTexts(json_.value("post_processor", json()));
      const auto is_token = [&](const std::string& text, int32_t id) {
        return id >= 0 && vocab_.tokens[static_cast<size_t>(id)] == text;
      };
      if (!texts.empty()) {
        vocab_.add_bos = is_token(texts.front(), vocab_.bos);
        if (texts.size() > 1) vocab_.add_eos = is_token(texts.back(), vocab_.eos);
      } else if (vocab_.model == "gpt2") {
        vocab_.add_bos = false;
      }
    }
    if (!tokenizer_config_) return;
    if (const auto add = tokenizer_config_->FindBool("add_bos_token")) vocab_.add_bos = add;
    if (const auto add = tokenizer_config_->FindBool("add_eos_token")) vocab_.add_eos = add;
    // A token that does not exist cannot be added.
    if (vocab_.bos < 0 && vocab_.add_bos) vocab_.add_bos = false;
    if (vocab_.eos < 0 && vocab_.add_eos) vocab_.add_eos = false;
  }

  // Of a single text: the special token in front and that behind, "" where the text is; empty
  // without a template.
  static std::vector<std::string> TemplateTexts(const json& processor) {
    if (!processor.is_object()) return {};
    const json inner = processor.value("processors", json());
    if (inner.is_array()) {
      for (const json& one : inner)
        if (auto texts = TemplateTexts(one); !texts.empty()) return texts;
      return {};
    }
    const json items = processor.value("single", json());
    if (processor.value("type", json()) != "TemplateProcessing" || !items.is_array()) return {};
    std::vector<std::string> texts;
    for (const json& item : items) {
      const json special = item.is_object() ? item.value("SpecialToken", json()) : json();
      const json id = special.is_object() ? special.value("id", json()) : json();
      texts.push_back(id.is_string() ? id.get<std::string>() : "");
    }
    return texts;
  }

  // As transformers has it: files of their own before what tokenizer_config.json says.
  void ReadTemplates() {
    const json* listed = tokenizer_config_ ? tokenizer_config_->Find("chat_template") : nullptr;
    if (listed && listed->is_string()) AddTemplate("default", listed->get<std::string>());
    if (listed && listed->is_array()) {
      for (const json& item : *listed) {
        const Config entry(tokenizer_config_->path(), item);
        const auto name = entry.FindString("name"), text = entry.FindString("template");
        if (!name || !text) entry.Fail("chat_template", "expected a name and a template each");
        AddTemplate(*name, *text);
      }
    }
    const std::string in_config = vocab_.chat_template;
    if (const auto jinja = PathOf(folder_, "chat_template.jinja")) {
      vocab_.more_templates.clear();
      AddTemplate("default", ReadTemplate(*jinja));
      const fs::path more = fs::path(folder_) / "additional_chat_templates";
      std::error_code ignored;
      for (const auto& entry : fs::directory_iterator(more, ignored))
        if (entry.path().extension() == ".jinja")
          AddTemplate(entry.path().stem(), ReadTemplate(entry.path()));
    } else if (const auto file = PathOf(folder_, "chat_template.json"); file && in_config.empty()) {
      AddTemplate("default", Config::Read(*file).FindString("chat_template").value_or(""));
    }
    if (!in_config.empty() && in_config != vocab_.chat_template)
      vocab_.notices.push_back(
          "chat_template.jinja and tokenizer_config.json differ: the file is taken, as "
          "transformers does");
  }

  static std::string ReadTemplate(const std::string& path) {
    std::string text = ReadWholeFile(path);
    if (!text::IsUtf8(text)) throw Error(Code::kBadInput, "{}: expected UTF-8", path);
    return text;
  }

  void AddTemplate(std::string name, std::string text) {
    if (name == "default") {
      vocab_.chat_template = std::move(text);
      return;
    }
    for (char& c : name) {  // a part of a metadata key
      const bool is_plain =
          (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
      if (!is_plain) c = '_';
    }
    if (name.empty() || name.size() > kMaxTemplateNameBytes ||
        vocab_.more_templates.size() == kMaxTemplates) {
      vocab_.notices.push_back(
          fmt::format("chat template {}: left out; names have 1 to {} bytes, "
                      "and there are at most {}",
                      Quoted(name), kMaxTemplateNameBytes, kMaxTemplates));
      return;
    }
    vocab_.more_templates[name] = std::move(text);
  }

  // The tokenizer that will read the file says what is wrong with it now, not then.
  void Check() {
    try {
      AddEnds(text::Tokenizer(ViewOf(vocab_)));
    } catch (const Error& error) {
      throw Error(error.code(), "{}: the tokenizer: {}", folder_, error.what());
    }
  }

  static void RemoveDoubles(std::vector<std::string>* notices) {
    std::set<std::string> seen;
    std::erase_if(*notices, [&](const std::string& notice) { return !seen.insert(notice).second; });
  }

  const std::string& folder_;
  const Config& config_;
  size_t vocab_size_;
  std::optional<Config> tokenizer_config_;
  json json_;  // tokenizer.json; null without
  HfVocab vocab_;
};

}  // namespace

void SetToken(HfVocab* vocab, size_t id, std::string text, int32_t type, float score) {
  if (id >= vocab->tokens.size()) {
    vocab->tokens.resize(id + 1);
    vocab->types.resize(id + 1);
    vocab->scores.resize(id + 1);
  }
  vocab->tokens[id] = std::move(text);
  vocab->types[id] = type;
  vocab->scores[id] = score;
}

HfVocab ReadHfVocab(const std::string& folder, const Config& config) {
  return Reader(folder, config).Read();
}

text::Vocab ViewOf(const HfVocab& vocab) {
  text::Vocab v;
  v.model = vocab.model;
  v.pre = vocab.pre;
  v.tokens.assign(vocab.tokens.begin(), vocab.tokens.end());
  v.scores = vocab.scores;
  v.types = vocab.types;
  v.merges.assign(vocab.merges.begin(), vocab.merges.end());
  v.bos = vocab.bos;
  v.eos = vocab.eos;
  v.eot = vocab.eot;
  v.eom = vocab.eom;
  v.unk = vocab.unk;
  v.pad = vocab.pad;
  v.add_bos = vocab.add_bos;
  v.add_eos = vocab.add_eos;
  v.add_space_prefix = vocab.add_space_prefix;
  v.remove_extra_whitespaces = vocab.remove_extra_whitespaces;
  return v;
}

void WriteVocab(const HfVocab& vocab, format::GgufWriter* writer) {
  const auto key = [](const std::string& name) { return "tokenizer.ggml." + name; };
  writer->SetString(key("model"), vocab.model);
  writer->SetString(key("pre"), vocab.pre);
  writer->SetStrings(key("tokens"), std::span<const std::string>(vocab.tokens));
  if (!vocab.scores.empty())
    writer->SetArray<float>(key("scores"), std::span<const float>(vocab.scores));
  writer->SetArray<int32_t>(key("token_type"), std::span<const int32_t>(vocab.types));
  if (!vocab.merges.empty())
    writer->SetStrings(key("merges"), std::span<const std::string>(vocab.merges));
  const std::pair<const char*, int32_t> ids[] = {
      {"bos_token_id", vocab.bos},     {"eos_token_id", vocab.eos},
      {"eot_token_id", vocab.eot},     {"eom_token_id", vocab.eom},
      {"unknown_token_id", vocab.unk}, {"padding_token_id", vocab.pad}};
  for (const auto& [name, id] : ids)
    if (id >= 0) writer->Set<uint32_t>(key(name), static_cast<uint32_t>(id));
  const std::pair<const char*, std::optional<bool>> flags[] = {
      {"add_bos_token", vocab.add_bos},
      {"add_eos_token", vocab.add_eos},
      {"add_space_prefix", vocab.add_space_prefix},
      {"remove_extra_whitespaces", vocab.remove_extra_whitespaces}};
  for (const auto& [name, flag] : flags)
    if (flag) writer->Set<bool>(key(name), *flag);
  if (!vocab.chat_template.empty())
    writer->SetString("tokenizer.chat_template", vocab.chat_template);
  std::vector<std::string> names;
  for (const auto& [name, text] : vocab.more_templates) {
    names.push_back(name);
    writer->SetString("tokenizer.chat_template." + name, text);
  }
  if (!names.empty())
    writer->SetStrings("tokenizer.chat_templates", std::span<const std::string>(names));
}

}  // namespace slm::convert
