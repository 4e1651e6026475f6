#include "format/safetensors_writer.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/checked.h"
#include "base/error.h"
#include "format/byte_reader.h"
#include "format/safetensors_parse.h"

namespace slm::format {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

uint64_t ElementBytes(std::string_view name) {
  const SafetensorsType* type = FindSafetensorsType(name);
  SLM_CHECK(type && type->bits % 8 == 0);
  return static_cast<uint64_t>(type->bits / 8);
}

}  // namespace

SafetensorsWriter::SafetensorsWriter(std::string folder, uint64_t max_shard_bytes, std::string stem)
    : folder_(std::move(folder)), max_shard_bytes_(max_shard_bytes), stem_(std::move(stem)) {}

void SafetensorsWriter::SetMetadata(const std::string& key, const std::string& text) {
  SLM_CHECK(shards_.empty());
  metadata_[key] = text;
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
    shards_[i].name = shards_.size() == 1 ? stem_ + ".safetensors"
                                          : fmt::format("{}-{:05}-of-{:05}.safetensors", stem_,
                                                        i + 1, shards_.size());
}

std::string SafetensorsWriter::Header(const Shard& shard) {
  std::vector<Tensor*> order;
  for (size_t i = shard.first; i < shard.last; ++i) order.push_back(&tensors_[i]);
  std::stable_sort(order.begin(), order.end(), [](const Tensor* a, const Tensor* b) {
    return a->element_bytes > b->element_bytes;
  });
  // Written piece by piece: a JSON object of the library searches all its keys for each new one.
  constexpr auto kReplace = ordered_json::error_handler_t::replace;  // what is not UTF-8
  std::string out = R"({"__metadata__":)" + ordered_json(metadata_).dump(-1, ' ', false, kReplace);
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

void SafetensorsWriter::OpenNext() {
  if (!files_.empty()) files_.back().Complete();
  const Shard& shard = shards_[files_.size()];
  const std::string header = Header(shard);
  const uint64_t bytes = header.size();
  ResultFile& file = files_.emplace_back(fs::path(folder_) / shard.name);
  file.Write(&bytes, sizeof bytes);
  file.Write(header.data(), header.size());
  header_bytes_ = sizeof bytes + bytes;
}

void SafetensorsWriter::Append(std::span<const uint8_t> data) {
  if (shards_.empty()) {
    MakeShards();
    OpenNext();
  }
  SkipEmpty();
  if (data.empty()) return;
  SLM_CHECK(current_ < tensors_.size());
  const Tensor& tensor = tensors_[current_];
  SLM_CHECK(data.size() <= tensor.bytes - current_written_);
  if (current_ == shards_[files_.size() - 1].last) OpenNext();
  if (current_written_ == 0) files_.back().Seek(header_bytes_ + tensor.offset);
  files_.back().Write(data.data(), data.size());
  current_written_ += data.size();
  if (current_written_ < tensor.bytes) return;
  ++current_;
  current_written_ = 0;
}

// Tensors without elements have no data to wait for.
void SafetensorsWriter::SkipEmpty() {
  while (current_ < tensors_.size() && tensors_[current_].bytes == 0) ++current_;
}

void SafetensorsWriter::Complete() {
  if (is_complete_) return;
  Append({});
  SLM_CHECK(current_ == tensors_.size());
  files_.back().Complete();
  if (shards_.size() > 1) {
    const std::string index = Index();
    ResultFile& file = files_.emplace_back(fs::path(folder_) / (stem_ + ".safetensors.index.json"));
    file.Write(index.data(), index.size());
    file.Complete();
  }
  is_complete_ = true;
}

void SafetensorsWriter::Finish() {
  Complete();
  for (ResultFile& file : files_) file.Finish();
}

}  // namespace slm::format
