#include "convert/tiny_checkpoint.h"

#include <cstring>

#include "base/random.h"
#include "support/temp_folder.h"

namespace slm::convert {

using nlohmann::ordered_json;

TinyTensor FloatTensor(const std::vector<int64_t>& shape, const std::vector<float>& values) {
  TinyTensor tensor{.dtype = "F32", .shape = shape, .bytes = {}};
  tensor.bytes.assign(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
  return tensor;
}

std::vector<float> Floats(const TinyTensor& tensor) {
  std::vector<float> values(tensor.bytes.size() / sizeof(float));
  std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
  return values;
}

std::string SafetensorsBytes(const std::map<std::string, TinyTensor>& tensors) {
  ordered_json header = ordered_json::object();
  std::string data;
  for (const auto& [name, tensor] : tensors) {
    const size_t begin = data.size();
    data += tensor.bytes;
    header[name] = {
        {"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {begin, data.size()}}};
  }
  const std::string text = header.dump();
  const uint64_t size = text.size();
  return std::string(reinterpret_cast<const char*>(&size), 8) + text + data;
}

void TinyCheckpoint::Rename(const std::string& from, const std::string& to) {
  auto node = tensors.extract(from);
  node.key() = to;
  tensors.insert(std::move(node));
}

void TinyCheckpoint::Write(const std::string& folder, const std::string& name) const {
  const bool is_mistral = name.starts_with("consolidated");
  testing::WriteFile(folder + (is_mistral ? "/params.json" : "/config.json"), config.dump());
  testing::WriteFile(folder + "/" + name, SafetensorsBytes(tensors));
}

TinyCheckpoint TinyLlama() {
  TinyCheckpoint checkpoint;
  checkpoint.config = {{"architectures", {"LlamaForCausalLM"}},
                       {"model_type", "llama"},
                       {"hidden_size", 32},
                       {"intermediate_size", 64},
                       {"num_attention_heads", 4},
                       {"num_key_value_heads", 2},
                       {"num_hidden_layers", 2},
                       {"vocab_size", 48},
                       {"max_position_embeddings", 128},
                       {"rms_norm_eps", 1e-5},
                       {"rope_theta", 10000.0},
                       {"tie_word_embeddings", false}};
  uint64_t counter = 0;
  const auto add = [&](const std::string& name, const std::vector<int64_t>& shape) {
    int64_t n = 1;
    for (const int64_t dim : shape) n *= dim;
    std::vector<float> values;
    for (int64_t i = 0; i < n; ++i)
      values.push_back(static_cast<float>(RandomUniform(1, counter++) - 0.5));
    checkpoint.tensors[name] = FloatTensor(shape, values);
  };
  add("model.embed_tokens.weight", {48, 32});
  add("model.norm.weight", {32});
  add("lm_head.weight", {48, 32});
  for (int layer = 0; layer < 2; ++layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    add(prefix + "input_layernorm.weight", {32});
    add(prefix + "post_attention_layernorm.weight", {32});
    add(prefix + "self_attn.q_proj.weight", {32, 32});
    add(prefix + "self_attn.k_proj.weight", {16, 32});
    add(prefix + "self_attn.v_proj.weight", {16, 32});
    add(prefix + "self_attn.o_proj.weight", {32, 32});
    add(prefix + "mlp.gate_proj.weight", {64, 32});
    add(prefix + "mlp.up_proj.weight", {64, 32});
    add(prefix + "mlp.down_proj.weight", {32, 64});
  }
  return checkpoint;
}

}  // namespace slm::convert
