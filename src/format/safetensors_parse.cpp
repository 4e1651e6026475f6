#include "format/safetensors_parse.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/checked.h"
#include "format/byte_reader.h"
#include "format/name_index.h"

namespace slm::format {
namespace {

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit
constexpr size_t kMaxRank = 8;

// A header or an index is an object of objects: this walks one with nlohmann's event parser, which
// neither recurses nor builds a document, so that the size of a hostile file bounds all work. The
// parser's callbacks end in Fail(), which throws, for all that the file at hand does not have.
class JsonEvents : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit JsonEvents(const std::string& path) : path_(path) {}

  bool null() override { Fail("null"); }
  bool boolean(bool) override { Fail("a boolean"); }
  bool number_integer(number_integer_t) override { Fail("a negative number"); }
  bool number_unsigned(number_unsigned_t) override { Fail("a number"); }
  bool number_float(number_float_t, const string_t&) override { Fail("a fraction"); }
  bool string(string_t&) override { Fail("text"); }
  bool binary(binary_t&) override { Fail("binary"); }
  bool start_object(size_t) override { Fail("an object"); }
  bool key(string_t&) override { Fail("a key"); }
  bool end_object() override { return true; }
  bool start_array(size_t) override { Fail("an array"); }
  bool end_array() override { return true; }
  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception&) override {
    throw Error(Code::kBadInput, "{}: the header is not JSON at its byte {}", path_, position);
  }

 protected:
  [[noreturn]] void Fail(const std::string& got) const {
    throw Error(Code::kBadInput, "{}: {}: expected {}, got {}", path_, subject_, expected_, got);
  }
  void Expect(std::string subject, const char* expected) {
    subject_ = std::move(subject);
    expected_ = expected;
  }

  const std::string& path_;
  std::string subject_ = "header";
  const char* expected_ = "an object";
};

struct RawTensor {
  std::string name, dtype;
  std::vector<uint64_t> shape, offsets;
  bool has_dtype = false, has_shape = false, has_offsets = false;
};

class HeaderEvents : public JsonEvents {
 public:
  using JsonEvents::JsonEvents;

  std::vector<RawTensor> tensors;
  SafetensorsMetadata metadata;

  bool start_object(size_t) override {
    if (++depth_ == 1) return true;
    if (depth_ > 2 || field_ != Field::kNone) Fail("an object");
    return true;
  }
  bool end_object() override {
    if (--depth_ == 1) {
      if (!is_metadata_) CheckFields();
      is_metadata_ = false;
    }
    return true;
  }
  bool key(string_t& text) override {
    if (depth_ == 1) {
      is_metadata_ = text == "__metadata__";
      if (is_metadata_) {
        Expect("__metadata__", "an object of texts");
      } else {
        Expect("tensor " + Quoted(text), "an object of dtype, shape and data_offsets");
        tensors.emplace_back().name = std::move(text);
      }
    } else if (is_metadata_) {
      metadata_key_ = std::move(text);
    } else {
      StartField(text);
    }
    return true;
  }
  bool string(string_t& text) override {
    if (depth_ == 2 && is_metadata_) {
      metadata[metadata_key_] = std::move(text);
      return true;
    }
    if (field_ != Field::kDtype) Fail("text");
    tensors.back().dtype = std::move(text);
    field_ = Field::kNone;
    return true;
  }
  bool start_array(size_t) override {
    if (in_array_ || (field_ != Field::kShape && field_ != Field::kOffsets)) Fail("an array");
    return in_array_ = true;
  }
  bool end_array() override {
    in_array_ = false;
    field_ = Field::kNone;
    return true;
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (!in_array_) Fail("a number");
    RawTensor& tensor = tensors.back();
    std::vector<uint64_t>& list = field_ == Field::kShape ? tensor.shape : tensor.offsets;
    if (list.size() == kMaxRank) Fail("more than 8 numbers");
    list.push_back(value);
    return true;
  }

 private:
  enum class Field { kNone, kDtype, kShape, kOffsets };

  void StartField(const std::string& name) {
    RawTensor& tensor = tensors.back();
    bool* seen = name == "dtype"          ? &tensor.has_dtype
                 : name == "shape"        ? &tensor.has_shape
                 : name == "data_offsets" ? &tensor.has_offsets
                                          : nullptr;
    if (!seen || *seen) Fail(Quoted(name) + (seen ? " twice" : ""));
    *seen = true;
    field_ = seen == &tensor.has_dtype   ? Field::kDtype
             : seen == &tensor.has_shape ? Field::kShape
                                         : Field::kOffsets;
  }
  void CheckFields() const {
    const RawTensor& tensor = tensors.back();
    if (!tensor.has_dtype) Fail("no dtype");
    if (!tensor.has_shape) Fail("no shape");
    if (tensor.offsets.size() != 2) Fail("no two data_offsets");
  }

  int depth_ = 0;
  bool is_metadata_ = false, in_array_ = false;
  std::string metadata_key_;
  Field field_ = Field::kNone;
};

class IndexEvents : public JsonEvents {
 public:
  using JsonEvents::JsonEvents;

  std::vector<std::pair<std::string, std::string>> entries;

