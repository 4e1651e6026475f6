// A model as it is served: const after loading, shared by sessions, the trainer and the evaluator.
#pragma once

#include <memory>
#include <string>

#include "base/thread_pool.h"
#include "format/gguf.h"
#include "model/hparams.h"
#include "model/packed_weights.h"
#include "model/weights.h"
#include "ops/backend.h"

namespace slm::engine {

// The threads and the backend that models are packed for and run on. The backend has scratch memory
// of its own: executors that share a runtime run one at a time.
class Runtime {
 public:
  // 0 threads: DefaultThreads(). No kernels: kernels::Kernels(). Batches of more than kFewRows use
  // `batch_threads`, 0: as many as the others.
  explicit Runtime(int threads, int batch_threads = 0);
  Runtime(int threads, const kernels::KernelTable& kernels, int batch_threads = 0);

  int threads() const { return threads_; }
  int batch_threads() const { return batch_threads_; }
  // What bounds a batch of a few rows is memory, as it is with one; more threads than that takes
  // may hinder each other.
  static constexpr int64_t kFewRows = 8;
  // The pool uses the threads for a batch of so many rows.
  void PrepareFor(int64_t rows) { pool_.UseThreads(rows > kFewRows ? batch_threads_ : threads_); }

  ThreadPool* pool() { return &pool_; }
  ops::Backend* backend() { return backend_.get(); }
  const kernels::KernelTable& kernels() const { return kernels_; }

 private:
  const kernels::KernelTable& kernels_;
  int threads_, batch_threads_;
  ThreadPool pool_;
  std::unique_ptr<ops::Backend> backend_;
};

class Model {
 public:
  // Throws Error as GgufFile::Open, FindFamily, ReadHparams, BindWeights and PackedWeights do.
  // `runtime` must outlive the model.
  static std::shared_ptr<const Model> Load(const std::string& path, Runtime* runtime,
                                           Progress* progress = nullptr,
                                           const model::PackOptions& pack = {});
  // Of a file that is open already.
  static std::shared_ptr<Model> Load(format::GgufFile file, Runtime* runtime,
                                     Progress* progress = nullptr,
                                     const model::PackOptions& pack = {});

  // The numbers of a file in memory have changed, and matrices, which have no panels, read them
  // where they are: what the model has copied is read again.
  void Rebind();

  const format::GgufFile& file() const { return file_; }
  const model::Family& family() const { return family_; }
  const model::Hparams& hparams() const { return hparams_; }
  const model::Weights& weights() const { return weights_; }
  const model::PackedWeights& packed() const { return packed_; }
  Runtime* runtime() const { return runtime_; }

 private:
  Model(format::GgufFile file, Runtime* runtime, Progress* progress,
        const model::PackOptions& pack);

  Runtime* runtime_;
  format::GgufFile file_;
  const model::Family& family_;
  model::Hparams hparams_;
  model::Weights weights_;
  model::PackedWeights packed_;
};

}  // namespace slm::engine
