#include "convert/hf_gradients.h"

#include <vector>

#include "base/error.h"
#include "convert/hf_names.h"
#include "format/safetensors_writer.h"
#include "model/tensor_table.h"

namespace slm::convert {
namespace {

struct Entry {
  const format::GgufTensor* tensor;
  std::string name;
  bool is_permuted;
};

bool IsRotated(model::Slot slot) {
  using enum model::Slot;
  return slot == kAttnQ || slot == kAttnK || slot == kAttnQBias || slot == kAttnKBias;
}

}  // namespace

void WriteHfGradients(const format::GgufFile& gradients, const model::Hparams& hparams,
                      const std::string& folder, const std::string& stem) {
  const std::string_view arch = gradients.metadata().GetString("general.architecture");
  const HfFamily* family = FindHfArch(arch);
  if (!family)
    throw Error(Code::kUnsupported, "{}: the layout of {} in transformers is not known",
                gradients.path(), arch);
  std::vector<Entry> entries;
  for (const model::TensorRow& row : model::TensorTable())
    for (int64_t layer = 0; layer < (row.is_layer ? hparams.layers : 1); ++layer) {
      const format::GgufTensor* tensor = gradients.Find(TensorName(row, layer));
      const auto name = HfTensorName(*family, Form::kTransformers, row.slot, layer);
      if (tensor && name)
        entries.push_back({tensor, *name, family->permutes_qk && IsRotated(row.slot)});
    }
  format::SafetensorsWriter writer(folder, UINT64_MAX, stem);
  for (const Entry& entry : entries) {
    const int64_t shape[] = {entry.tensor->dims[1], entry.tensor->dims[0]};
    writer.Declare(entry.name, "F32", std::span(shape).last(entry.tensor->num_dims));
  }
  for (const auto& [tensor, name, is_permuted] : entries) {
    const int64_t rows = tensor->num_dims == 1 ? tensor->elements : tensor->dims[1];
    const size_t row_bytes = tensor->bytes() / static_cast<size_t>(rows);
    for (int64_t row = 0; is_permuted && row < rows; ++row)
      writer.Append(tensor->data.subspan(
          static_cast<size_t>(GgufRowOfHfRow(row, hparams.head_dim)) * row_bytes, row_bytes));
    if (!is_permuted) writer.Append(tensor->data);
  }
  writer.Finish();
}

}  // namespace slm::convert
