// The tensors of a model, one table for all families: binding and its checks, memory estimates and
// the models that tests make all read it.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "model/hparams.h"

namespace slm::model {

// The order is that of the table.
enum class Slot {
  kTokenEmbd,
  kOutputNorm,
  kOutput,
  kRopeFreqs,
  kRopeFactorsLong,
  kRopeFactorsShort,
  // per layer
  kAttnNorm,
  kAttnQ,
  kAttnK,
  kAttnV,
  kAttnQkv,
  kAttnQBias,
  kAttnKBias,
  kAttnVBias,
  kAttnQkvBias,
  kAttnQNorm,
  kAttnKNorm,
  kAttnOutput,
  kAttnPostNorm,
  kFfnNorm,
  kFfnGate,
  kFfnUp,
  kFfnDown,
  kFfnPostNorm,
  kCount
};

// kPost: required where the family norms after the block, absent elsewhere.
enum class Presence { kRequired, kOptional, kPost };

enum class Dim { kNone, kD, kF, kQ, kKv, kQkv, kUp, kHead, kVocab, kRope };

struct TensorRow {
  Slot slot;
  const char* name;  // in a layer: follows "blk.<layer>."
  Dim in, out;       // [out, in]; out is kNone for vectors
  Presence presence;
  bool is_layer;
};

std::span<const TensorRow> TensorTable();

// Of the slots of all layers, one layer behind the other.
constexpr size_t SlotIndex(int64_t layer, Slot slot) {
  return static_cast<size_t>(layer) * static_cast<size_t>(Slot::kCount) + static_cast<size_t>(slot);
}

std::string TensorName(const TensorRow& row, int64_t layer);

// kQ: H * Dh; kKv: K * Dh; kQkv: both, K's twice; kRope: rotated pairs. kUp is F, or 2 F where gate
// and up are fused.
int64_t SizeOf(Dim dim, const Hparams& hparams);

}  // namespace slm::model
