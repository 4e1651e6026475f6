#include "format/safetensors_writer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "base/checked.h"
#include "base/error.h"
#include "format/byte_reader.h"
#include "format/safetensors_parse.h"

namespace slm::format {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr const char* kIndexName = "model.safetensors.index.json";

std::span<const uint8_t> AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

uint64_t ElementBytes(std::string_view name) {
  const SafetensorsType* type = FindSafetensorsType(name);
  SLM_CHECK(type && type->bits % 8 == 0);
  return static_cast<uint64_t>(type->bits / 8);
}

}  // namespace

SafetensorsWriter::SafetensorsWriter(std::string folder, uint64_t max_shard_bytes)
    : folder_(std::move(folder)), max_shard_bytes_(max_shard_bytes) {}

SafetensorsWriter::~SafetensorsWriter() {
  if (!is_finished_) RemoveTempFiles();
}

void SafetensorsWriter::Declare(const std::string& name, std::string_view type,
                                std::span<const int64_t> shape) {
  SLM_CHECK(shards_.empty());
  const auto fail = [&](const std::string& problem) {
    throw Error(Code::kBadInput, "{}: tensor {}: {}", folder_, Quoted(name), problem);
  };
  if (!names_.insert(name).second) fail("expected once, got a duplicate");
  const uint64_t element_bytes = ElementBytes(type);
  uint64_t bytes = element_bytes;
  for (const int64_t dim : shape) {
    if (dim < 0) fail(fmt::format("expected dimensions of at least 0, got {}", dim));
    if (!CheckedMul(bytes, static_cast<uint64_t>(dim), &bytes))
      fail("expected fewer than 2^64 bytes, got more");
  }
  if (!CheckedAdd(data_bytes_, bytes, &data_bytes_))
    fail("expected fewer than 2^64 bytes in the model, got more");
  tensors_.push_back({name, std::string(type), element_bytes, {shape.begin(), shape.end()}, bytes});
}

void SafetensorsWriter::MakeShards() {
  uint64_t bytes = 0;
  for (size_t i = 0; i < tensors_.size(); ++i) {
    // Sums stay below data_bytes_, which was checked.
    if (shards_.empty() || bytes + tensors_[i].bytes > max_shard_bytes_) {
      shards_.push_back({i, i, ""});
      bytes = 0;
    }
    bytes += tensors_[i].bytes;
    shards_.back().last = i + 1;
  }
  if (shards_.empty()) shards_.push_back({0, 0, ""});
  for (size_t i = 0; i < shards_.size(); ++i)
    shards_[i].name = shards_.size() == 1
                          ? "model.safetensors"
                          : fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards_.size());
}

std::string SafetensorsWriter::Header(const Shard& shard) {
  std::vector<Tensor*> order;
  for (size_t i = shard.first; i < shard.last; ++i) order.push_back(&tensors_[i]);
  std::stable_sort(order.begin(), order.end(), [](const Tensor* a, const Tensor* b) {
    return a->element_bytes > b->element_bytes;
  });
  // Written piece by piece: a JSON object of the library searches all its keys for each new one.
  std::string out = R"({"__metadata__":{"format":"pt"})";
  uint64_t offset = 0;
  for (Tensor* tensor : order) {
    tensor->offset = offset;
    offset += tensor->bytes;
    const ordered_json entry = {{"dtype", tensor->type},
                                {"shape", tensor->shape},
                                {"data_offsets", {tensor->offset, offset}}};
    out += "," + ordered_json(tensor->name).dump() + ":" + entry.dump();
  }
  out += "}";
  out.append((8 - out.size() % 8) % 8, ' ');
  return out;
}

std::string SafetensorsWriter::Index() const {
  std::string out = fmt::format(
      "{{\n  \"metadata\": {{\n    \"total_size\": {}\n  }},\n  \"weight_map\": {{", data_bytes_);
  const char* separator = "\n";
  for (const Shard& shard : shards_)
    for (size_t i = shard.first; i < shard.last; ++i) {
      out += fmt::format("{}    {}: \"{}\"", separator, ordered_json(tensors_[i].name).dump(),
                         shard.name);
      separator = ",\n";
    }
  return out + "\n  }\n}\n";
}

void SafetensorsWriter::Open(size_t shard) {
  shard_ = shard;
  file_path_ = TempPath(shards_[shard].name);
  file_.reset(std::fopen(file_path_.c_str(), "wb"));
  if (!file_) Fail("cannot create");
  const std::string header = Header(shards_[shard]);
  const uint64_t bytes = header.size();
  Write({reinterpret_cast<const uint8_t*>(&bytes), sizeof bytes});
  Write(AsBytes(header));
  header_bytes_ = sizeof bytes + bytes;
}

void SafetensorsWriter::Close() {
  if (file_ && std::fclose(file_.release()) != 0) Fail("cannot write");
}

void SafetensorsWriter::Append(std::span<const uint8_t> data) {
  if (shards_.empty()) {
    MakeShards();
    Open(0);
  }
  SkipEmpty();
  if (data.empty()) return;
  SLM_CHECK(current_ < tensors_.size());
  const Tensor& tensor = tensors_[current_];
  SLM_CHECK(data.size() <= tensor.bytes - current_written_);
  if (current_ == shards_[shard_].last) {
    Close();
    Open(shard_ + 1);
  }
  if (current_written_ == 0 &&
      fseeko(file_.get(), static_cast<off_t>(header_bytes_ + tensor.offset), SEEK_SET) != 0)
    Fail("cannot write");
  Write(data);
  current_written_ += data.size();
  if (current_written_ < tensor.bytes) return;
  ++current_;
  current_written_ = 0;
}

// Tensors without elements have no data to wait for.
void SafetensorsWriter::SkipEmpty() {
  while (current_ < tensors_.size() && tensors_[current_].bytes == 0) ++current_;
}

void SafetensorsWriter::Finish() {
  Append({});
  SLM_CHECK(current_ == tensors_.size());
  Close();
  std::vector<std::string> names;
  for (const Shard& shard : shards_) names.push_back(shard.name);
  if (shards_.size() > 1) {
    file_path_ = TempPath(kIndexName);
    file_.reset(std::fopen(file_path_.c_str(), "wb"));
    if (!file_) Fail("cannot create");
    Write(AsBytes(Index()));
    Close();
    names.emplace_back(kIndexName);
  }
  for (const std::string& name : names) {
    std::error_code problem;
    fs::rename(TempPath(name), fs::path(folder_) / name, problem);
    if (problem)
      throw Error(Code::kFailed, "{}: cannot rename to {}: {}", TempPath(name), name,
                  problem.message());
  }
  is_finished_ = true;
}

void SafetensorsWriter::Write(std::span<const uint8_t> bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) != bytes.size()) Fail("cannot write");
}

std::string SafetensorsWriter::TempPath(const std::string& name) const {
  return (fs::path(folder_) / (name + ".tmp")).string();
}

void SafetensorsWriter::RemoveTempFiles() {
  file_.reset();
  std::error_code ignored;
  for (const Shard& shard : shards_) fs::remove(TempPath(shard.name), ignored);
  if (shards_.size() > 1) fs::remove(TempPath(kIndexName), ignored);
}

void SafetensorsWriter::Fail(const char* action) const {
  throw Error(Code::kFailed, "{}: {}: {}", file_path_, action, std::strerror(errno));
}

}  // namespace slm::format
