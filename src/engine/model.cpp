#include "engine/model.h"

#include <algorithm>

#include "base/cpu.h"
#include "base/error.h"
#include "kernels/table.h"

namespace slm::engine {

Runtime::Runtime(int threads, int batch_threads)
    : Runtime(threads, kernels::Kernels(), batch_threads) {}

Runtime::Runtime(int threads, const kernels::KernelTable& kernels, int batch_threads)
    : kernels_(kernels),
      threads_(threads > 0 ? threads : DefaultThreads()),
      batch_threads_(batch_threads > 0 ? batch_threads : threads_),
      pool_(std::max(threads_, batch_threads_)),
      backend_(ops::MakeCpuBackend(kernels_, &pool_)) {}

Model::Model(format::GgufFile file, Runtime* runtime, Progress* progress,
             const model::PackOptions& pack)
    : runtime_(runtime),
      file_(std::move(file)),
      family_(model::FindFamily(file_.metadata().GetString("general.architecture"), file_.path())),
      hparams_(model::ReadHparams(file_, family_)),
      weights_(model::BindWeights(file_, hparams_, family_, runtime->backend())),
      packed_(file_, runtime->kernels(), pack, runtime->pool(), progress, &weights_) {}

std::shared_ptr<const Model> Model::Load(const std::string& path, Runtime* runtime,
                                         Progress* progress, const model::PackOptions& pack) {
  return Load(format::GgufFile::Open(path), runtime, progress, pack);
}

std::shared_ptr<Model> Model::Load(format::GgufFile file, Runtime* runtime, Progress* progress,
                                   const model::PackOptions& pack) {
  return std::shared_ptr<Model>(new Model(std::move(file), runtime, progress, pack));
}

void Model::Rebind() {
  for (const ops::Matrix* matrix : model::MatricesOf(&weights_)) SLM_CHECK(!matrix->is_packed());
  weights_ = model::BindWeights(file_, hparams_, family_, runtime_->backend());
}

}  // namespace slm::engine
