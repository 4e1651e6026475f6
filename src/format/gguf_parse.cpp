#include "format/gguf_parse.h"

#include <algorithm>
#include <bit>
#include <iterator>
#include <utility>

#include "base/checked.h"
#include "format/byte_reader.h"

namespace slm::format {
namespace {

// What one entry takes at the least, so that a count can be refused before it is believed.
constexpr size_t kMinKeyValueBytes = 8 + 1 + 4 + 1;        // name, value type, a byte
constexpr size_t kMinTensorInfoBytes = 8 + 1 + 4 + 4 + 8;  // name, dims, type, offset

// Files that people hand over by mistake.
constexpr struct {
  std::string_view start;
  const char* hint;
} kOtherFiles[] = {
    {"version https://git-lfs", ": this is a Git LFS pointer; fetch the file it points to"},
    {"PK\x03\x04", ": this is a ZIP archive or PyTorch checkpoint; convert it first"},
    {"<!DOCTYPE", ": this is a web page, perhaps of a failed download"},
    {"<html", ": this is a web page, perhaps of a failed download"},
    {"lmgg", ": this is a GGML file from before GGUF; convert the model again"},
    {"tjgg", ": this is a GGML file from before GGUF; convert the model again"},
};

void CheckMagic(ByteReader& in, std::span<const uint8_t> bytes) {
  const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (all.starts_with("GGUF")) {
    in.Take(4, "the magic 'GGUF'");
    return;
  }
  const char* hint = "";
  for (const auto& other : kOtherFiles) {
    if (all.starts_with(other.start)) hint = other.hint;
  }
  in.Fail(0, "expected the magic 'GGUF', got {}{}", Quoted(all.substr(0, 4)), hint);
}

uint32_t ReadVersion(ByteReader& in) {
  const size_t at = in.offset();
  const auto version = in.Read<uint32_t>("the version");
  if (version != 0 && (version & 0xffff) == 0)
    in.Fail(at, "this is a big-endian GGUF file; only little-endian ones are supported");
  if (version < 2 || version > 3)
    in.Fail(at, "expected GGUF version 2 or 3, got {}{}", version,
            version == 1 ? "; convert the model again" : "");
  return version;
}

uint64_t ReadCount(ByteReader& in, const char* what, size_t min_bytes) {
  const size_t at = in.offset();
  const auto count = in.Read<uint64_t>(what);
  if (count > in.remaining() / min_bytes) {
    in.Fail(at, "expected {} that fits the remaining {} bytes, got {}", what, in.remaining(),
            count);
  }
  return count;
}

GgufValueType ReadValueType(ByteReader& in) {
  const size_t at = in.offset();
  const auto type = in.Read<uint32_t>("a value type");
  if (type >= kNumGgufValueTypes)
    in.Fail(at, "expected a value type below {}, got {}", kNumGgufValueTypes, type);
  return static_cast<GgufValueType>(type);
}

// Moves past the items of `value` and sets its bytes.
void ReadItems(ByteReader& in, std::span<const uint8_t> bytes, GgufValue* value) {
  const size_t start = in.offset();
  if (value->type == GgufValueType::kString) {
    constexpr size_t kMinStringBytes = 8;  // its length
    if (value->count > in.remaining() / kMinStringBytes) {
      in.Fail(start, "expected {} strings, got the end of the file after {} bytes", value->count,
              in.remaining());
    }
    for (uint64_t i = 0; i < value->count; ++i) in.ReadString("a string");
  } else {
    const size_t item_bytes = ItemBytes(value->type);
    if (value->count > in.remaining() / item_bytes) {
      in.Fail(start, "expected {} items of {} bytes, got the end of the file after {} bytes",
              value->count, item_bytes, in.remaining());
    }
    in.Take(value->count * item_bytes, "a value");
  }
  value->bytes = bytes.subspan(start, in.offset() - start);
  if (value->type != GgufValueType::kBool) return;
  for (size_t i = 0; i < value->bytes.size(); ++i) {
    if (value->bytes[i] > 1)
      in.Fail(start + i, "expected a bool, 0 or 1, got {}", int{value->bytes[i]});
  }
}

GgufValue ReadValue(ByteReader& in, std::span<const uint8_t> bytes) {
  GgufValue value;
  value.count = 1;
  value.type = ReadValueType(in);
  if (value.type == GgufValueType::kArray) {
    const size_t at = in.offset();
    value.is_array = true;
    value.type = ReadValueType(in);
    if (value.type == GgufValueType::kArray)
      in.FailWith(Code::kUnsupported, at, "arrays of arrays are not supported");
    value.count = in.Read<uint64_t>("the length of an array");
  }
  ReadItems(in, bytes, &value);
  return value;
}

GgufMetadata ReadMetadata(ByteReader& in, std::span<const uint8_t> bytes, uint64_t count) {
  std::vector<GgufMetadata::Entry> entries;
  for (uint64_t i = 0; i < count; ++i) {
    in.set_subject(fmt::format("key {} of {}", i + 1, count));
    const size_t at = in.offset();
    const std::string_view key = in.ReadString("a key");
    if (key.empty()) in.Fail(at, "expected a key, got an empty name");
    if (key.size() > kMaxKeyBytes)
      in.Fail(at, "expected a key of at most {} bytes, got {}", kMaxKeyBytes, key.size());
    in.set_subject("key " + Quoted(key));
    entries.push_back({key, ReadValue(in, bytes)});
  }
  return {in.path(), std::move(entries)};
}

uint32_t ReadAlignment(const std::string& path, const GgufMetadata& metadata) {
  const GgufValue* value = metadata.Find("general.alignment");
  if (!value) return kDefaultAlignment;
  if (value->is_array || value->type != GgufValueType::kUint32) {
    throw Error(Code::kBadInput, "{}: key 'general.alignment': expected uint32, got {}", path,
                value->TypeText());
  }
  const uint64_t alignment = metadata.GetUint("general.alignment");
  if (!std::has_single_bit(alignment) || alignment < kMinAlignment) {
    throw Error(Code::kBadInput,
                "{}: key 'general.alignment': expected a power of two, at least {}, got {}", path,
                kMinAlignment, alignment);
  }
  return static_cast<uint32_t>(alignment);
}

void ReadDims(ByteReader& in, GgufTensor* tensor) {
  size_t at = in.offset();
  const auto num_dims = in.Read<uint32_t>("the number of dimensions");
  if (num_dims > kMaxDims)
    in.Fail(at, "expected at most {} dimensions, got {}", kMaxDims, num_dims);
  tensor->num_dims = static_cast<int>(num_dims);
  for (uint32_t i = 0; i < num_dims; ++i) {
    at = in.offset();
    const auto dim = in.Read<uint64_t>("a dimension");
    if (dim == 0 || dim > uint64_t{INT64_MAX})
      in.Fail(at, "dimension {}: expected 1 to {}, got {}", i, INT64_MAX, dim);
    tensor->dims[i] = static_cast<int64_t>(dim);
    if (__builtin_mul_overflow(tensor->elements, tensor->dims[i], &tensor->elements))
      in.Fail(at, "dimension {}: expected fewer than 2^63 elements, got {} times more", i, dim);
  }
}

// A tensor as the directory has it: the bytes are looked up when the start of the data is known.
struct TensorInfo {
  GgufTensor tensor;
  uint64_t relative_offset = 0;
  uint64_t bytes = 0;
  size_t info_offset = 0;  // of its offset field, for messages
};

TensorInfo ReadTensorInfo(ByteReader& in) {
  TensorInfo info;
  GgufTensor& tensor = info.tensor;
  size_t at = in.offset();
  const std::string_view name = in.ReadString("a tensor name");
  if (name.empty()) in.Fail(at, "expected a tensor name, got an empty one");
  if (name.size() > kMaxTensorNameBytes) {
    in.Fail(at, "expected a tensor name of at most {} bytes, got {}", kMaxTensorNameBytes,
            name.size());
  }
  in.set_subject("tensor " + Quoted(name));
  tensor.name = name;
  ReadDims(in, &tensor);

  at = in.offset();
  const auto type_id = in.Read<uint32_t>("a tensor type");
  const quant::TypeTraits* type = quant::FindType(type_id);
  if (!type) {
    const char* known = quant::GgmlTypeName(type_id);
    if (!known) in.Fail(at, "tensor type {} is unknown", type_id);
    in.FailWith(Code::kUnsupported, at,
                fmt::format("type {} ({}) is not supported", known, type_id));
  }
  tensor.type = type->type;
  if (tensor.dims[0] % type->block_size != 0) {
    in.Fail(at, "expected rows of a multiple of {} elements for {}, got {}", type->block_size,
            type->name, tensor.dims[0]);
  }
  const auto blocks = static_cast<uint64_t>(tensor.elements / type->block_size);
  if (!CheckedMul(blocks, type->block_bytes, &info.bytes))
    in.Fail(at, "expected fewer than 2^64 bytes, got {} elements of {}", tensor.elements,
            type->name);

  info.info_offset = in.offset();
  info.relative_offset = in.Read<uint64_t>("the offset of the data");
  return info;
}

// Sets the data of every tensor.
void PlaceTensors(ByteReader& in, std::span<const uint8_t> bytes, uint32_t alignment,
                  std::vector<TensorInfo>* infos) {
  const uint64_t data_start = (uint64_t{in.offset()} + alignment - 1) / alignment * alignment;
  for (TensorInfo& info : *infos) {
    in.set_subject("tensor " + Quoted(info.tensor.name));
    if (info.relative_offset % alignment != 0) {
      in.Fail(info.info_offset, "expected an offset that is a multiple of {}, got {}", alignment,
              info.relative_offset);
    }
    uint64_t begin, end;
    if (!CheckedAdd(data_start, info.relative_offset, &begin) ||
        !CheckedAdd(begin, info.bytes, &end) || end > bytes.size()) {
      in.Fail(info.info_offset,
              "expected {} bytes of data at {} + {}, got a file of {} bytes; it is truncated or "
              "damaged",
              info.bytes, data_start, info.relative_offset, bytes.size());
    }
    info.tensor.offset = static_cast<size_t>(begin);
    info.tensor.data = bytes.subspan(info.tensor.offset, static_cast<size_t>(info.bytes));
  }
}

void CheckOverlaps(const std::string& path, const std::vector<GgufTensor>& tensors) {
  std::vector<const GgufTensor*> sorted;
  for (const GgufTensor& tensor : tensors) sorted.push_back(&tensor);
  std::sort(sorted.begin(), sorted.end(),
            [](const GgufTensor* a, const GgufTensor* b) { return a->offset < b->offset; });
  for (size_t i = 1; i < sorted.size(); ++i) {
    const GgufTensor& a = *sorted[i - 1];
    const GgufTensor& b = *sorted[i];
    if (b.offset - a.offset < a.bytes()) {
      throw Error(Code::kBadInput,
                  "{}: tensor {} at byte {}: expected data of its own, got an overlap with tensor "
                  "{} (byte {}, {} bytes)",
                  path, Quoted(b.name), b.offset, Quoted(a.name), a.offset, a.bytes());
    }
  }
}

}  // namespace

GgufPart ParseGgufPart(const std::string& path, std::span<const uint8_t> bytes) {
  ByteReader in(path, bytes);
  GgufPart part;
  CheckMagic(in, bytes);
  part.version = ReadVersion(in);
  const uint64_t num_tensors = ReadCount(in, "a number of tensors", kMinTensorInfoBytes);
  const uint64_t num_keys = ReadCount(in, "a number of keys", kMinKeyValueBytes);
  part.metadata = ReadMetadata(in, bytes, num_keys);
  part.alignment = ReadAlignment(path, part.metadata);

  std::vector<TensorInfo> infos;
  for (uint64_t i = 0; i < num_tensors; ++i) {
    in.set_subject(fmt::format("tensor {} of {}", i + 1, num_tensors));
    infos.push_back(ReadTensorInfo(in));
  }
  part.header_bytes = in.offset();
  PlaceTensors(in, bytes, part.alignment, &infos);
  for (TensorInfo& info : infos) part.tensors.push_back(std::move(info.tensor));
  CheckOverlaps(path, part.tensors);
  return part;
}

}  // namespace slm::format
