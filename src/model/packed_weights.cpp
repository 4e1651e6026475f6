#include "model/packed_weights.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <memory>

#include "base/cpu.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/progress.h"
#include "base/result_file.h"
#include "base/thread_pool.h"
#include "kernels/table.h"
#include "model/packed_store.h"

namespace slm::model {
namespace {

using format::GgufTensor;
using format::PackedHeader;
using format::PackedMatrix;
using ops::Matrix;

// What a thread packs at a time: it stays in its cache until it is written.
constexpr size_t kChunkBytes = size_t{1} << 19;
constexpr uint64_t kAlignment = 4096;

uint64_t Align(uint64_t at) { return (at + kAlignment - 1) / kAlignment * kAlignment; }

// The tensor whose rows these are.
const GgufTensor& TensorOf(const format::GgufFile& file, const ops::PlainRows& rows) {
  for (const GgufTensor& tensor : file.tensors())
    if (rows.data >= tensor.data.data() && rows.data < tensor.data.data() + tensor.bytes())
      return tensor;
  SLM_CHECK(false);
}

// The work of one model, whatever its panels go to.
class Packer {
 public:
  Packer(const format::GgufFile& file, Weights* weights, ThreadPool* pool, Progress* progress)
      : file_(file), pool_(pool), progress_(progress) {
    for (Matrix* matrix : MatricesOf(weights))
      if (matrix->wants_panels()) matrices_.push_back(matrix);
  }

  const std::vector<Matrix*>& matrices() const { return matrices_; }

  uint64_t packed_bytes() const {
    uint64_t bytes = 0;
    for (const Matrix* matrix : matrices_) bytes += matrix->packed_bytes();
    return bytes;
  }

  // Hands `sink` the panels of all matrices, in pieces, from all threads: (matrix, offset inside
  // its panels, bytes). Pages of the file that were read are given back.
  template <class Sink>
  void Run(const Sink& sink) {
    struct Chunk {
      size_t matrix;
      int64_t first, count;  // panels
    };
    std::vector<Chunk> chunks;
    size_t largest = 0;
    for (size_t m = 0; m < matrices_.size(); ++m) {
      const Matrix& matrix = *matrices_[m];
      const auto at_once =
          static_cast<int64_t>(std::max<size_t>(1, kChunkBytes / matrix.panel_bytes()));
      for (int64_t first = 0; first < matrix.panels(); first += at_once)
        chunks.push_back({m, first, std::min(at_once, matrix.panels() - first)});
      largest = std::max(largest, static_cast<size_t>(at_once) * matrix.panel_bytes());
    }
    std::vector<AlignedBuffer> buffers(static_cast<size_t>(pool_->threads()));
    for (AlignedBuffer& buffer : buffers) buffer = AlignedBuffer(largest);
    if (progress_) progress_->Start("packing", ProgressUnit::kBytes, 0, packed_bytes());
    std::atomic<uint64_t> done = 0;
    pool_->ParallelFor(static_cast<int64_t>(chunks.size()), [&](int64_t index, int thread) {
      const Chunk& chunk = chunks[static_cast<size_t>(index)];
      const Matrix& matrix = *matrices_[chunk.matrix];
      uint8_t* buffer = buffers[static_cast<size_t>(thread)].data();
      matrix.PackPanels(chunk.first, chunk.count, buffer);
      const size_t bytes = static_cast<size_t>(chunk.count) * matrix.panel_bytes();
      sink(chunk.matrix, static_cast<uint64_t>(chunk.first) * matrix.panel_bytes(),
           std::span<const uint8_t>(buffer, bytes));
      const int64_t row = chunk.first * quant::kPanelRows;
      Release(matrix, row, std::min(chunk.count * quant::kPanelRows, matrix.rows() - row));
      done += bytes;
      if (progress_ && thread == 0) progress_->Update(done);
    });
    if (progress_) progress_->Finish();
  }

  void RunInMemory() {
    if (progress_) progress_->Start("packing", ProgressUnit::kBytes, 0, packed_bytes());
    uint64_t done = 0;
    // Pages of the file are given back matrix by matrix. The output, often the largest by far, is
    // last in the list and goes first, while there is little else in memory.
    for (size_t m = matrices_.size(); m-- > 0;) {
      matrices_[m]->Pack(pool_);
      Release(*matrices_[m], 0, matrices_[m]->rows());
      done += matrices_[m]->packed_bytes();
      if (progress_) progress_->Update(done);
    }
    if (progress_) progress_->Finish();
  }

 private:
  // What was copied need not stay in memory.
  void Release(const Matrix& matrix, int64_t first, int64_t count) const {
    const ops::PlainRows& rows = matrix.plain();
    file_.Release(TensorOf(file_, rows), {rows.data + static_cast<size_t>(first) * rows.row_bytes(),
                                          static_cast<size_t>(count) * rows.row_bytes()});
  }

