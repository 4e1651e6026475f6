#include "model/vocab.h"

#include "base/error.h"

namespace slm::model {
namespace {

int32_t FindId(const format::GgufMetadata& metadata, const std::string& name) {
  const auto id = metadata.FindInt("tokenizer.ggml." + name + "_token_id");
  if (!id) return -1;
  if (*id < 0 || *id > INT32_MAX)
    throw Error(Code::kBadInput, "tokenizer.ggml.{}_token_id: {} is not a token id", name, *id);
  return static_cast<int32_t>(*id);
}

text::Vocab ReadVocab(const format::GgufMetadata& in) {
  text::Vocab v;
  v.model = in.GetString("tokenizer.ggml.model");
  v.pre = in.FindString("tokenizer.ggml.pre").value_or("");
  v.tokens = in.GetStrings("tokenizer.ggml.tokens");
  v.scores = in.FindFloats("tokenizer.ggml.scores").value_or(std::vector<float>());
  for (const int64_t type :
       in.FindInts("tokenizer.ggml.token_type").value_or(std::vector<int64_t>()))
    v.types.push_back(static_cast<int32_t>(type < 0 || type > 100 ? 0 : type));
  v.merges = in.FindStrings("tokenizer.ggml.merges").value_or(std::vector<std::string_view>());
  v.bos = FindId(in, "bos");
  v.eos = FindId(in, "eos");
  v.eot = FindId(in, "eot");
  v.eom = FindId(in, "eom");
  v.unk = FindId(in, "unknown");
  v.pad = FindId(in, "padding");
  v.add_bos = in.FindBool("tokenizer.ggml.add_bos_token");
  v.add_eos = in.FindBool("tokenizer.ggml.add_eos_token");
  v.add_space_prefix = in.FindBool("tokenizer.ggml.add_space_prefix");
  v.remove_extra_whitespaces = in.FindBool("tokenizer.ggml.remove_extra_whitespaces");
  return v;
}

}  // namespace

text::Tokenizer MakeTokenizer(const format::GgufFile& file) {
  try {
    return text::Tokenizer(ReadVocab(file.metadata()));
  } catch (const Error& error) {
    throw Error(error.code(), "{}: {}", file.path(), error.what());
  }
}

}  // namespace slm::model
