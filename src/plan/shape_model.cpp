#include "plan/shape_model.h"

#include <numeric>

#include "format/gguf_header.h"
#include "model/hparams_writer.h"

namespace slm::plan {
namespace {

std::string Header(const ModelSize& size) {
  format::GgufHeader header(size.name);
  model::WriteHparams(size.hparams, model::FindFamily(size.architecture, size.name), &header);
  return header.Close();
}

// Vectors are read when a model is loaded.
size_t Bytes(const ModelSize& size, bool is_vector) {
  return std::accumulate(size.tensors.begin(), size.tensors.end(), size_t{0},
                         [&](size_t bytes, const SizedTensor& tensor) {
                           return bytes + ((tensor.rows == 1) == is_vector ? tensor.bytes() : 0);
                         });
}

}  // namespace

ShapeModel::ShapeModel(const ModelSize& size, engine::Runtime* runtime)
    : header_(Header(size)), matrices_(Bytes(size, false)), vectors_(Bytes(size, true)) {
  const uint8_t *matrix = matrices_.data(), *vector = vectors_.data();
  std::vector<format::GgufTensor> tensors;
  for (const SizedTensor& sized : size.tensors) {
    format::GgufTensor tensor;
    tensor.name = sized.name;
    tensor.type = sized.type;
    tensor.num_dims = sized.rows == 1 ? 1 : 2;
    tensor.dims = {sized.k, sized.rows, 1, 1};
    tensor.elements = sized.rows * sized.k;
    const uint8_t*& at = sized.rows == 1 ? vector : matrix;
    tensor.data = {at, sized.bytes()};
    at += sized.bytes();
    tensors.push_back(std::move(tensor));
  }
  const auto file =
      format::GgufFile::Parse({reinterpret_cast<const uint8_t*>(header_.data()), header_.size()});
  model::PackOptions pack;
  pack.where = model::PackOptions::Where::kNowhere;
  model_ = engine::Model::Load(file.WithTensors(std::move(tensors)), runtime, nullptr, pack);
}

}  // namespace slm::plan
