#include "format/safetensors.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/error.h"
#include "format/byte_reader.h"
#include "format/name_index.h"
#include "format/safetensors_parse.h"

namespace slm::format {
namespace {

namespace fs = std::filesystem;

const std::string& NameOf(const SafetensorsTensor& tensor) { return tensor.name; }

std::string TextOf(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

// A model that was saved twice: which of the two is meant nobody can say.
[[noreturn]] void FailTwice(const fs::path& folder, const std::string& a, const std::string& b) {
  throw Error(Code::kBadInput, "{}: expected one model, got both {} and {}; remove what is stale",
              folder.string(), a, b);
}

// "<stem>-00002-of-00003.safetensors", all of them; empty when there is none. Throws kBadInput for
// two sets.
std::vector<std::string> ShardNames(const fs::path& folder, const std::string& stem) {
  const std::string begin = stem + "-00001-of-";
  int count = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(begin) || name.size() != begin.size() + 5 + 12) continue;
    if (!name.ends_with(".safetensors")) continue;
    const std::string digits = name.substr(begin.size(), 5);
    if (digits.find_first_not_of("0123456789") != std::string::npos) continue;
    if (count > 0 && count != std::stoi(digits))
      FailTwice(folder, fmt::format("{}{:05}.safetensors", begin, count), name);
    count = std::stoi(digits);
  }
  std::vector<std::string> names;
  for (int i = 1; i <= count; ++i)
    names.push_back(fmt::format("{}-{:05}-of-{:05}.safetensors", stem, i, count));
  return names;
}

}  // namespace

void Safetensors::Add(const std::string& path, std::span<const uint8_t> bytes) {
  SafetensorsHeader header = ParseSafetensors(path, bytes);
  if (paths_.empty()) metadata_ = std::move(header.metadata);
  for (SafetensorsTensor& tensor : header.tensors) {
    tensor.shard = static_cast<int>(paths_.size());
    tensors_.push_back(std::move(tensor));
  }
  paths_.push_back(path);
  file_bytes_ += bytes.size();
}

void Safetensors::AddFile(const std::string& path) {
  maps_.emplace_back(path);
  Add(path, maps_.back().bytes());
}

void Safetensors::BuildIndex() {
  by_name_ = SortByName(tensors_, NameOf);
  if (const auto twice = FindDuplicate(by_name_, tensors_, NameOf)) {
    const SafetensorsTensor& tensor = tensors_[*twice];
    throw Error(Code::kBadInput, "{}: tensor {}: is there twice", PathOf(tensor),
                Quoted(tensor.name));
  }
}

Safetensors Safetensors::Open(const std::string& path) {
  Safetensors file;
  file.AddFile(path);
  file.BuildIndex();
  return file;
}

Safetensors Safetensors::Parse(std::span<const uint8_t> bytes) {
  Safetensors file;
  file.Add("memory", bytes);
  file.BuildIndex();
  return file;
}

Safetensors Safetensors::OpenFolder(const std::string& folder, std::string_view stem) {
  const fs::path root(folder);
  const std::string name(stem);
  const std::string whole = name + ".safetensors";
  const bool has_whole = fs::is_regular_file(root / whole);
  const std::string index_path = root / (name + ".safetensors.index.json");
  if (!fs::is_regular_file(index_path)) {
    const std::vector<std::string> shards = ShardNames(root, name);
    if (shards.empty()) return Open(root / whole);
    if (has_whole) FailTwice(root, whole, shards[0]);
    Safetensors files;
    for (const std::string& shard : shards) files.AddFile(root / shard);
    files.BuildIndex();
    return files;
  }
  const auto shard_of = ParseSafetensorsIndex(index_path, TextOf(MappedFile(index_path)));
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : shard_of) shards.insert(shard);
  if (has_whole && !shards.contains(whole)) FailTwice(root, whole, fs::path(index_path).filename());
  Safetensors files;
  for (const std::string& shard : shards) {
    if (!fs::exists(root / shard))
      throw Error(Code::kBadInput, "{}: names {}, which is missing; fetch it again", index_path,
                  Quoted(shard));
    files.AddFile(root / shard);
  }
  files.BuildIndex();
  for (const auto& [tensor, shard] : shard_of) {
    const SafetensorsTensor* found = files.Find(tensor);
    if (!found || fs::path(files.PathOf(*found)).filename() != shard)
      throw Error(Code::kBadInput, "{}: tensor {}: not in {}, where the index puts it", index_path,
                  Quoted(tensor), shard);
  }
  for (const SafetensorsTensor& tensor : files.tensors()) {
    if (!shard_of.contains(tensor.name))
      throw Error(Code::kBadInput, "{}: tensor {}: not in the index", files.PathOf(tensor),
                  Quoted(tensor.name));
  }
  return files;
}

const SafetensorsTensor* Safetensors::Find(std::string_view name) const {
  return FindByName(by_name_, tensors_, name, NameOf);
}

void Safetensors::Release(const SafetensorsTensor& tensor, std::span<const uint8_t> part) const {
  if (!maps_.empty()) maps_[static_cast<size_t>(tensor.shard)].Release(part);
}

}  // namespace slm::format
