#include "engine/float_model.h"

#include <utility>

namespace slm::engine {

FloatModel::FloatModel(const std::string& path, Runtime* runtime)
    : file_(format::GgufFile::Open(path)) {
  std::vector<format::GgufTensor> tensors;
  for (const format::GgufTensor& tensor : file_.tensors()) {
    values_.emplace_back(static_cast<size_t>(tensor.elements) * sizeof(float));
    const int64_t k = tensor.dims[0];
    runtime->pool()->ParallelFor(tensor.elements / k, [&](int64_t row, int) {
      quant::Traits(tensor.type)
          .decode(tensor.data.data() + static_cast<size_t>(row) * tensor.row_bytes(),
                  values(tensors.size()).data() + row * k, k);
    });
    file_.Release(tensor);
    tensors.push_back(tensor);
    tensors.back().type = quant::Type::kF32;
    tensors.back().data = {values_.back().data(), values_.back().size()};
  }
  model::PackOptions pack;
  pack.where = model::PackOptions::Where::kNowhere;
  model_ = Model::Load(file_.WithTensors(std::move(tensors)), runtime, nullptr, pack);
}

}  // namespace slm::engine
