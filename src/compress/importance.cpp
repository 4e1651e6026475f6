#include "compress/importance.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/thread_pool.h"
#include "format/gguf.h"
#include "format/gguf_writer.h"

namespace slm::compress {
namespace {

constexpr std::string_view kSquares = ".in_sum2", kCounts = ".counts";
constexpr const char* kType = "general.type";
constexpr const char* kDatasets = "imatrix.datasets";
constexpr const char* kChunks = "imatrix.chunk_count";
constexpr const char* kChunkSize = "imatrix.chunk_size";

std::vector<float> Floats(const format::GgufTensor& tensor) {
  std::vector<float> values(static_cast<size_t>(tensor.elements));
  quant::Traits(tensor.type).decode(tensor.data.data(), values.data(), tensor.elements);
  return values;
}

std::span<const uint8_t> AsBytes(const std::vector<float>& values) {
  return {reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(float)};
}

// The sums divided by their counts.
std::vector<float> MeansOf(const Importance::Sums& sums) {
  std::vector<float> means = sums.squares;
  const size_t columns = means.size() / sums.counts.size();
  for (size_t i = 0; i < means.size(); ++i) {
    const float count = sums.counts[i / columns];
    means[i] = count > 0 ? means[i] / count : 1.0f;
  }
  return means;
}

}  // namespace

Importance::Importance(const std::string& path, std::map<std::string, Sums> sums, Origin origin)
    : sums_(std::move(sums)), origin_(std::move(origin)) {
  for (const auto& [name, of_one] : sums_) {
    const auto fail = [&, &name = name](const std::string& problem) {
      throw Error(Code::kBadInput, "{}: importance of tensor {}: {}", path, name, problem);
    };
    const size_t values = of_one.squares.size(), counts = of_one.counts.size();
    if (values == 0 || counts == 0 || values % counts != 0)
      fail(fmt::format("expected a count for each of its matrices, got {} for {} columns", counts,
                       values));
    for (const float square : of_one.squares)
      if (!(square >= 0 && std::isfinite(square)))
        fail(fmt::format("expected sums of squares, got {}", square));
    for (const float count : of_one.counts)
      if (!(count >= 0 && std::isfinite(count) && std::floor(count) == count))
        fail(fmt::format("expected whole counts, got {}", count));
    means_[name] = MeansOf(of_one);
  }
}

Importance Importance::Read(const std::string& path) {
  return FromFile(format::GgufFile::Open(path));
}

Importance Importance::FromFile(const format::GgufFile& file) {
  const format::GgufMetadata& metadata = file.metadata();
  if (const auto type = metadata.FindString(kType).value_or(""); type != "imatrix")
    throw Error(Code::kBadInput,
                "{}: expected an importance matrix (general.type \"imatrix\"), got \"{}\"",
                file.path(), type);
  Origin origin;
  const auto read_count = [&](const char* key) {
    const uint64_t count = metadata.FindUint(key).value_or(0);
    if (count > UINT32_MAX)
      throw Error(Code::kBadInput, "{}: {}: expected 32 bits, got {}", file.path(), key, count);
    return static_cast<uint32_t>(count);
  };
  origin.chunks = read_count(kChunks);
  origin.chunk_size = read_count(kChunkSize);
  if (const auto datasets = metadata.FindStrings(kDatasets))
    origin.datasets.assign(datasets->begin(), datasets->end());

  std::map<std::string, Sums> sums;
  for (const format::GgufTensor& tensor : file.tensors()) {
    const std::string_view name = tensor.name;
    const auto part = [&](std::string_view suffix, std::vector<float> Sums::*member) {
      if (!name.ends_with(suffix)) return;
      if (tensor.type != quant::Type::kF32)
        throw Error(Code::kBadInput, "{}: tensor {}: expected F32, got {}", file.path(), name,
                    quant::Traits(tensor.type).name);
      sums[std::string(name.substr(0, name.size() - suffix.size()))].*member = Floats(tensor);
    };
    part(kSquares, &Sums::squares);
    part(kCounts, &Sums::counts);
  }
  if (sums.empty())
    throw Error(Code::kBadInput, "{}: expected sums of squares, got none", file.path());
  return Importance(file.path(), std::move(sums), std::move(origin));
}

void Importance::Write(const std::string& path) const {
  format::GgufWriter out(path);
  out.SetString(kType, "imatrix");
  out.SetStrings(kDatasets, std::span<const std::string>(origin_.datasets));
  out.Set<uint32_t>(kChunks, origin_.chunks);
  out.Set<uint32_t>(kChunkSize, origin_.chunk_size);
  for (const auto& [name, of_one] : sums_) {
    const auto matrices = static_cast<int64_t>(of_one.counts.size());
    const int64_t squares[] = {static_cast<int64_t>(of_one.squares.size()) / matrices, matrices};
    const int64_t counts[] = {1, matrices};
    out.Declare(name + std::string(kSquares), quant::Type::kF32, squares);
    out.Declare(name + std::string(kCounts), quant::Type::kF32, counts);
  }
  for (const auto& [name, of_one] : sums_) {
    out.Append(AsBytes(of_one.squares));
    out.Append(AsBytes(of_one.counts));
  }
  out.Finish();
}

std::span<const float> Importance::Find(std::string_view tensor) const {
  const auto found = means_.find(tensor);
  if (found == means_.end()) return {};
  return found->second;
}

void ImportanceCollector::OnInput(int64_t layer, std::span<const model::Slot> readers, int64_t rows,
                                  int64_t k, const float* x) {
  Group& group = groups_[{layer, readers.front()}];
  group.readers.assign(readers.begin(), readers.end());
  group.squares.resize(static_cast<size_t>(k));
  group.rows += rows;
  constexpr int64_t kColumns = 128;  // of one piece of work
  pool_->ParallelFor((k + kColumns - 1) / kColumns, [&](int64_t piece, int) {
    const int64_t begin = piece * kColumns, end = std::min(k, begin + kColumns);
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t i = begin; i < end; ++i) {
        const auto value = static_cast<double>(x[row * k + i]);
        group.squares[static_cast<size_t>(i)] += value * value;
      }
  });
}

Importance ImportanceCollector::Finish(const std::string& path, Importance::Origin origin) const {
  std::map<std::string, Importance::Sums> sums;
  for (const auto& [key, group] : groups_)
    for (const model::Slot slot : group.readers) {
      const model::TensorRow& row = model::TensorTable()[static_cast<size_t>(slot)];
      sums[TensorName(row, key.first)] = {{group.squares.begin(), group.squares.end()},
                                          {static_cast<float>(group.rows)}};
    }
  return Importance(path, std::move(sums), std::move(origin));
}

}  // namespace slm::compress
