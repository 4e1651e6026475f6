// Importance matrices: for every matrix of a model, how large the inputs of its columns are, as
// sums of squares over a calibration text. Read and written in the GGUF form of llama.cpp's
// `llama-imatrix` (its tools/imatrix):
//
//   general.type "imatrix", imatrix.datasets, imatrix.chunk_count, imatrix.chunk_size
//   <tensor>.in_sum2  F32 [matrices, columns]: sums of squares
//   <tensor>.counts   F32 [matrices, 1]: rows that were summed; [1, 1] for all together
//
// There is one matrix a tensor, but for mixtures of experts, which other programs write.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/input_observer.h"

namespace slm {
class ThreadPool;
}
namespace slm::format {
class GgufFile;
}

namespace slm::compress {

class Importance {
 public:
  struct Sums {
    std::vector<float> squares;  // [matrices, columns]
    std::vector<float> counts;   // [matrices], or one for all
  };
  // What the sums were taken over.
  struct Origin {
    std::vector<std::string> datasets;
    uint32_t chunks = 0, chunk_size = 0;
  };

  // Throws kBadInput, naming the tensor, unless squares are finite and not negative, counts are
  // whole numbers, and there is one for all or one each.
  Importance(const std::string& path, std::map<std::string, Sums> sums, Origin origin);

  // Throws as GgufFile::Open does, and kBadInput when the file holds something else.
  static Importance Read(const std::string& path);
  static Importance FromFile(const format::GgufFile& file);
  // Throws as GgufWriter does.
  void Write(const std::string& path) const;

  // Mean squares of the columns of a tensor, [columns], or [matrices, columns]; 1 throughout where
  // nothing was counted. Empty when the tensor was not seen.
  std::span<const float> Find(std::string_view tensor) const;

  const std::map<std::string, Sums>& sums() const { return sums_; }  // by tensor
  const Origin& origin() const { return origin_; }

 private:
  std::map<std::string, Sums> sums_;
  std::map<std::string, std::vector<float>, std::less<>> means_;
  Origin origin_;
};

// Sums up what an executor shows it.
class ImportanceCollector : public engine::InputObserver {
 public:
  explicit ImportanceCollector(ThreadPool* pool) : pool_(pool) {}

  void OnInput(int64_t layer, std::span<const model::Slot> readers, int64_t rows, int64_t k,
               const float* x) override;

  // Throws kBadInput, naming the tensor, when an input was not finite; `path` is of the model.
  Importance Finish(const std::string& path, Importance::Origin origin) const;

 private:
  struct Group {
    std::vector<model::Slot> readers;
    std::vector<double> squares;  // [k]
    int64_t rows = 0;
  };
  ThreadPool* pool_;
  std::map<std::pair<int64_t, model::Slot>, Group> groups_;  // by layer and first reader
};

}  // namespace slm::compress
