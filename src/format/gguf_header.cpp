#include "format/gguf_header.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "base/checked.h"
#include "base/error.h"
#include "format/byte_reader.h"

namespace slm::format {
namespace {

constexpr const char* kAlignmentKey = "general.alignment";

template <class T>
void Put(std::string* out, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out->append(bytes, sizeof(T));
}

void PutString(std::string* out, std::string_view text) {
  Put<uint64_t>(out, text.size());
  out->append(text);
}

template <class Text>
std::string PackStrings(std::span<const Text> items) {
  std::string packed;
  for (const auto& item : items) PutString(&packed, item);
  return packed;
}

}  // namespace

GgufHeader::GgufHeader(std::string path, uint32_t alignment)
    : path_(std::move(path)), alignment_(alignment) {
  SLM_CHECK(std::has_single_bit(alignment) && alignment >= kMinAlignment);
  if (alignment != kDefaultAlignment) Set<uint32_t>(kAlignmentKey, alignment);
}

void GgufHeader::SetRaw(std::string_view key, GgufValueType type, bool is_array, uint64_t count,
                        std::string_view items) {
  SLM_CHECK(!is_closed_);
  SLM_CHECK(!key.empty() && key.size() <= kMaxKeyBytes);
  std::string bytes;
  if (is_array) Put(&bytes, static_cast<uint32_t>(GgufValueType::kArray));
  Put(&bytes, static_cast<uint32_t>(type));
  if (is_array) Put(&bytes, count);
  bytes.append(items);
  for (Entry& entry : entries_) {
    if (entry.key == key) {
      entry.bytes = std::move(bytes);
      return;
    }
  }
  entries_.push_back({std::string(key), std::move(bytes)});
}

void GgufHeader::SetString(std::string_view key, std::string_view text) {
  SetRaw(key, GgufValueType::kString, false, 1,
         PackStrings(std::span<const std::string_view>(&text, 1)));
}

void GgufHeader::SetStrings(std::string_view key, std::span<const std::string_view> items) {
  SetRaw(key, GgufValueType::kString, true, items.size(), PackStrings(items));
}

void GgufHeader::SetStrings(std::string_view key, std::span<const std::string> items) {
  SetRaw(key, GgufValueType::kString, true, items.size(), PackStrings(items));
}

void GgufHeader::Copy(std::string_view key, const GgufValue& value) {
  if (key == kAlignmentKey) return;
  SetRaw(key, value.type, value.is_array, value.count, AsBytes(value.bytes));
}

void GgufHeader::CopyAll(const GgufMetadata& metadata) {
  for (const auto& [key, value] : metadata.entries()) Copy(key, value);
}

void GgufHeader::Remove(std::string_view key) {
  SLM_CHECK(!is_closed_);
  std::erase_if(entries_, [&](const Entry& entry) { return entry.key == key; });
}

void GgufHeader::Declare(const std::string& name, quant::Type type, std::span<const int64_t> dims) {
  SLM_CHECK(!is_closed_);
  const auto fail = [&](const std::string& problem) {
    throw Error(Code::kBadInput, "{}: tensor {}: {}", path_, Quoted(name), problem);
  };
  if (name.empty() || name.size() > kMaxTensorNameBytes)
    fail(fmt::format("expected a name of 1 to {} bytes, got {}", kMaxTensorNameBytes, name.size()));
  if (!names_.insert(name).second) fail("expected once, got a duplicate");
  if (dims.size() > kMaxDims)
    fail(fmt::format("expected at most {} dimensions, got {}", kMaxDims, dims.size()));
  const quant::TypeTraits& traits = quant::Traits(type);
  uint64_t elements = 1, bytes = 0;
  for (const int64_t dim : dims) {
    if (dim < 1) fail(fmt::format("expected dimensions of at least 1, got {}", dim));
    if (!CheckedMul(elements, static_cast<uint64_t>(dim), &elements) || elements > INT64_MAX)
      fail("expected fewer than 2^63 elements, got more");
  }
  const int64_t row = dims.empty() ? 1 : dims[0];
  if (row % traits.block_size != 0) {
    fail(fmt::format("expected rows of a multiple of {} elements for {}, got {}", traits.block_size,
                     traits.name, row));
  }
  const uint64_t offset = data_bytes_;
  if (!CheckedMul(elements / static_cast<uint64_t>(traits.block_size), traits.block_bytes,
                  &bytes) ||
      !CheckedAdd(offset, bytes, &data_bytes_) ||
      !CheckedAdd(data_bytes_, alignment_ - 1, &data_bytes_))
    fail("expected fewer than 2^64 bytes in the file, got more");
  data_bytes_ -= data_bytes_ % alignment_;
  tensors_.push_back({name, type, {dims.begin(), dims.end()}, offset, bytes});
}

std::string GgufHeader::Close() {
  is_closed_ = true;
  std::string out = "GGUF";
  Put<uint32_t>(&out, 3);
  Put<uint64_t>(&out, tensors_.size());
  Put<uint64_t>(&out, entries_.size());
  for (const Entry& entry : entries_) {
    PutString(&out, entry.key);
    out += entry.bytes;
  }
  for (const Tensor& tensor : tensors_) {
    PutString(&out, tensor.name);
    Put(&out, static_cast<uint32_t>(tensor.dims.size()));
    for (const int64_t dim : tensor.dims) Put(&out, dim);
    Put(&out, static_cast<uint32_t>(tensor.type));
    Put(&out, tensor.offset);
  }
  return out;
}

}  // namespace slm::format
