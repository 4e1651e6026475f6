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
  // 0 threads: DefaultThreads(). No kernels: kernels::Kernels().
  explicit Runtime(int threads);
  Runtime(int threads, const kernels::KernelTable& kernels);

  ThreadPool* pool() { return &pool_; }
  ops::Backend* backend() { return backend_.get(); }
  const kernels::KernelTable& kernels() const { return kernels_; }

 private:
  const kernels::KernelTable& kernels_;
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
