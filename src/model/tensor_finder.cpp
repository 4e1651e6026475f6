#include "model/tensor_finder.h"

#include "base/error.h"

namespace slm::model {
namespace {

using format::GgufTensor;

std::string ShapeText(int64_t in, int64_t out, bool is_vector) {
  return is_vector ? fmt::format("[{}]", in) : fmt::format("[{}, {}]", in, out);
}

}  // namespace

const GgufTensor* TensorFinder::Find(Slot slot, int64_t layer) {
  const TensorRow& row = TensorTable()[static_cast<size_t>(slot)];
  const std::string name = TensorName(row, layer);
  const GgufTensor* tensor = replaced_ ? replaced_(name) : nullptr;
  if (!tensor) tensor = file_.Find(name);
  const bool has_post = family_.norm_place == NormPlace::kPreAndPost;
  if (row.presence == Presence::kPost && !has_post) {
    if (tensor) Fail(name, fmt::format("{} has no such tensor", family_.arch));
    return nullptr;
  }
  if (!tensor) {
    if (row.presence == Presence::kOptional) return nullptr;
    Fail(name, "missing");
  }
  const int64_t in = SizeOf(row.in, hparams_);
  int64_t out = SizeOf(row.out, hparams_);
  if (row.out == Dim::kUp && IsUpFused(layer)) out *= 2;
  const bool is_vector = row.out == Dim::kNone;
  const bool fits = tensor->dims[0] == in && tensor->dims[1] == out && tensor->dims[2] == 1 &&
                    tensor->dims[3] == 1;
  if (!fits)
    Fail(name, fmt::format("expected shape {}, got [{}, {}, {}, {}]", ShapeText(in, out, is_vector),
                           tensor->dims[0], tensor->dims[1], tensor->dims[2], tensor->dims[3]));
  found_.insert(tensor);
  return tensor;
}

void TensorFinder::CheckAllFound() const {
  for (const GgufTensor& tensor : file_.tensors())
    if (!found_.contains(&tensor))
      throw Error(Code::kUnsupported, "{}: tensor {}: {} with it is not supported", file_.path(),
                  tensor.name, family_.arch);
}

void TensorFinder::Fail(const std::string& name, const std::string& problem) const {
  throw Error(Code::kBadInput, "{}: tensor {}: {}", file_.path(), name, problem);
}

}  // namespace slm::model