  const format::GgufFile& file_;
  ThreadPool* pool_;
  Progress* progress_;
  std::vector<Matrix*> matrices_;
};

// What a file of these panels begins with.
PackedHeader HeaderOf(const format::GgufFile& file, std::string_view layout, const Packer& packer) {
  PackedHeader header;
  header.layout = layout;
  header.layout_version = quant::kPanelVersion;
  for (const MappedFile& map : file.maps())
    header.sources.push_back({std::filesystem::canonical(map.path()), map.stamp()});
  for (const std::span<const uint8_t> part : file.headers())
    header.source_hash = Hash64(part, header.source_hash);
  for (const Matrix* matrix : packer.matrices()) {
    const ops::PlainRows& rows = matrix->plain();
    const GgufTensor& tensor = TensorOf(file, rows);
    const auto first = static_cast<size_t>(rows.data - tensor.data.data()) / rows.row_bytes();
    header.matrices.push_back({tensor.name, first, static_cast<uint64_t>(rows.rows),
                               static_cast<uint64_t>(rows.k), rows.type, 0,
                               matrix->packed_bytes()});
  }
  uint64_t at = WritePackedHeader(header).size();  // which the numbers that follow do not change
  for (PackedMatrix& matrix : header.matrices) {
    matrix.offset = Align(at);
    at = matrix.offset + matrix.bytes;
  }
  header.file_bytes = Align(at);
  return header;
}

// A file of the store that holds what `expected` says, or nothing. Verified are the size and every
// bit of the header: the model (path, size, time, a hash of its metadata and directory), the
// layout, and where each matrix lies. The panels are not, which would mean to read all of them:
// they were on the disk before the file had its name (ResultFile), and any bytes are a valid panel,
// so that bad memory or a bad disk give wrong numbers as they would of the model's own file, and
// nothing else.
std::optional<MappedFile> Open(const std::string& path, const PackedHeader& expected) {
  try {
    MappedFile map(path);
    if (map.bytes().size() == expected.file_bytes &&
        format::ReadPackedHeader(path, map.bytes()) == expected)
      return map;
  } catch (const Error&) {  // there is none, or it is damaged
  }
  return std::nullopt;
}

void Write(const std::string& path, const PackedHeader& header, Packer* packer) {
  ResultFile file(path);
  file.Reserve(header.file_bytes);
  const std::string head = format::WritePackedHeader(header);
  file.WriteAt(0, head.data(), head.size());
  const uint8_t end = 0;  // the size is as it says also where nothing could be reserved
  file.WriteAt(header.file_bytes - 1, &end, 1);
  packer->Run([&](size_t matrix, uint64_t offset, std::span<const uint8_t> bytes) {
    file.WriteAt(header.matrices[matrix].offset + offset, bytes.data(), bytes.size());
  });
  for (const format::PackedSource& source : header.sources)
    if (StampOf(source.path) != source.stamp)
      throw Error(Code::kFailed, "{}: the file has changed while it was read", source.path);
  file.Finish();
}

MappedFile OpenOrWrite(const format::GgufFile& file, std::string_view layout,
                       const PackOptions& options, Packer* packer, PackedHeader* header) {
  if (options.folder.empty()) throw Error(Code::kFailed, "{}", options.no_folder);
  *header = HeaderOf(file, layout, *packer);
  const PackedStore store(options.folder, options.budget_bytes);
  const std::string path = store.PathFor(*header);
  if (auto map = Open(path, *header)) {
    PackedStore::Touch(path);
    return std::move(*map);
  }
  // A file is replaced by ours, which may be another process's of this moment; a folder is in the
  // way.
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) std::filesystem::remove(path, ignored);
  store.MakeRoom(header->file_bytes);
  Write(path, *header, packer);
  if (auto map = Open(path, *header)) return std::move(*map);
  throw Error(Code::kFailed, "{}: somebody else has changed it", path);
}

}  // namespace

PackedWeights::PackedWeights(const format::GgufFile& file, const kernels::KernelTable& kernels,
                             const PackOptions& options, ThreadPool* pool, Progress* progress,
                             Weights* weights) {
  using Where = PackOptions::Where;
  Packer packer(file, weights, pool, progress);
  Where where = packer.matrices().empty() ? Where::kNowhere : options.where;
  if (where == Where::kStore) {
    try {
      PackedHeader header;
      map_ = OpenOrWrite(file, kernels.layout, options, &packer, &header);
      mapped_bytes_ = header.file_bytes;
      for (size_t m = 0; m < header.matrices.size(); ++m)
        packer.matrices()[m]->UsePanels(map_->bytes().data() + header.matrices[m].offset);
      return;
    } catch (const Error& error) {
      notice_ = error.what();
    } catch (const std::filesystem::filesystem_error& error) {
      notice_ = error.what();
    }
    const bool has_room = packer.packed_bytes() < GetMemoryInfo().available_bytes;
    where = has_room ? Where::kMemory : Where::kNowhere;
    notice_ +=
        has_room
            ? "; the weights are packed in memory"
            : "; nor is there memory for them: each part is packed when it is used, which is slow";
  }
  if (where == Where::kMemory)
    packer.RunInMemory();
  else
    mapped_bytes_ = file.file_bytes();
}

}  // namespace slm::model
