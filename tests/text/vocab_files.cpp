#include "text/vocab_files.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "support/data.h"
#include "text/unicode.h"

namespace slm::text {
namespace {

std::string FromBase64(std::string_view text) {
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    constexpr std::string_view kDigits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) break;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    if (++count % 4 != 1) out.push_back(static_cast<char>(bits >> (6 - 2 * ((count - 1) % 4))));
  }
  return out;
}

std::string ToGpt2Alphabet(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<uint8_t>(c);
    uint32_t code = byte;
    if (byte <= 0x20) code = 0x100u + byte;
    if (byte >= 0x7f && byte <= 0xa0) code = 0x121u + (byte - 0x7fu);
    if (byte == 0xad) code = 0x143;
    AppendUtf8(code, &out);
  }
  return out;
}

void Add(VocabFile* file, std::string token, TokenType type) {
  file->vocab.tokens.push_back(file->strings.emplace_back(std::move(token)));
  file->vocab.types.push_back(static_cast<int32_t>(type));
}

}  // namespace

VocabFile ReadGgufVocab(const std::string& path) {
  VocabFile file;
  file.gguf = std::make_unique<format::GgufFile>(format::GgufFile::Open(path));
  const format::GgufMetadata& metadata = file.gguf->metadata();
  Vocab& vocab = file.vocab;
  const std::string prefix = "tokenizer.ggml.";
  vocab.model = metadata.GetString(prefix + "model");
  vocab.pre = metadata.FindString(prefix + "pre").value_or("");
  vocab.tokens = metadata.GetStrings(prefix + "tokens");
  vocab.scores = metadata.FindFloats(prefix + "scores").value_or(std::vector<float>());
  vocab.merges = metadata.FindStrings(prefix + "merges").value_or(vocab.merges);
  if (const auto types = metadata.FindInts(prefix + "token_type"))
    vocab.types.assign(types->begin(), types->end());
  const auto id = [&](const char* name) {
    return static_cast<int32_t>(metadata.FindInt(prefix + name).value_or(-1));
  };
  vocab.bos = id("bos_token_id");
  vocab.eos = id("eos_token_id");
  vocab.eot = id("eot_token_id");
  vocab.eom = id("eom_token_id");
  vocab.unk = id("unknown_token_id");
  vocab.pad = id("padding_token_id");
  vocab.add_bos = metadata.FindBool(prefix + "add_bos_token");
  vocab.add_eos = metadata.FindBool(prefix + "add_eos_token");
  vocab.add_space_prefix = metadata.FindBool(prefix + "add_space_prefix");
  vocab.remove_extra_whitespaces = metadata.FindBool(prefix + "remove_extra_whitespaces");
  return file;
}

VocabFile ReadTiktoken(const std::string& path, const std::string& pre) {
  VocabFile file;
  file.vocab.model = "gpt2";
  file.vocab.pre = pre;
  std::istringstream lines(testing::ReadFile(path));
  std::string base64;
  for (size_t rank = 0; lines >> base64 >> rank;) {
    if (rank != file.vocab.tokens.size())
      throw Error(Code::kBadInput, "{}: rank {} is out of order", path, rank);
    Add(&file, ToGpt2Alphabet(FromBase64(base64)), TokenType::kNormal);
  }
  return file;
}

VocabFile ReadTekken(const std::string& path) {
  const auto json = nlohmann::json::parse(testing::ReadFile(path));
  const auto& config = json.at("config");
  const size_t size = config.at("default_vocab_size");
  const size_t num_special = config.at("default_num_special_tokens");
  VocabFile file;
  file.vocab.model = "gpt2";
  file.vocab.pre = "tekken";
  for (size_t i = 0; i < num_special; ++i)
    Add(&file, "<SPECIAL_" + std::to_string(i) + ">", TokenType::kControl);
  for (size_t i = 0; i < size - num_special; ++i) {
    const std::string base64 = json.at("vocab").at(i).at("token_bytes");
    Add(&file, ToGpt2Alphabet(FromBase64(base64)), TokenType::kNormal);
  }
  file.vocab.bos = 1;
  file.vocab.eos = 2;
  return file;
}

VocabFile MakeVocab(const std::string& model, const std::string& pre,
                    const std::vector<std::string>& tokens, const std::vector<TokenType>& types,
                    const std::vector<std::string>& merges) {
  VocabFile file;
  file.vocab.model = model;
  file.vocab.pre = pre;
  for (size_t i = 0; i < tokens.size(); ++i)
    Add(&file, tokens[i], i < types.size() ? types[i] : TokenType::kNormal);
  for (const std::string& merge : merges)
    file.vocab.merges.push_back(file.strings.emplace_back(merge));
  if (model == "llama") file.vocab.scores.assign(tokens.size(), 0.0f);
  return file;
}

std::vector<std::string> ByteTokens() {
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    tokens.push_back(ToGpt2Alphabet({&c, 1}));
  }
  return tokens;
}

std::string GoldenPath(const std::string& name) {
  return "tests/golden/tokenizers/" + name + ".json";
}

std::vector<std::string> GoldenStrings() {
  return nlohmann::json::parse(testing::ReadFile(GoldenPath("strings"))).at("strings");
}

std::string Fnv1a(const std::vector<int32_t>& ids) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const int32_t id : ids) {
    for (int shift = 0; shift < 32; shift += 8)
      hash = (hash ^ (static_cast<uint32_t>(id) >> shift & 0xff)) * 0x100000001b3u;
  }
  return fmt::format("{:016x}", hash);
}

}  // namespace slm::text
