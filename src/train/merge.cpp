#include "train/merge.h"

#include <cmath>
#include <map>
#include <string>

#include "base/error.h"

namespace slm::train {
namespace {

using format::GgufTensor;
using model::LoraMatrix;

struct Delta {
  const LoraMatrix* matrix;
  double scale;
};

std::string NameOf(const LoraMatrix& matrix) {
  return TensorName(model::TensorTable()[static_cast<size_t>(matrix.slot)], matrix.layer);
}

// row += scale * B[index] A, [in].
void AddRow(const Delta& delta, int64_t index, std::vector<double>* row) {
  const LoraMatrix& m = *delta.matrix;
  for (int64_t r = 0; r < m.rank; ++r) {
    const double b =
        delta.scale * static_cast<double>(m.b[static_cast<size_t>(index * m.rank + r)]);
    const float* a = m.a.data() + r * m.in;
    for (size_t i = 0; i < row->size(); ++i) (*row)[i] += b * static_cast<double>(a[i]);
  }
  if (m.magnitude.empty()) return;
  double squares = 0;
  for (const double x : *row) squares += x * x;
  const double factor =
      static_cast<double>(m.magnitude[static_cast<size_t>(index)]) / std::sqrt(squares);
  for (double& x : *row) x *= factor;
}

format::TensorSource Source(const format::GgufFile& base, const GgufTensor& tensor,
                            const std::string& name, std::vector<Delta> deltas) {
  format::TensorSource source = {name,
                                 {tensor.dims.begin(), tensor.dims.begin() + tensor.num_dims}};
  source.read = [&tensor, name, deltas = std::move(deltas)](int64_t first, int64_t count,
                                                            float* out) {
    const int64_t k = tensor.dims[0];
    quant::Traits(tensor.type)
        .decode(tensor.data.data() + static_cast<size_t>(first) * tensor.row_bytes(), out,
                count * k);
    std::vector<double> row(deltas.empty() ? 0 : static_cast<size_t>(k));
    for (int64_t r = 0; r < count; ++r, out += k) {
      if (!deltas.empty()) {
        for (int64_t i = 0; i < k; ++i) row[static_cast<size_t>(i)] = static_cast<double>(out[i]);
        for (const Delta& delta : deltas) AddRow(delta, first + r, &row);
        for (int64_t i = 0; i < k; ++i) out[i] = static_cast<float>(row[static_cast<size_t>(i)]);
      }
      for (int64_t i = 0; i < k; ++i)
        if (!std::isfinite(out[i]))
          throw Error(Code::kBadInput,
                      "tensor {}: {} in row {}, column {}: expected finite weights", name, out[i],
                      first + r, i);
    }
  };
  source.release = [&base, &tensor](int64_t end) {
    base.Release(tensor, tensor.data.first(static_cast<size_t>(end) * tensor.row_bytes()));
  };
  return source;
}

}  // namespace

std::vector<format::TensorSource> MergedTensors(const format::GgufFile& base,
                                                std::span<const ScaledLora> loras) {
  std::map<std::string, std::vector<Delta>> deltas;
  for (const ScaledLora& scaled : loras)
    for (const LoraMatrix& matrix : scaled.lora->matrices)
      deltas[NameOf(matrix)].push_back(
          {&matrix, static_cast<double>(matrix.scale) * static_cast<double>(scaled.scale)});
  std::vector<format::TensorSource> sources;
  for (const GgufTensor& tensor : base.tensors()) {
    const auto at = deltas.find(tensor.name);
    sources.push_back(
        Source(base, tensor, tensor.name, at == deltas.end() ? std::vector<Delta>() : at->second));
  }
  constexpr const char* kOutput = "output.weight";
  if (deltas.contains(kOutput) && !base.Find(kOutput))
    sources.push_back(Source(base, base.Get("token_embd.weight"), kOutput, deltas[kOutput]));
  return sources;
}

}  // namespace slm::train
