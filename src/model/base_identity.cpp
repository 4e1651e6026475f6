#include "model/base_identity.h"

#include <charconv>
#include <filesystem>
#include <vector>

#include "base/error.h"
#include "base/half.h"
#include "base/hash.h"
#include "format/byte_reader.h"
#include "model/tensor_table.h"

namespace slm::model {
namespace {

constexpr const char* kName = "slm.base.name";
constexpr const char* kArchitecture = "slm.base.architecture";
constexpr const char* kVocabulary = "slm.base.vocabulary";
constexpr const char* kNorms = "slm.base.norms";

template <class T>
uint64_t HashOf(std::span<const T> values, uint64_t seed) {
  return Hash64({reinterpret_cast<const uint8_t*>(values.data()), values.size_bytes()}, seed);
}

// Names of control tokens and of fillers differ among files of one model.
uint64_t VocabularyOf(const format::GgufMetadata& metadata) {
  constexpr int64_t kNormal = 1;
  const auto tokens = metadata.FindStrings("tokenizer.ggml.tokens");
  const auto types = metadata.FindInts("tokenizer.ggml.token_type");
  if (!tokens) return 0;
  uint64_t hash = tokens->size();
  for (size_t id = 0; id < tokens->size(); ++id)
    if (!types || id >= types->size() || (*types)[id] == kNormal)
      hash = HashOf(std::span<const char>((*tokens)[id]), hash ^ id);
  return hash;
}

bool IsNorm(const TensorRow& row) {
  return row.out == Dim::kNone && (row.in == Dim::kD || row.in == Dim::kHead);
}

// In bfloat16, through which a checkpoint may go that becomes a GGUF file again.
uint64_t NormsOf(const format::GgufFile& file, const Hparams& h) {
  const int64_t shape[] = {h.layers, h.d_model, h.ffn, h.heads, h.kv_heads, h.head_dim, h.vocab};
  uint64_t hash = HashOf(std::span<const int64_t>(shape), 0);
  std::vector<float> values;
  std::vector<uint16_t> rounded;
  for (const TensorRow& row : TensorTable())
    for (int64_t layer = 0; IsNorm(row) && layer < (row.is_layer ? h.layers : 1); ++layer) {
      const format::GgufTensor* tensor = file.Find(TensorName(row, layer));
      if (!tensor) continue;
      values.resize(static_cast<size_t>(tensor->elements));
      quant::Traits(tensor->type).decode(tensor->data.data(), values.data(), tensor->elements);
      rounded.clear();
      for (const float value : values) rounded.push_back(FloatToBfloat(value));
      hash = HashOf(std::span<const uint16_t>(rounded), hash);
    }
  return hash;
}

uint64_t ParseHash(const std::string& path, const char* key, const std::string& text) {
  uint64_t hash = 0;
  const char* end = text.data() + text.size();
  const auto [after, problem] = std::from_chars(text.data(), end, hash, 16);
  if (problem != std::errc() || after != end)
    throw Error(Code::kBadInput, "{}: {}: expected a hash in hexadecimal, got {}", path, key,
                format::Quoted(text));
  return hash;
}

}  // namespace

BaseIdentity IdentityOf(const format::GgufFile& file, const Hparams& hparams) {
  const format::GgufMetadata& metadata = file.metadata();
  BaseIdentity base;
  base.name = metadata.FindString("general.name")
                  .value_or(std::filesystem::path(file.path()).filename().string());
  base.architecture = metadata.GetString("general.architecture");
  base.vocabulary = VocabularyOf(metadata);
  base.norms = NormsOf(file, hparams);
  return base;
}

std::array<std::pair<const char*, std::string>, 4> ToMetadata(const BaseIdentity& base) {
  return {{{kName, base.name},
           {kArchitecture, base.architecture},
           {kVocabulary, fmt::format("{:016x}", base.vocabulary)},
           {kNorms, fmt::format("{:016x}", base.norms)}}};
}

std::optional<BaseIdentity> ParseBaseIdentity(const std::string& path, const FindText& find) {
  const auto norms = find(kNorms);
  if (!norms) return std::nullopt;
  return BaseIdentity{find(kName).value_or(""), find(kArchitecture).value_or(""),
                      ParseHash(path, kVocabulary, find(kVocabulary).value_or("0")),
                      ParseHash(path, kNorms, *norms)};
}

void CheckBase(const std::string& path, const BaseIdentity& trained_on,
               const format::GgufFile& file, const Hparams& hparams) {
  const BaseIdentity base = IdentityOf(file, hparams);
  const bool knows_both = base.vocabulary != 0 && trained_on.vocabulary != 0;
  std::string other;
  if (trained_on.architecture != base.architecture)
    other = "another architecture";
  else if (knows_both && trained_on.vocabulary != base.vocabulary)
    other = "another vocabulary";
  else if (trained_on.norms != base.norms)
    other = "other weights: their shape or their norms differ, which no quantization changes";
  else
    return;
  throw Error(
      Code::kBadInput,
      "{}: was trained on {} ({}), but {} is {} ({}), a model with {}; use the adapter with "
      "its base, in any type",
      path, format::Quoted(trained_on.name), format::Quoted(trained_on.architecture), file.path(),
      format::Quoted(base.name), base.architecture, other);
}

}  // namespace slm::model
