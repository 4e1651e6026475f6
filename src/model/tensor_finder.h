// Finds the tensors of a model in its file by the table, checked: whoever gets one need not look at
// its shape again.
#pragma once

#include <functional>
#include <string>
#include <unordered_set>
#include <utility>

#include "format/gguf.h"
#include "model/hparams.h"
#include "model/tensor_table.h"

namespace slm::model {

// What stands in for tensors of the file, by name: nullptr for the file's own.
using TensorLookup = std::function<const format::GgufTensor*(const std::string& name)>;

class TensorFinder {
 public:
  // The first three are not copied.
  TensorFinder(const format::GgufFile& file, const Hparams& hparams, const Family& family,
               TensorLookup replaced = {})
      : file_(file), hparams_(hparams), family_(family), replaced_(std::move(replaced)) {}

  // The tensor of a slot, or nullptr when an optional one is missing. Throws kBadInput, naming the
  // tensor, when a required one is missing, when the shape is wrong, or when the family has no such
  // tensor.
  const format::GgufTensor* Find(Slot slot, int64_t layer);

  // Throws kUnsupported for a tensor of the file that was never asked for: what nothing reads would
  // change the answers, were it computed with.
  void CheckAllFound() const;

  // Gate and up are one tensor.
  bool IsUpFused(int64_t layer) { return Find(Slot::kFfnGate, layer) == nullptr; }

  [[noreturn]] void Fail(const std::string& name, const std::string& problem) const;

 private:
  const format::GgufFile& file_;
  const Hparams& hparams_;
  const Family& family_;
  TensorLookup replaced_;
  std::unordered_set<const format::GgufTensor*> found_;
};

}  // namespace slm::model
