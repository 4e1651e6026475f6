#include "tiny/tiny_model.h"

#include <filesystem>
#include <random>

#include "format/gguf_writer.h"
#include "model/hparams_writer.h"
#include "model/tensor_table.h"
#include "support/blocks.h"
#include "support/temp_folder.h"

namespace slm::testing {
namespace {

// Rows of whole blocks: of 32 elements, or of 256.
model::Hparams ShapeOf(const model::Family& family, quant::Type type) {
  const bool is_wide = quant::Traits(type).block_size > 32;
  model::Hparams h;
  h.layers = family.window_period > 0 ? family.window_period + 1 : 2;
  h.d_model = is_wide ? 256 : 96;
  h.ffn = is_wide ? 512 : 160;
  h.heads = is_wide ? 8 : 6;
  h.kv_heads = 2;
  h.head_dim = 32;
  h.vocab = kTinyVocab;
  h.context = 4096;
  h.eps = 1e-6f;
  h.rope_dim = 32;
  h.window = family.window_period > 0 ? 100 : 0;
  h.window_period = family.window_period;
  return h;
}

// The code point that stands for a byte in the vocabularies of GPT-2 and its successors: printable
// ones stand for themselves, the others come after 255 in their order.
std::string ByteName(int byte) {
  const auto is_printable = [](int b) {
    return (b >= '!' && b <= '~') || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
  };
  int point = byte;
  if (!is_printable(byte)) {
    point = 256;
    for (int b = 0; b < byte; ++b) point += !is_printable(b);
  }
  if (point < 0x80) return {static_cast<char>(point)};
  return {static_cast<char>(0xc0 | point >> 6), static_cast<char>(0x80 | (point & 0x3f))};
}

void SetVocab(format::GgufWriter* out) {
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte) tokens.push_back(ByteName(byte));
  std::vector<int32_t> types(256, 1);  // normal
  for (const char* control : {"<s>", "</s>", "<|im_start|>", "<|im_end|>"}) {
    tokens.emplace_back(control);
    types.push_back(3);  // control
  }
  out->SetString("tokenizer.ggml.model", "gpt2");
  out->SetString("tokenizer.ggml.pre", "gpt-2");
  out->SetStrings("tokenizer.ggml.tokens", std::span<const std::string>(tokens));
  out->SetArray<int32_t>("tokenizer.ggml.token_type", types);
  out->SetStrings("tokenizer.ggml.merges", std::span<const std::string>());
  out->Set<uint32_t>("tokenizer.ggml.bos_token_id", 256);
  out->Set<uint32_t>("tokenizer.ggml.eos_token_id", 257);
  out->SetString("tokenizer.chat_template",
                 "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
                 "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}");
}

}  // namespace

std::string WriteTinyModel(const TinyModel& tiny) {
  static const TempFolder folder;
  const std::string path =
      folder / (tiny.arch + "-" + quant::Traits(tiny.type).name + "-" +
                std::to_string(tiny.layers) + (tiny.is_fused ? "-fused" : "") + ".gguf");
  if (std::filesystem::exists(path)) return path;
  const model::Family& family = model::FindFamily(tiny.arch, "tiny");
  model::Hparams h = ShapeOf(family, tiny.type);
  if (tiny.layers > 0) h.layers = tiny.layers;
  format::GgufWriter out(path);
  model::WriteHparams(h, family, &out);
  SetVocab(&out);
  std::mt19937 rng(11);
  struct Tensor {
    std::string name;
    std::vector<uint8_t> data;
  };
  std::vector<Tensor> tensors;
  const auto add = [&](const model::TensorRow& row, int64_t layer) {
    const bool is_post = row.presence == model::Presence::kPost;
    const bool has_post = family.norm_place == model::NormPlace::kPreAndPost;
    const bool is_split = row.slot == model::Slot::kAttnQ || row.slot == model::Slot::kAttnK ||
                          row.slot == model::Slot::kAttnV || row.slot == model::Slot::kFfnGate;
    const bool is_used = row.presence == model::Presence::kRequired || (is_post && has_post) ||
                         (tiny.is_fused ? row.slot == model::Slot::kAttnQkv : is_split);
    if (!is_used) return;
    const int64_t in = model::SizeOf(row.in, h);
    const bool is_up = row.slot == model::Slot::kFfnUp;
    const int64_t rows = model::SizeOf(row.out, h) * (tiny.is_fused && is_up ? 2 : 1);
    const bool is_vector = row.out == model::Dim::kNone;
    const quant::Type type = is_vector ? quant::Type::kF32 : tiny.type;
    std::vector<uint8_t> data = RandomRows(type, rows, in, rng, is_vector ? 1.0f : 0.2f);
    const int64_t dims[] = {in, rows};
    out.Declare(model::TensorName(row, layer), type, std::span(dims).first(is_vector ? 1 : 2));
    tensors.push_back({model::TensorName(row, layer), std::move(data)});
  };
  for (const model::TensorRow& row : model::TensorTable())
    for (int64_t layer = 0; layer < (row.is_layer ? h.layers : 1); ++layer) add(row, layer);
  for (const Tensor& tensor : tensors) out.Append(tensor.data);
  out.Finish();
  return path;
}

std::vector<int32_t> RandomIds(size_t n, std::mt19937& rng) {
  std::vector<int32_t> ids(n);
  for (int32_t& id : ids) id = static_cast<int32_t>(rng() % kTinyVocab);
  return ids;
}

}  // namespace slm::testing
