#include "convert/sentencepiece_model.h"

#include <bit>
#include <cstring>

#include "base/error.h"

namespace slm::convert {
namespace {

// The wire format: fields of (number << 3 | kind), then a varint, 4 or 8 bytes, or a length and
// bytes. https://protobuf.dev/programming-guides/encoding/
class Fields {
 public:
  Fields(const std::string& path, std::span<const uint8_t> bytes) : path_(path), rest_(bytes) {}

  // The next field, or false at the end.
  bool Next() {
    if (rest_.empty()) return false;
    const uint64_t key = Varint();
    number_ = key >> 3;
    kind_ = static_cast<int>(key & 7);
    value_ = 0;
    bytes_ = {};
    switch (kind_) {
      case 0:
        value_ = Varint();
        break;
      case 1:
        Take(8);
        break;
      case 2:
        Take(Varint());
        break;
      case 5:
        std::memcpy(&value_, Take(4).data(), 4);
        break;
      default:
        Fail("an unknown kind of field");
    }
    return true;
  }

  uint64_t number() const { return number_; }
  bool is_bytes() const { return kind_ == 2; }
  bool AsBool() const { return Expect(0).value_ != 0; }
  // Negative numbers take all 64 bits.
  int32_t AsInt() const { return static_cast<int32_t>(Expect(0).value_); }
  float AsFloat() const { return std::bit_cast<float>(static_cast<uint32_t>(Expect(5).value_)); }
  std::span<const uint8_t> AsBytes() const { return Expect(2).bytes_; }
  std::string AsString() const {
    const auto bytes = AsBytes();
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

 private:
  [[noreturn]] void Fail(const char* problem) const {
    throw Error(Code::kBadInput, "{}: not a SentencePiece model: {}", path_, problem);
  }
  const Fields& Expect(int kind) const {
    if (kind_ != kind) Fail("a field of the wrong kind");
    return *this;
  }
  std::span<const uint8_t> Take(uint64_t count) {
    if (count > rest_.size()) Fail("truncated");
    bytes_ = rest_.first(static_cast<size_t>(count));
    rest_ = rest_.subspan(bytes_.size());
    return bytes_;
  }
  uint64_t Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) Fail("truncated");
      const uint8_t byte = rest_[0];
      rest_ = rest_.subspan(1);
      value |= uint64_t{byte & 127u} << shift;
      if (byte < 128) return value;
    }
    Fail("a number of more than 64 bits");
  }

  const std::string& path_;
  std::span<const uint8_t> rest_;
  uint64_t number_ = 0;
  int kind_ = 0;
  uint64_t value_ = 0;
  std::span<const uint8_t> bytes_;
};

SentencePiece ReadPiece(const std::string& path, std::span<const uint8_t> bytes) {
  SentencePiece piece;
  for (Fields field(path, bytes); field.Next();) {
    if (field.number() == 1) piece.text = field.AsString();
    if (field.number() == 2) piece.score = field.AsFloat();
    if (field.number() == 3) piece.type = field.AsInt();
  }
  if (piece.type < 1 || piece.type > 6)
    throw Error(Code::kBadInput, "{}: a piece of type {}, expected 1 to 6", path, piece.type);
  return piece;
}

void ReadTrainer(const std::string& path, std::span<const uint8_t> bytes,
                 SentencePieceModel* model) {
  constexpr int32_t kBpe = 2;
  int32_t algorithm = 1;  // unigram
  for (Fields field(path, bytes); field.Next();) {
    if (field.number() == 3) algorithm = field.AsInt();
    if (field.number() == 40) model->unk = field.AsInt();
    if (field.number() == 41) model->bos = field.AsInt();
    if (field.number() == 42) model->eos = field.AsInt();
    if (field.number() == 43) model->pad = field.AsInt();
  }
  if (algorithm != kBpe)
    throw Error(Code::kUnsupported, "{}: expected SentencePiece's BPE, got algorithm {}", path,
                algorithm);
}

void ReadNormalizer(const std::string& path, std::span<const uint8_t> bytes,
                    SentencePieceModel* model) {
  std::string name, map;
  for (Fields field(path, bytes); field.Next();) {
    if (field.number() == 1) name = field.AsString();
    if (field.number() == 2) map = field.AsString();
    if (field.number() == 3) model->add_dummy_prefix = field.AsBool();
    if (field.number() == 4) model->remove_extra_whitespaces = field.AsBool();
  }
  if (!map.empty())
    throw Error(Code::kUnsupported, "{}: normalizer \"{}\" changes characters, GGUF cannot say how",
                path, name.substr(0, 64));
}

}  // namespace

SentencePieceModel ParseSentencePiece(const std::string& path, std::span<const uint8_t> bytes) {
  SentencePieceModel model;
  bool has_trainer = false;
  for (Fields field(path, bytes); field.Next();) {
    if (field.number() == 1) model.pieces.push_back(ReadPiece(path, field.AsBytes()));
    if (field.number() == 2) {
      has_trainer = true;
      ReadTrainer(path, field.AsBytes(), &model);
    }
    if (field.number() == 3) ReadNormalizer(path, field.AsBytes(), &model);
  }
  if (model.pieces.empty() || !has_trainer)
    throw Error(Code::kBadInput, "{}: not a SentencePiece model: no {}", path,
                has_trainer ? "pieces" : "settings");
  return model;
}

}  // namespace slm::convert
