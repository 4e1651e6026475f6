#include "model/packed_weights.h"

#include <algorithm>
#include <atomic>
#include <cstring>
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

// What a thread packs and writes at a time. Of a write of 2 MB at a multiple of that the system
// keeps one page, where it has such for files: reading weights through small ones costs a core 10 %
// of its bandwidth.
constexpr uint64_t kPartBytes = uint64_t{2} << 20;
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

  // Writes the panels to their places in the file behind its head, in parts, from all threads.
  // Pages of the model's file that were read are given back.
  void WriteTo(const ResultFile& file, const PackedHeader& header, std::string_view head) {
    const auto parts = static_cast<int64_t>((header.file_bytes + kPartBytes - 1) / kPartBytes);
    size_t largest = 0;
    for (const Matrix* matrix : matrices_) largest = std::max(largest, matrix->panel_bytes());
    struct Scratch {
      AlignedBuffer part{kPartBytes}, panel;
    };
    std::vector<Scratch> scratch(static_cast<size_t>(pool_->threads()));
    for (Scratch& s : scratch) s.panel = AlignedBuffer(largest);
    if (progress_) progress_->Start("packing", ProgressUnit::kBytes, 0, header.file_bytes);
    std::atomic<uint64_t> done = 0;
    pool_->ParallelFor(parts, [&](int64_t index, int thread) {
      Scratch& s = scratch[static_cast<size_t>(thread)];
      const uint64_t begin = static_cast<uint64_t>(index) * kPartBytes;
      const uint64_t end = std::min(header.file_bytes, begin + kPartBytes);
      std::memset(s.part.data(), 0, end - begin);
      if (begin < head.size())
        std::memcpy(s.part.data(), head.data() + begin, std::min<size_t>(head.size(), end) - begin);
      for (size_t m = 0; m < matrices_.size(); ++m)
        PackPart(*matrices_[m], header.matrices[m].offset, begin, end, s.part.data(),
                 s.panel.data());
      file.WriteAt(begin, s.part.data(), end - begin);
      done += end - begin;
      if (progress_ && thread == 0) progress_->Update(done);
    });
    if (progress_) progress_->Finish();
    // Whoever reads near the end of a part maps pages of the next one with it, released or not.
    for (const Matrix* matrix : matrices_) Release(*matrix, 0, matrix->rows());
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
  // Copies what bytes [begin, end) of a file have of a matrix whose panels begin at `offset`.
  void PackPart(const Matrix& matrix, uint64_t offset, uint64_t begin, uint64_t end, uint8_t* part,
                uint8_t* scratch) const {
    const uint64_t size = matrix.panel_bytes();
    if (end <= offset || begin >= offset + matrix.packed_bytes()) return;
    const auto first = static_cast<int64_t>((std::max(begin, offset) - offset) / size);
    const auto last =
        std::min(matrix.panels(), static_cast<int64_t>((end - offset + size - 1) / size));
    for (int64_t panel = first; panel < last; ++panel) {
      const uint64_t at = offset + static_cast<uint64_t>(panel) * size;
      if (at >= begin && at + size <= end) {
        matrix.PackPanels(panel, 1, part + (at - begin));
      } else {  // the other half is the neighbour's
        matrix.PackPanels(panel, 1, scratch);
        const uint64_t from = std::max(at, begin), to = std::min(at + size, end);
        std::memcpy(part + (from - begin), scratch + (from - at), to - from);
      }
    }
    const int64_t row = first * quant::kPanelRows;
    Release(matrix, row, std::min((last - first) * quant::kPanelRows, matrix.rows() - row));
  }

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
  packer->WriteTo(file, header, format::WritePackedHeader(header));
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
