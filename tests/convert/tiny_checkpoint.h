// A small checkpoint that a test can spoil before it is written.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace slm::convert {

struct TinyTensor {
  std::string dtype = "F32";
  std::vector<int64_t> shape;
  std::string bytes;
};

struct TinyCheckpoint {
  nlohmann::ordered_json config;
  std::map<std::string, TinyTensor> tensors;

  // Writes config.json and `name`, or params.json for Mistral's form. No tokenizer.
  void Write(const std::string& folder, const std::string& name = "model.safetensors") const;

  TinyTensor& At(const std::string& name) { return tensors.at(name); }
  void Rename(const std::string& from, const std::string& to);
};

TinyTensor FloatTensor(const std::vector<int64_t>& shape, const std::vector<float>& values);
std::vector<float> Floats(const TinyTensor& tensor);  // of F32

// Llama: two layers, D 32, F 64, four heads of 8 on two, 48 tokens; random values.
TinyCheckpoint TinyLlama();

// The same numbers in other families. Gemma 2: a window of 16 in layer 0, logits capped at 50
// and 30. Phi-3: long rope from 64 to 128 positions.
TinyCheckpoint TinyGemma2();
TinyCheckpoint TinyPhi3();
TinyCheckpoint TinyQwen2();
TinyCheckpoint MistralNative();  // Llama in Mistral's own form

// The bytes of a safetensors file.
std::string SafetensorsBytes(const std::map<std::string, TinyTensor>& tensors);

}  // namespace slm::convert
