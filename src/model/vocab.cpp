#include "model/vocab.h"

#include "base/error.h"

namespace slm::model {
namespace {

int32_t FindId(const format::GgufFile& file, const std::string& name) {
  const auto id = file.metadata().FindInt("tokenizer.ggml." + name + "_token_id");
  if (!id) return -1;
  if (*id < 0 || *id > INT32_MAX)
    throw Error(Code::kBadInput, "{}: tokenizer.ggml.{}_token_id: {} is not a token id",
                file.path(), name, *id);
  return static_cast<int32_t>(*id);
}

}  // namespace

text::Vocab ReadVocab(const format::GgufFile& file) {
  const format::GgufMetadata& in = file.metadata();
  text::Vocab v;
  v.model = in.GetString("tokenizer.ggml.model");
  v.pre = in.FindString("tokenizer.ggml.pre").value_or("");
  v.tokens = in.GetStrings("tokenizer.ggml.tokens");
  v.scores = in.FindFloats("tokenizer.ggml.scores").value_or(std::vector<float>());
  for (const int64_t type :
       in.FindInts("tokenizer.ggml.token_type").value_or(std::vector<int64_t>()))
    v.types.push_back(static_cast<int32_t>(type < 0 || type > 100 ? 0 : type));
  v.merges = in.FindStrings("tokenizer.ggml.merges").value_or(std::vector<std::string_view>());
  v.bos = FindId(file, "bos");
  v.eos = FindId(file, "eos");
  v.eot = FindId(file, "eot");
  v.eom = FindId(file, "eom");
  v.unk = FindId(file, "unknown");
  v.pad = FindId(file, "padding");
  v.add_bos = in.FindBool("tokenizer.ggml.add_bos_token");
  v.add_eos = in.FindBool("tokenizer.ggml.add_eos_token");
  v.add_space_prefix = in.FindBool("tokenizer.ggml.add_space_prefix");
  v.remove_extra_whitespaces = in.FindBool("tokenizer.ggml.remove_extra_whitespaces");
  return v;
}

text::Tokenizer MakeTokenizer(const format::GgufFile& file) {
  const text::Vocab vocab = ReadVocab(file);
  try {
    return text::Tokenizer(vocab);
  } catch (const Error& error) {
    throw Error(error.code(), "{}: {}", file.path(), error.what());
  }
}

}  // namespace slm::model
