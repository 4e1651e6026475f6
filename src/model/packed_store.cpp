#include "model/packed_store.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <system_error>
#include <tuple>

#include "base/error.h"
#include "base/hash.h"
#include "base/progress.h"
#include "quant/packed.h"

namespace slm::model {
namespace {

namespace fs = std::filesystem;

// What a disk keeps free beside the files here.
uint64_t ReserveOf(uint64_t capacity) { return std::min<uint64_t>(capacity / 10, 4'000'000'000); }

bool IsStale(const format::PackedHeader& header) {
  return header.layout_version != quant::kPanelVersion ||
         std::any_of(header.sources.begin(), header.sources.end(),
                     [](const format::PackedSource& source) {
                       return StampOf(source.path) != source.stamp;
                     });
}

PackedEntry ReadEntry(const std::string& path) {
  PackedEntry entry;
  entry.path = path;
  if (const auto stamp = StampOf(path)) {
    entry.bytes = stamp->bytes;
    entry.used_ns = stamp->modified_ns;
  }
  try {
    const MappedFile file(path);
    const format::PackedHeader header = format::ReadPackedHeader(path, file.bytes());
    entry.model = header.sources[0].path;
    entry.is_stale = IsStale(header) || header.file_bytes != entry.bytes;
  } catch (const Error&) {
    entry.is_stale = true;
  }
  return entry;
}

std::vector<fs::directory_entry> FilesIn(const std::string& folder) {
  std::vector<fs::directory_entry> files;
  std::error_code problem;
  for (fs::directory_iterator at(folder, problem), end; !problem && at != end;
       at.increment(problem))
    files.push_back(*at);
  return files;
}

// Of a writer that was killed where files cannot be without a name; one that writes is not an hour
// silent.
bool IsAbandoned(const fs::directory_entry& entry) {
  std::error_code problem;
  const auto time = entry.last_write_time(problem);
  return !problem && entry.path().extension() == ".tmp" &&
         fs::file_time_type::clock::now() - time > std::chrono::hours(1);
}

}  // namespace

std::string PackedStore::PathFor(const format::PackedHeader& header) const {
  const fs::path model = header.sources[0].path;
  const std::string key =
      fmt::format("{}\n{}\n{}", model.string(), header.layout, header.layout_version);
  const uint64_t hash = Hash64({reinterpret_cast<const uint8_t*>(key.data()), key.size()});
  std::string name = model.stem();  // for people
  size_t end = std::min<size_t>(name.size(), 100);
  while (end < name.size() && (name[end] & 0xc0) == 0x80) --end;  // no half character of UTF-8
  name.resize(end);
  return fmt::format("{}/{}-{:016x}{}", folder_, name, hash, format::kPackedExtension);
}

void PackedStore::MakeRoom(uint64_t bytes) const {
  std::error_code problem;
  fs::create_directories(folder_, problem);
  const fs::space_info disk = problem ? fs::space_info() : fs::space(folder_, problem);
  if (problem)
    throw Error(Code::kFailed, "{}: cannot make the folder: {}", folder_, problem.message());
  const std::vector<PackedEntry> entries = List();
  uint64_t used = 0;
  for (const PackedEntry& entry : entries) used += entry.bytes;
  const uint64_t reserve = ReserveOf(disk.capacity);
  if (bytes > budget_bytes_)
    throw Error(Code::kFailed, "{}: packed weights of {} exceed the budget of {}", folder_,
                FormatBytes(bytes), FormatBytes(budget_bytes_));
  const auto fail = [&] {
    throw Error(Code::kFailed, "{}: no room for packed weights of {}: {} are free, {} stay so",
                folder_, FormatBytes(bytes), FormatBytes(disk.available), FormatBytes(reserve));
  };
  if (disk.available + used < bytes + reserve) fail();
  uint64_t available = disk.available;
  const auto is_within_budget = [&] { return used + bytes <= budget_bytes_; };
  for (const PackedEntry& entry : entries) {
    if (is_within_budget() && available >= bytes + reserve) break;
    if (!fs::remove(entry.path, problem)) continue;
    used -= entry.bytes;
    const uint64_t before = std::exchange(available, fs::space(folder_, problem).available);
    // What others have mapped gives its room back when they are done: more of it would not help.
    if (is_within_budget() && available <= before) break;
  }
  if (!is_within_budget())
    throw Error(Code::kFailed,
                "{}: what is there cannot be removed, and {} more exceed the budget of {}", folder_,
                FormatBytes(bytes), FormatBytes(budget_bytes_));
  if (available < bytes + reserve) fail();
}

void PackedStore::Touch(const std::string& path) {
  std::error_code ignored;  // of a folder that is not ours, others say what goes
  fs::last_write_time(path, fs::file_time_type::clock::now(), ignored);
}

std::vector<PackedEntry> PackedStore::List() const {
  std::vector<PackedEntry> entries;
  for (const fs::directory_entry& entry : FilesIn(folder_))
    if (entry.path().extension() == format::kPackedExtension)
      entries.push_back(ReadEntry(entry.path()));
  std::sort(entries.begin(), entries.end(), [](const PackedEntry& a, const PackedEntry& b) {
    if (a.is_stale != b.is_stale) return a.is_stale;
    return std::tie(a.used_ns, a.path) < std::tie(b.used_ns, b.path);
  });
  return entries;
}

PackedStore::Pruned PackedStore::Prune() const {
  Pruned pruned;
  const auto remove = [&](const std::string& path, uint64_t bytes) {
    std::error_code ignored;
    if (!fs::remove(path, ignored)) return;
    pruned.paths.push_back(path);
    pruned.freed_bytes += bytes;
  };
  for (const PackedEntry& entry : List())
    if (entry.is_stale) remove(entry.path, entry.bytes);
  std::error_code ignored;
  for (const fs::directory_entry& entry : FilesIn(folder_))
    if (IsAbandoned(entry)) remove(entry.path(), entry.file_size(ignored));
  return pruned;
}

}  // namespace slm::model
