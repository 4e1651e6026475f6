#include "format/gguf.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "format/byte_reader.h"
#include "format/gguf_parse.h"
#include "format/name_index.h"

namespace slm::format {
namespace {

constexpr const char* kSplitNo = "split.no";
constexpr const char* kSplitCount = "split.count";
constexpr const char* kSplitTensors = "split.tensors.count";
constexpr uint64_t kMaxParts = 99999;  // the name has five digits

std::string_view NameOf(const GgufTensor& tensor) { return tensor.name; }

std::string PartSuffix(uint64_t no, uint64_t count) {
  return fmt::format("-{:05}-of-{:05}.gguf", no + 1, count);
}

// The path of part `wanted`, given that of part `no`; empty when `path` does not have the ending
// that the names of parts have.
std::string PartPath(const std::string& path, uint64_t no, uint64_t count, uint64_t wanted) {
  const std::string suffix = PartSuffix(no, count);
  if (!path.ends_with(suffix)) return "";
  return path.substr(0, path.size() - suffix.size()) + PartSuffix(wanted, count);
}

uint64_t NumParts(const GgufMetadata& metadata) {
  return metadata.FindUint(kSplitCount).value_or(1);
}

}  // namespace

GgufFile GgufFile::Open(const std::string& path) {
  GgufFile file;
  file.path_ = path;
  file.maps_.emplace_back(path);
  file.AddPart(path, file.maps_.back().bytes());
  if (NumParts(file.metadata_) > 1) file.OpenOtherParts();
  file.BuildIndex();
  return file;
}

GgufFile GgufFile::Parse(std::span<const uint8_t> bytes) {
  GgufFile file;
  file.path_ = "(memory)";
  if (bytes.empty()) throw Error(Code::kBadInput, "{}: the file is empty", file.path_);
  file.AddPart(file.path_, bytes);
  if (NumParts(file.metadata_) > 1) {
    throw Error(Code::kBadInput, "{}: key '{}': expected a whole file, got one of {} parts",
                file.path_, kSplitCount, NumParts(file.metadata_));
  }
  file.BuildIndex();
  return file;
}

GgufFile GgufFile::WithTensors(std::vector<GgufTensor> tensors) const {
  GgufFile file;
  file.path_ = path_;
  file.version_ = version_;
  file.alignment_ = alignment_;
  file.file_bytes_ = file_bytes_;
  file.num_parts_ = num_parts_;
  file.metadata_ = metadata_;
  file.headers_ = headers_;
  file.tensors_ = std::move(tensors);
  file.BuildIndex();
  return file;
}

// Appends the tensors of one part; the first also gives the metadata.
void GgufFile::AddPart(const std::string& path, std::span<const uint8_t> bytes) {
  GgufPart part = ParseGgufPart(path, bytes);
  for (GgufTensor& tensor : part.tensors) tensor.part = num_parts_;
  tensors_.insert(tensors_.end(), std::make_move_iterator(part.tensors.begin()),
                  std::make_move_iterator(part.tensors.end()));
  headers_.push_back(bytes.first(part.header_bytes));
  file_bytes_ += bytes.size();
  if (num_parts_ == 0) {
    version_ = part.version;
    alignment_ = part.alignment;
    metadata_ = std::move(part.metadata);
  } else {
    const uint64_t expected = NumParts(metadata_);
    const uint64_t count = part.metadata.GetUint(kSplitCount);
    const uint64_t no = part.metadata.GetUint(kSplitNo);
    if (count != expected || no != static_cast<uint64_t>(num_parts_)) {
      throw Error(Code::kBadInput,
                  "{}: expected part {} of {} (keys '{}', '{}'), got part {} of {}", path,
                  num_parts_ + 1, expected, kSplitNo, kSplitCount, no + 1, count);
    }
  }
  ++num_parts_;
}

void GgufFile::OpenOtherParts() {
  const uint64_t count = NumParts(metadata_), no = metadata_.GetUint(kSplitNo);
  if (count > kMaxParts || no >= count) {
    throw Error(Code::kBadInput, "{}: keys '{}', '{}': expected a part of at most {}, got {} of {}",
                path_, kSplitNo, kSplitCount, kMaxParts, no, count);
  }
  const std::string first = PartPath(path_, no, count, 0);
  if (no != 0) {
    throw Error(Code::kBadInput, "{}: this is part {} of {}; open the first part{}", path_, no + 1,
                count, first.empty() ? "" : ", " + first);
  }
  if (first.empty()) {
    throw Error(Code::kBadInput,
                "{}: this is part 1 of {}: expected a name that ends in {}, by which the other "
                "parts are found",
                path_, count, PartSuffix(0, count));
  }
  for (uint64_t i = 1; i < count; ++i) {
    const std::string other = PartPath(path_, 0, count, i);
    maps_.emplace_back(other);
    AddPart(other, maps_.back().bytes());
  }
  const uint64_t expected = metadata_.GetUint(kSplitTensors);
  if (expected != tensors_.size()) {
    throw Error(Code::kBadInput, "{}: key '{}': expected {} tensors in {} parts, got {}", path_,
                kSplitTensors, expected, count, tensors_.size());
  }
}

void GgufFile::BuildIndex() {
  by_name_ = SortByName(tensors_, NameOf);
  if (const auto twice = FindDuplicate(by_name_, tensors_, NameOf)) {
    throw Error(Code::kBadInput, "{}: tensor {}: expected once, got a duplicate at byte {}", path_,
                Quoted(tensors_[*twice].name), tensors_[*twice].offset);
  }
}

const GgufTensor* GgufFile::Find(std::string_view name) const {
  return FindByName(by_name_, tensors_, name, NameOf);
}

const GgufTensor& GgufFile::Get(std::string_view name) const {
  const GgufTensor* tensor = Find(name);
  if (!tensor) throw Error(Code::kBadInput, "{}: tensor {} is missing", path_, Quoted(name));
  return *tensor;
}

bool GgufFile::Reads(const std::string& path) const {
  std::error_code ignored;
  return std::any_of(maps_.begin(), maps_.end(), [&](const MappedFile& map) {
    return std::filesystem::equivalent(map.path(), path, ignored);
  });
}

void GgufFile::Read(const GgufTensor& tensor, std::span<const uint8_t> part, uint8_t* to) const {
  if (maps_.empty())
    std::copy(part.begin(), part.end(), to);
  else
    maps_[static_cast<size_t>(tensor.part)].Read(part, to);
}

void GgufFile::Release(const GgufTensor& tensor, std::span<const uint8_t> part) const {
  if (!maps_.empty()) maps_[static_cast<size_t>(tensor.part)].Release(part);
}

}  // namespace slm::format
