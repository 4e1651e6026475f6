// How Hugging Face checkpoints name and lay out what our tensor table (model/tensor_table.h) holds:
// one record per family, read by both directions of conversion. A new family is a record here.
//
// Reference: the modeling_*.py of transformers, and Mistral's own layout as vLLM reads it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "model/tensor_table.h"

namespace slm::convert {

// kMistral: params.json and consolidated.safetensors, as Mistral publishes beside the other form.
enum class Form { kTransformers, kMistral };

struct HfName {
  model::Slot slot;
  const char* name;
};

// How config.json writes a window of attention. kNone: the class knows none; kForAll: one number
// for all layers; kByLayer: with a list of what each layer has; kQwen: as kByLayer, behind a
// switch.
enum class HfWindow { kNone, kForAll, kByLayer, kQwen };

// Where config.json has the numbers of rope. kFlat: rope_theta and rope_scaling; kPartial: with the
// share that is rotated, factors only as long rope; kLocal: with the base of window layers;
// kParameters: rope_parameters, with the growth of queries.
enum class HfRope { kFlat, kPartial, kLocal, kParameters };

struct HfFamily {
  std::string_view arch;  // model::Family's

  // config.json's `architectures`. The way back writes the first, with the first model_type.
  std::span<const std::string_view> classes;
  // config.json's `model_type`, that of `text_config` where there is one.
  std::span<const std::string_view> model_types;

  // Where the names differ from Llama's.
  std::span<const HfName> names = {};

  // GGUF has the rows of each head of q and k so that rotated pairs are neighbours; transformers
  // has the halves of the pairs apart.
  bool permutes_qk = false;
  // The checkpoint has w where the model computes with 1 + w; GGUF has the sum.
  bool adds_one_to_norms = false;
  // One matrix for q, k and v and one for gate and up, in this order, in the checkpoint and in
  // GGUF.
  bool fuses = false;
  // Tensors that every layer has beside those that all families have.
  std::span<const model::Slot> also_required = {};

  // What config.json leaves to the class: a JSON object, or nullptr.
  const char* defaults = nullptr;

  // Which metadata llama.cpp's converter writes for the family.
  bool writes_head_dim = true;   // attention.key_length, even if config.json leaves it to the class
  bool writes_rope_base = true;  // rope.freq_base
  bool writes_rope_dim = false;  // rope.dimension_count
  bool writes_window = false;    // attention.sliding_window

  // What config.json says on the way back.
  HfWindow window = HfWindow::kNone;
  HfRope rope = HfRope::kFlat;
  bool needs_bfloat = false;  // activations leave half precision
};

std::span<const HfFamily> AllHfFamilies();

// nullptr when no family has a class of this name.
const HfFamily* FindHfClass(std::string_view class_name);

// nullptr when there is none for this general.architecture.
const HfFamily* FindHfArch(std::string_view arch);

// "LlamaForCausalLM, ...", for messages.
std::string HfClassNames();

// The name in a checkpoint of the text model alone, e.g. "model.layers.3.mlp.up_proj.weight";
// nothing where the form has no such tensor (rope factors are numbers in config.json). `layer` is
// ignored outside layers. Whether a file has the tensor, see model::Presence.
std::optional<std::string> HfTensorName(const HfFamily& family, Form form, model::Slot slot,
                                        int64_t layer);

// "model.language_model.layers.0..." and "language_model.model.layers.0..." of multimodal
// checkpoints are "model.layers.0..." of the text model.
std::string TextModelName(const std::string& name);

// Row `row` of a q or k matrix (or bias) in GGUF is this row of transformers' one, where
// permutes_qk. `head_dim` is even.
constexpr int64_t HfRowOfGgufRow(int64_t row, int64_t head_dim) {
  const int64_t head = row / head_dim, i = row % head_dim;
  return head * head_dim + i % 2 * (head_dim / 2) + i / 2;
}

// And back.
constexpr int64_t GgufRowOfHfRow(int64_t row, int64_t head_dim) {
  const int64_t head = row / head_dim, i = row % head_dim;
  return head * head_dim + i % (head_dim / 2) * 2 + i / (head_dim / 2);
}

}  // namespace slm::convert
