#include "model/lora.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "base/error.h"
#include "format/byte_reader.h"

namespace slm::model {
namespace {

using format::GgufFile;
using format::GgufTensor;

constexpr std::string_view kEndings[] = {".lora_a", ".lora_b"};

struct Pair {
  const GgufTensor* parts[2] = {};
};

// The slot and layer of a tensor's name; kCount when the table has no such name.
std::pair<Slot, int64_t> SlotOf(const std::string& name, int64_t layers) {
  for (const TensorRow& row : TensorTable()) {
    if (!row.is_layer && name == row.name) return {row.slot, 0};
    for (int64_t layer = 0; row.is_layer && layer < layers; ++layer)
      if (name == TensorName(row, layer)) return {row.slot, layer};
  }
  return {Slot::kCount, 0};
}

class Reader {
 public:
  Reader(const GgufFile& file, const LoraTargets& targets)
      : path_(file.path()), targets_(targets), file_(file) {}

  Lora Read() {
    CheckMetadata();
    const float alpha = file_.metadata().GetFloat("adapter.lora.alpha");
    if (!std::isfinite(alpha))
      throw Error(Code::kBadInput, "{}: adapter.lora.alpha: expected a finite number, got {}",
                  path_, alpha);
    Lora lora = {path_, {}, Base()};
    for (const auto& [name, pair] : Pairs()) {
      LoraMatrix matrix = ReadPair(name, pair);
      // As llama.cpp has it: without an alpha, as it is.
      if (alpha != 0) matrix.scale = alpha / static_cast<float>(matrix.rank);
      lora.matrices.push_back(std::move(matrix));
    }
    if (lora.matrices.empty()) throw Error(Code::kBadInput, "{}: no tensors", path_);
    return lora;
  }

 private:
  void CheckMetadata() const {
    const format::GgufMetadata& metadata = file_.metadata();
    if (metadata.FindString("general.type").value_or("model") != "adapter")
      throw Error(Code::kBadInput, "{}: expected general.type \"adapter\", got a model", path_);
    if (const auto type = metadata.GetString("adapter.type"); type != "lora")
      throw Error(Code::kUnsupported, "{}: adapter.type: expected \"lora\", got \"{}\"", path_,
                  type);
    if (metadata.Has("adapter.alora.invocation_tokens"))
      throw Error(Code::kUnsupported,
                  "{}: an activated LoRA, which begins at invocation tokens, is not supported",
                  path_);
    const auto arch = metadata.GetString("general.architecture");
    const auto base = targets_.base().metadata().GetString("general.architecture");
    if (arch != base)
      throw Error(Code::kBadInput,
                  "{}: an adapter for architecture \"{}\", but the model is \"{}\"", path_, arch,
                  base);
  }

  std::optional<BaseIdentity> Base() const {
    const auto base = ParseBaseIdentity(path_, [&](const char* key) {
      const auto text = file_.metadata().FindString(key);
      return text ? std::optional<std::string>(*text) : std::nullopt;
    });
    if (base) CheckBase(path_, *base, targets_.base(), targets_.hparams());
    return base;
  }

  std::map<std::string, Pair> Pairs() const {
    std::map<std::string, Pair> pairs;
    for (const GgufTensor& tensor : file_.tensors()) {
      size_t part = 0;
      while (part < 2 && !tensor.name.ends_with(kEndings[part])) ++part;
      if (part == 2)
        throw Error(Code::kUnsupported, "{}: tensor {}: expected only .lora_a and .lora_b", path_,
                    format::Quoted(tensor.name));
      const size_t size = tensor.name.size() - kEndings[part].size();
      pairs[tensor.name.substr(0, size)].parts[part] = &tensor;
    }
    return pairs;
  }

  LoraMatrix ReadPair(const std::string& name, const Pair& pair) const {
    for (size_t part = 0; part < 2; ++part)
      if (!pair.parts[part])
        throw Error(Code::kBadInput, "{}: tensor {}: missing", path_,
                    format::Quoted(name + std::string(kEndings[part])));
    const auto [slot, layer] = SlotOf(name, targets_.hparams().layers);
    if (slot == Slot::kCount)
      throw Error(Code::kBadInput, "{}: tensor {}: the model has no such matrix", path_,
                  format::Quoted(name));
    LoraMatrix matrix = targets_.Get(path_, slot, layer);
    const GgufTensor &a = *pair.parts[0], &b = *pair.parts[1];
    matrix.rank = a.dims[1];
    CheckShape(a, matrix.in, matrix.rank);
    CheckShape(b, matrix.rank, matrix.out);
    matrix.a = Decode(a);
    matrix.b = Decode(b);
    return matrix;
  }

  std::vector<float> Decode(const GgufTensor& tensor) const {
    std::vector<float> values(static_cast<size_t>(tensor.elements));
    quant::Traits(tensor.type).decode(tensor.data.data(), values.data(), tensor.elements);
    if (!std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); }))
      throw Error(Code::kBadInput, "{}: tensor {}: expected finite numbers", path_,
                  format::Quoted(tensor.name));
    return values;
  }

  void CheckShape(const GgufTensor& tensor, int64_t row, int64_t rows) const {
    if (tensor.dims[0] != row || tensor.elements != row * rows || tensor.num_dims > 2)
      throw Error(Code::kBadInput,
                  "{}: tensor {}: expected {} rows of {}, as the model's matrix asks for, got {} "
                  "rows of {}",
                  path_, format::Quoted(tensor.name), rows, row, tensor.elements / tensor.dims[0],
                  tensor.dims[0]);
  }

  const std::string& path_;
  const LoraTargets& targets_;
  const GgufFile& file_;
};

}  // namespace

bool LoraTargets::IsTarget(Slot slot) {
  const TensorRow& row = TensorTable()[static_cast<size_t>(slot)];
  return row.out != Dim::kNone && slot != Slot::kTokenEmbd;
}

LoraMatrix LoraTargets::Get(const std::string& path, Slot slot, int64_t layer) const {
  const std::string name = TensorName(TensorTable()[static_cast<size_t>(slot)], layer);
  if (!IsTarget(slot))
    throw Error(Code::kUnsupported, "{}: an adapter of {} is not supported", path, name);
  const GgufTensor* tensor = base_.Find(name);
  if (!tensor && slot == Slot::kOutput) tensor = base_.Find("token_embd.weight");
  if (!tensor)
    throw Error(Code::kBadInput, "{}: an adapter of {}, which the model {} does not have", path,
                name, base_.path());
  LoraMatrix matrix;
  matrix.slot = slot;
  matrix.layer = layer;
  matrix.in = tensor->dims[0];
  matrix.out = tensor->dims[1];
  return matrix;
}

Lora ReadGgufLora(const GgufFile& file, const LoraTargets& targets) {
  return Reader(file, targets).Read();
}

Lora ReadGgufLora(const std::string& path, const LoraTargets& targets) {
  return ReadGgufLora(GgufFile::Open(path), targets);
}

}  // namespace slm::model
