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

TinyCheckpoint TinyGemma2() {
  TinyCheckpoint checkpoint = TinyLlama();
  checkpoint.tensors.erase("lm_head.weight");
  for (const std::string layer : {"0", "1"})
    for (const char* name : {"pre", "post"})
      checkpoint.tensors["model.layers." + layer + "." + name + "_feedforward_layernorm.weight"] =
          FloatTensor({32}, std::vector<float>(32, 0.5f));
  checkpoint.config.erase("rope_theta");
  checkpoint.config.update(ordered_json{{"architectures", {"Gemma2ForCausalLM"}},
                                        {"model_type", "gemma2"},
                                        {"head_dim", 8},
                                        {"hidden_activation", "gelu_pytorch_tanh"},
                                        {"query_pre_attn_scalar", 8},
                                        {"sliding_window", 16},
                                        {"attn_logit_softcapping", 50.0},
                                        {"final_logit_softcapping", 30.0},
                                        {"tie_word_embeddings", true}});
  return checkpoint;
}

TinyCheckpoint TinyPhi3() {
  TinyCheckpoint checkpoint = TinyLlama();
  for (const std::string layer : {"0", "1"}) {
    const std::string prefix = "model.layers." + layer + ".";
    const auto fuse = [&](const std::string& to, int64_t rows,
                          const std::vector<std::string>& names) {
      TinyTensor fused{.dtype = "F32", .shape = {rows, 32}, .bytes = {}};
      for (const std::string& name : names) {
        fused.bytes += checkpoint.At(prefix + name).bytes;
        checkpoint.tensors.erase(prefix + name);
      }
      checkpoint.tensors[prefix + to] = fused;
    };
    fuse("self_attn.qkv_proj.weight", 64,
         {"self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"});
    fuse("mlp.gate_up_proj.weight", 128, {"mlp.gate_proj.weight", "mlp.up_proj.weight"});
  }
  checkpoint.config.update(ordered_json{
      {"architectures", {"Phi3ForCausalLM"}},
      {"model_type", "phi3"},
      {"original_max_position_embeddings", 64},
      {"rope_scaling",
       {{"type", "longrope"}, {"short_factor", {1, 1, 1, 1}}, {"long_factor", {1, 2, 3, 4}}}}});
  return checkpoint;
}

TinyCheckpoint TinyQwen2() {
  TinyCheckpoint checkpoint = TinyLlama();
  for (const std::string layer : {"0", "1"})
    for (const auto& [name, size] : {std::pair("q", 32), std::pair("k", 16), std::pair("v", 16)})
      checkpoint.tensors["model.layers." + layer + ".self_attn." + name + "_proj.bias"] =
          FloatTensor({size}, std::vector<float>(static_cast<size_t>(size), 0.25f));
  checkpoint.config.update(
      ordered_json{{"architectures", {"Qwen2ForCausalLM"}}, {"model_type", "qwen2"}});
  return checkpoint;
}

TinyCheckpoint MistralNative() {
  TinyCheckpoint checkpoint = TinyLlama();
  checkpoint.config = {{"dim", 32},         {"hidden_dim", 64}, {"n_heads", 4},
                       {"n_kv_heads", 2},   {"n_layers", 2},    {"head_dim", 8},
                       {"vocab_size", 48},  {"norm_eps", 1e-5}, {"rope_theta", 10000.0},
                       {"max_seq_len", 128}};
  checkpoint.Rename("model.embed_tokens.weight", "tok_embeddings.weight");
  checkpoint.Rename("model.norm.weight", "norm.weight");
  checkpoint.Rename("lm_head.weight", "output.weight");
  constexpr std::pair<const char*, const char*> kNames[] = {
      {"input_layernorm", "attention_norm"}, {"post_attention_layernorm", "ffn_norm"},
      {"self_attn.q_proj", "attention.wq"},  {"self_attn.k_proj", "attention.wk"},
      {"self_attn.v_proj", "attention.wv"},  {"self_attn.o_proj", "attention.wo"},
      {"mlp.gate_proj", "feed_forward.w1"},  {"mlp.down_proj", "feed_forward.w2"},
      {"mlp.up_proj", "feed_forward.w3"}};
  for (const std::string layer : {"layers.0.", "layers.1."})
    for (const auto& [from, to] : kNames)
      checkpoint.Rename("model." + layer + from + ".weight", layer + to + ".weight");
  return checkpoint;
}

}  // namespace slm::convert