  bool start_object(size_t) override {
    ++depth_;
    if (depth_ > 2 && in_map_) Fail("an object");
    return true;
  }
  bool end_object() override {
    if (--depth_ == 1) in_map_ = false;
    return true;
  }
  bool key(string_t& text) override {
    if (depth_ == 1) {
      in_map_ = text == "weight_map";
      Expect("weight_map", "an object of file names by tensor");
    } else if (in_map_) {
      Expect("weight_map: " + Quoted(text), "a file name");
      entries.emplace_back(std::move(text), "");
    }
    return true;
  }
  bool string(string_t& text) override {
    if (!in_map_) return true;
    const bool is_plain = !text.empty() && text[0] != '.' &&
                          text.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
    if (depth_ != 2 || !is_plain) Fail(Quoted(text));
    entries.back().second = std::move(text);
    return true;
  }
  // What else an index says, its total size for one, is not needed.
  bool null() override { return Other("null"); }
  bool boolean(bool) override { return Other("a boolean"); }
  bool number_integer(number_integer_t) override { return Other("a number"); }
  bool number_unsigned(number_unsigned_t) override { return Other("a number"); }
  bool number_float(number_float_t, const string_t&) override { return Other("a number"); }
  bool start_array(size_t) override { return Other("an array"); }

 private:
  bool Other(const char* what) {
    if (in_map_) Fail(what);
    return true;
  }

  int depth_ = 0;
  bool in_map_ = false;
};

void ParseEvents(std::string_view text, JsonEvents* events) {
  nlohmann::json::sax_parse(text.begin(), text.end(), events);
}

std::string TensorText(const RawTensor& tensor) { return "tensor " + Quoted(tensor.name); }

SafetensorsTensor Check(const std::string& path, RawTensor raw, std::span<const uint8_t> data) {
  const auto fail = [&](const std::string& problem) {
    throw Error(Code::kBadInput, "{}: {}: {}", path, TensorText(raw), problem);
  };
  SafetensorsTensor tensor;
  tensor.type = FindSafetensorsType(raw.dtype);
  if (!tensor.type) fail("unknown dtype " + Quoted(raw.dtype));
  uint64_t elements = 1, bits = 0;
  for (const uint64_t dim : raw.shape) {
    if (dim > INT64_MAX || !CheckedMul(elements, dim, &elements) || elements > INT64_MAX)
      fail("expected fewer than 2^63 elements, got more");
    tensor.shape.push_back(static_cast<int64_t>(dim));
  }
  tensor.elements = static_cast<int64_t>(elements);
  if (!CheckedMul(elements, static_cast<uint64_t>(tensor.type->bits), &bits))
    fail("expected fewer than 2^61 bytes, got more");
  const uint64_t begin = raw.offsets[0], end = raw.offsets[1];
  if (begin > end || end > data.size())
    fail(fmt::format("expected data inside the file's {} bytes of data, got {} to {}", data.size(),
                     begin, end));
  if (bits % 8 != 0 || bits / 8 != end - begin)
    fail(fmt::format("expected {} bytes for its shape and dtype, got {}", (bits + 7) / 8,
                     end - begin));
  tensor.data = data.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
  tensor.name = std::move(raw.name);
  return tensor;
}

}  // namespace

SafetensorsHeader ParseSafetensors(const std::string& path, std::span<const uint8_t> bytes) {
  constexpr std::string_view kPointer = "version https://git-lfs";
  if (std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size())
          .starts_with(kPointer))
    throw Error(Code::kBadInput, "{}: a pointer of Git LFS, not the file; git lfs pull fetches it",
                path);
  ByteReader in(path, bytes);
  const auto header_bytes = in.Read<uint64_t>("the length of the header");
  if (header_bytes > kMaxHeaderBytes)
    in.Fail(0, "expected a header of at most {} bytes, got {}", kMaxHeaderBytes, header_bytes);
  const auto header = in.Take(header_bytes, "the header");
  HeaderEvents events(path);
  ParseEvents({reinterpret_cast<const char*>(header.data()), header.size()}, &events);

  const auto data = bytes.subspan(in.offset());
  std::sort(events.tensors.begin(), events.tensors.end(),
            [](const RawTensor& a, const RawTensor& b) { return a.offsets < b.offsets; });
  std::vector<SafetensorsTensor> tensors;
  tensors.reserve(events.tensors.size());
  uint64_t next = 0;
  for (RawTensor& raw : events.tensors) {
    const uint64_t begin = raw.offsets[0];
    const std::string text = TensorText(raw);
    tensors.push_back(Check(path, std::move(raw), data));
    // Every byte belongs to one tensor, says the format: else files could hide things.
    if (begin != next)
      throw Error(Code::kBadInput,
                  "{}: {}: expected its data at {}, where that before it ends, got {}", path, text,
                  next, begin);
    next += tensors.back().bytes();
  }
  if (next != data.size())
    throw Error(Code::kBadInput, "{}: expected {} bytes of data, got {}: the file is {}", path,
                next, data.size(), next > data.size() ? "truncated" : "too long");
  return {std::move(tensors), std::move(events.metadata)};
}

std::map<std::string, std::string> ParseSafetensorsIndex(const std::string& path,
                                                         std::string_view text) {
  IndexEvents events(path);
  ParseEvents(text, &events);
  std::map<std::string, std::string> map;
  for (auto& [name, file] : events.entries) {
    if (!map.emplace(name, file).second)
      throw Error(Code::kBadInput, "{}: tensor {}: listed twice", path, Quoted(name));
  }
  if (map.empty()) throw Error(Code::kBadInput, "{}: no weight_map", path);
  return map;
}

}  // namespace slm::format
