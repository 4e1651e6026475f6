#include "model/lora_writer.h"

#include "base/error.h"
#include "format/gguf_writer.h"

namespace slm::model {
namespace {

// Where it is the same of all, else 0.
float CommonAlpha(const Lora& lora) {
  const auto alpha = [](const LoraMatrix& m) { return m.scale * static_cast<float>(m.rank); };
  for (const LoraMatrix& matrix : lora.matrices)
    if (alpha(matrix) != alpha(lora.matrices.front()) ||
        alpha(matrix) / static_cast<float>(matrix.rank) != matrix.scale)
      return 0;
  return lora.matrices.empty() ? 0 : alpha(lora.matrices.front());
}

void Append(const std::vector<float>& values, format::GgufWriter* writer) {
  writer->Append({reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(float)});
}

void CheckHeld(const Lora& lora, const format::GgufFile& base) {
  const auto fail = [&](const char* what) {
    throw Error(Code::kUnsupported,
                "{}: a GGUF adapter has no place for {}; merge it, or keep the PEFT folder",
                lora.path, what);
  };
  for (const LoraMatrix& matrix : lora.matrices) {
    if (!matrix.magnitude.empty()) fail("the magnitudes of DoRA");
    if (matrix.slot == Slot::kOutput && !base.Find("output.weight"))
      fail("an adapter of an output matrix that is tied to the embedding");
  }
}

}  // namespace

void WriteGgufLora(const std::string& path, const Lora& lora, const format::GgufFile& base) {
  CheckHeld(lora, base);
  const float alpha = CommonAlpha(lora);
  format::GgufWriter writer(path);
  writer.SetString("general.type", "adapter");
  writer.SetString("adapter.type", "lora");
  writer.SetString("general.architecture", base.metadata().GetString("general.architecture"));
  writer.Set<float>("adapter.lora.alpha", alpha);
  if (lora.base)
    for (const auto& [key, text] : ToMetadata(*lora.base)) writer.SetString(key, text);
  for (const LoraMatrix& matrix : lora.matrices) {
    const std::string name =
        TensorName(TensorTable()[static_cast<size_t>(matrix.slot)], matrix.layer);
    writer.Declare(name + ".lora_a", quant::Type::kF32, std::array{matrix.in, matrix.rank});
    writer.Declare(name + ".lora_b", quant::Type::kF32, std::array{matrix.rank, matrix.out});
  }
  for (const LoraMatrix& matrix : lora.matrices) {
    Append(matrix.a, &writer);
    std::vector<float> b = matrix.b;
    if (alpha == 0)
      for (float& x : b) x *= matrix.scale;
    Append(b, &writer);
  }
  writer.Finish();
}

}  // namespace slm::model
