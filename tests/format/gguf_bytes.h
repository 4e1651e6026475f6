// GGUF files by hand, right or wrong.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace slm::format {

class GgufBytes {
 public:
  // The fixed header.
  static GgufBytes Start(uint64_t num_tensors, uint64_t num_keys, uint32_t version = 3) {
    GgufBytes bytes;
    bytes.Raw("GGUF").Put(version).Put(num_tensors).Put(num_keys);
    return bytes;
  }

  template <class T>
  GgufBytes& Put(T value) {
    text_.append(reinterpret_cast<const char*>(&value), sizeof(T));
    return *this;
  }
  GgufBytes& Raw(std::string_view raw) {
    text_.append(raw);
    return *this;
  }
  GgufBytes& String(std::string_view text) { return Put<uint64_t>(text.size()).Raw(text); }

  // A key with the type that follows it; then comes the value.
  GgufBytes& Key(std::string_view key, uint32_t type) { return String(key).Put(type); }
  template <class T>
  GgufBytes& Key(std::string_view key, uint32_t type, T value) {
    return Key(key, type).Put(value);
  }

  GgufBytes& Tensor(std::string_view name, std::initializer_list<uint64_t> dims, uint32_t type,
                    uint64_t offset) {
    String(name).Put(static_cast<uint32_t>(dims.size()));
    for (const uint64_t dim : dims) Put(dim);
    return Put(type).Put(offset);
  }

  // The padding before the data, then `bytes` zeros.
  GgufBytes& Data(size_t bytes, size_t alignment = 32) {
    text_.resize((text_.size() + alignment - 1) / alignment * alignment);
    text_.resize(text_.size() + bytes);
    return *this;
  }

  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace slm::format
