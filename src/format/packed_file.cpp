#include "format/packed_file.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/checked.h"
#include "base/hash.h"
#include "format/byte_reader.h"

namespace slm::format {
namespace {

constexpr std::string_view kMagic = "SLMPANL1";
constexpr size_t kFixedBytes = 24;  // magic, bytes of the header, their hash

class Writer {
 public:
  template <class T>
  void Put(T value) {
    out_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void PutString(const std::string& text) {
    Put(uint64_t{text.size()});
    out_ += text;
  }
  std::string Finish() { return std::move(out_); }

 private:
  std::string out_;
};

uint64_t HashOf(std::string_view text) {
  return Hash64({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

uint64_t ReadCount(ByteReader* in, const char* what) {
  const size_t at = in->offset();
  const auto count = in->Read<uint64_t>(what);
  if (count > in->remaining()) in->Fail(at, "expected {}, got {}", what, count);
  return count;
}

PackedMatrix ReadMatrix(ByteReader* in) {
  PackedMatrix m;
  m.tensor = in->ReadString("a tensor's name");
  m.first_row = in->Read<uint64_t>("the first row");
  m.rows = in->Read<uint64_t>("rows");
  m.k = in->Read<uint64_t>("elements of a row");
  const size_t at = in->offset();
  const auto type = in->Read<uint32_t>("a type");
  const quant::TypeTraits* traits = quant::FindType(type);
  if (!traits) in->Fail(at, "expected a tensor type, got {}", type);
  m.type = traits->type;
  m.offset = in->Read<uint64_t>("an offset");
  m.bytes = in->Read<uint64_t>("a size");
  return m;
}

}  // namespace

std::string WritePackedHeader(const PackedHeader& header) {
  Writer body;
  body.PutString(header.layout);
  body.Put(header.layout_version);
  body.Put(header.source_hash);
  body.Put(header.file_bytes);
  body.Put(uint64_t{header.sources.size()});
  for (const PackedSource& source : header.sources) {
    body.PutString(source.path);
    body.Put(source.stamp.bytes);
    body.Put(source.stamp.modified_ns);
  }
  body.Put(uint64_t{header.matrices.size()});
  for (const PackedMatrix& m : header.matrices) {
    body.PutString(m.tensor);
    body.Put(m.first_row);
    body.Put(m.rows);
    body.Put(m.k);
    body.Put(static_cast<uint32_t>(m.type));
    body.Put(m.offset);
    body.Put(m.bytes);
  }
  const std::string text = body.Finish();
  Writer start;
  start.Put(uint64_t{text.size()});
  start.Put(HashOf(text));
  return std::string(kMagic) + start.Finish() + text;
}

PackedHeader ReadPackedHeader(const std::string& path, std::span<const uint8_t> bytes) {
  ByteReader fixed(path, bytes);
  const auto magic = fixed.Take(kMagic.size(), "a file of packed weights");
  if (!std::equal(magic.begin(), magic.end(), kMagic.begin()))
    fixed.Fail(0, "expected a file of packed weights");
  const auto body_bytes = fixed.Read<uint64_t>("the size of the header");
  const auto hash = fixed.Read<uint64_t>("the hash of the header");
  const std::span<const uint8_t> body = fixed.Take(body_bytes, "the header");
  if (Hash64(body) != hash) fixed.Fail(kFixedBytes, "the header is damaged");

  ByteReader in(path, body);
  PackedHeader header;
  header.layout = in.ReadString("a layout");
  header.layout_version = in.Read<uint32_t>("the version of the layout");
  header.source_hash = in.Read<uint64_t>("a hash");
  header.file_bytes = in.Read<uint64_t>("the size of the file");
  const uint64_t sources = ReadCount(&in, "a number of sources");
  if (sources == 0) in.Fail(in.offset(), "expected a source");
  for (uint64_t i = 0; i < sources; ++i) {
    PackedSource source;
    source.path = in.ReadString("a path");
    source.stamp.bytes = in.Read<uint64_t>("a size");
    source.stamp.modified_ns = in.Read<int64_t>("a time");
    header.sources.push_back(std::move(source));
  }
  const uint64_t matrices = ReadCount(&in, "a number of matrices");
  for (uint64_t i = 0; i < matrices; ++i) {
    const size_t at = in.offset();
    header.matrices.push_back(ReadMatrix(&in));
    const PackedMatrix& m = header.matrices.back();
    uint64_t end;
    if (m.offset < kFixedBytes + body.size() || !CheckedAdd(m.offset, m.bytes, &end) ||
        end > header.file_bytes)
      in.Fail(at, "expected {} bytes between the header and {}, got them at {}", m.bytes,
              header.file_bytes, m.offset);
  }
  if (in.remaining() != 0) in.Fail(in.offset(), "expected the end of the header");
  return header;
}

}  // namespace slm::format
