// The panels of a model's matrices: in a file that is made once and mapped from then on, or in
// memory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/mapped_file.h"
#include "model/weights.h"

namespace slm {
class Progress;
class ThreadPool;
}  // namespace slm

namespace slm::model {

struct PackOptions {
  enum class Where {
    kMemory,  // packed at every load, the model's file is left
    kStore,   // in a file of `folder`; when that cannot be, kMemory, or kNowhere without memory
    kNowhere  // each panel when it is used, from the model's file: slow, and no copy
  };
  Where where = Where::kMemory;
  std::string folder;  // of PackedStore; empty: `no_folder` says why there is none
  uint64_t budget_bytes = 0;
  std::string no_folder;
};

class PackedWeights {
 public:
  // Gives the matrices of `weights`, views of `file`, their panels. Both must outlive this. Never
  // throws for what is wrong with the store: notice() says it then. Throws kFailed when memory runs
  // out. `progress` counts bytes.
  PackedWeights(const format::GgufFile& file, const kernels::KernelTable& kernels,
                const PackOptions& options, ThreadPool* pool, Progress* progress, Weights* weights);

  // Why there is no file though there should be one, and what is done instead; empty when all is
  // well.
  const std::string& notice() const { return notice_; }

  // Weights in files that are mapped: they are read all the time, though to the system their memory
  // looks as if it were free.
  uint64_t mapped_bytes() const { return mapped_bytes_; }

 private:
  std::optional<MappedFile> map_;
  std::string notice_;
  uint64_t mapped_bytes_ = 0;
};

}  // namespace slm::model
