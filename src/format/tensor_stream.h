// Tensors from wherever they are into a GGUF file, in parts small enough that the memory used does
// not depend on the model, on all threads. Conversion and quantization are both this: they differ
// in where rows come from and in how a type is chosen.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "format/gguf_writer.h"

namespace slm {
class Progress;
class ThreadPool;
}  // namespace slm

namespace slm::format {

struct TensorSource {
  std::string name;           // in the GGUF file
  std::vector<int64_t> dims;  // GGML's order, see GgufTensor

  // Rows [first, first + count) as [count, dims[0]] floats. Called by several threads at a time, in
  // ascending order of `first` on the whole.
  std::function<void(int64_t first, int64_t count, float* rows)> read = {};

  // The rows below `end` will not be read again. May be empty.
  std::function<void(int64_t end)> release = {};

  // Of a tensor that is NF4 already: the same rows as blocks. Else empty.
  std::function<void(int64_t first, int64_t count, uint8_t* blocks)> read_nf4 = {};

  int64_t elements() const;
  int64_t rows() const { return elements() / dims[0]; }
};

struct TensorTarget {
  quant::Type type = quant::Type::kF32;

  // Rows [first, first + count) to blocks of `type`. Called by several threads at a time. Empty:
  // the rounding of the type's traits.
  std::function<void(const float* rows, int64_t first, int64_t count, uint8_t* blocks)> encode = {};

  // Called before the rows of the tensor are encoded, by one thread. May be empty.
  std::function<void(const TensorSource& source, ThreadPool* pool)> prepare = {};
};

// Throws kBadInput naming the tensor when a finite value of `rows`, [n], is beyond what `type` can
// hold, and so is not what `blocks` hold.
void CheckHeld(const TensorSource& source, quant::Type type, const float* rows, int64_t n,
               const uint8_t* blocks);

// Encodes rows [first, first + count) as `target` says. Throws as CheckHeld.
void EncodeRows(const TensorSource& source, const TensorTarget& target, const float* rows,
                int64_t first, int64_t count, uint8_t* blocks);

// Declares every source as its target says, in this order, then reads, encodes and appends. The
// metadata must have been set, and Finish() is the caller's. Throws what the functions throw and
// what EncodeRows does. `progress` counts elements' bytes as f32.
void StreamTensors(std::span<const TensorSource> sources, std::span<const TensorTarget> targets,
                   GgufWriter* writer, ThreadPool* pool, Progress* progress);

}  // namespace slm::format
