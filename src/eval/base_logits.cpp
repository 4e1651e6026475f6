#include "eval/base_logits.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/checked.h"
#include "base/error.h"
#include "format/byte_reader.h"

namespace slm::eval {
namespace {

constexpr char kMagic[] = {'_', 'l', 'o', 'g', 'i', 't', 's', '_'};
constexpr size_t kRowHead = 2 * sizeof(float);
constexpr float kRange = 16;  // ln p is stored down to this below the greatest
constexpr float kMaxCode = 65535;

// Of a row, in bytes.
size_t RowBytes(int64_t vocab) {
  return kRowHead + sizeof(uint16_t) * static_cast<size_t>((vocab + 1) / 2 * 2);
}

int64_t ScoredOf(int64_t chunk_size) { return chunk_size - 1 - chunk_size / 2; }

}  // namespace

BaseLogits BaseLogits::Open(const std::string& path) {
  BaseLogits base;
  base.path_ = path;
  base.map_ = std::make_unique<MappedFile>(path);
  base.ReadHead(base.map_->bytes());
  return base;
}

BaseLogits BaseLogits::Parse(std::span<const uint8_t> bytes) {
  BaseLogits base;
  base.path_ = "base logits";
  base.ReadHead(bytes);
  return base;
}

void BaseLogits::ReadHead(std::span<const uint8_t> bytes) {
  format::ByteReader reader(path_, bytes);
  reader.set_subject("head");
  const auto magic = reader.Take(sizeof kMagic, "\"_logits_\"");
  if (!std::equal(magic.begin(), magic.end(), kMagic))
    reader.Fail(0, "expected \"_logits_\", as llama.cpp's base-logit files begin, got {}",
                format::Quoted({reinterpret_cast<const char*>(magic.data()), magic.size()}));
  const auto read_count = [&](const char* what, int32_t least) {
    const size_t at = reader.offset();
    const auto count = reader.Read<int32_t>(what);
    if (count < least) reader.Fail(at, "expected {} of at least {}, got {}", what, least, count);
    return static_cast<uint64_t>(count);
  };
  const uint64_t size = read_count("the size of a chunk", 4);
  const uint64_t vocab = read_count("a vocabulary", 1);
  const uint64_t chunks = read_count("a number of chunks", 1);
  chunk_size_ = static_cast<int64_t>(size);
  vocab_ = static_cast<int64_t>(vocab);
  uint64_t id_bytes = 0, row_bytes = 0;
  // Both counts are below 2^31, and so is a row's size times two.
  const uint64_t rows = chunks * static_cast<uint64_t>(ScoredOf(chunk_size_));
  if (!CheckedMul(size * chunks, sizeof(int32_t), &id_bytes) ||
      !CheckedMul(rows, RowBytes(vocab_), &row_bytes) || id_bytes > reader.remaining() ||
      row_bytes != reader.remaining() - id_bytes)
    reader.Fail(
        reader.offset(),
        "expected ids and rows of {} chunks of {} with a vocabulary of {} and nothing after "
        "them, got {} bytes; the run that wrote the file may not have ended",
        chunks, size, vocab, reader.remaining());
  ids_.resize(static_cast<size_t>(size * chunks));
  const size_t at = reader.offset();
  std::memcpy(ids_.data(), reader.Take(id_bytes, "ids").data(), static_cast<size_t>(id_bytes));
  for (size_t i = 0; i < ids_.size(); ++i)
    if (ids_[i] < 0 || ids_[i] >= vocab_)
      reader.Fail(at + i * sizeof(int32_t), "expected a token id below {}, got {}", vocab, ids_[i]);
  rows_ = reader.Take(row_bytes, "rows");
}

void BaseLogits::ReadRow(int64_t chunk, int64_t row, std::span<float> log_probs) const {
  SLM_CHECK(static_cast<int64_t>(log_probs.size()) == vocab_);
  SLM_CHECK(chunk >= 0 && chunk < chunks() && row >= 0 && row < ScoredOf(chunk_size_));
  const uint8_t* at =
      rows_.data() + static_cast<size_t>(chunk * ScoredOf(chunk_size_) + row) * RowBytes(vocab_);
  float scale, least;
  std::memcpy(&scale, at, sizeof scale);
  std::memcpy(&least, at + sizeof scale, sizeof least);
  // The greatest may lie a rounding above ln 1.
  const float greatest = scale * kMaxCode + least;
  if (!(scale >= 0 && std::isfinite(least) && greatest < 1e-2f))
    throw Error(
        Code::kBadInput,
        "{}: chunk {}, row {}: expected a scale and a least value of ln p <= 0, got {} and {}",
        path_, chunk, row, scale, least);
  at += kRowHead;
  for (size_t i = 0; i < log_probs.size(); ++i) {
    uint16_t code;
    std::memcpy(&code, at + i * sizeof code, sizeof code);
    log_probs[i] = scale * static_cast<float>(code) + least;
  }
}

std::vector<uint16_t> EncodeRow(std::span<const float> logits) {
  const auto vocab = static_cast<int64_t>(logits.size());
  std::vector<uint16_t> row(RowBytes(vocab) / sizeof(uint16_t));
  const auto [min, max] = std::minmax_element(logits.begin(), logits.end());
  const float greatest = *max, least = std::max(*min, greatest - kRange);
  double sum = 0;
  for (const float logit : logits)
    sum += std::exp(static_cast<double>(logit) - static_cast<double>(greatest));
  const float scale = (greatest - least) / kMaxCode;
  const float least_log_prob = least - greatest - static_cast<float>(std::log(sum));
  std::memcpy(row.data(), &scale, sizeof scale);
  std::memcpy(row.data() + 2, &least_log_prob, sizeof least_log_prob);
  if (!(scale > 0)) return row;
  const float inverse = 1 / scale;
  for (size_t i = 0; i < logits.size(); ++i)
    if (logits[i] > least)
      row[4 + i] =
          static_cast<uint16_t>(std::min(std::nearbyint(inverse * (logits[i] - least)), kMaxCode));
  return row;
}

BaseLogitsWriter::BaseLogitsWriter(const std::string& path, const text::TextChunks& chunks,
                                   int64_t vocab)
    : file_(path), rows_left_(chunks.count() * chunks.scored()) {
  file_.Write(kMagic, sizeof kMagic);
  for (const int64_t number : {chunks.size(), vocab, chunks.count()}) {
    const auto narrow = static_cast<int32_t>(number);
    file_.Write(&narrow, sizeof narrow);
  }
  file_.Write(chunks.ids().data(), chunks.ids().size() * sizeof(int32_t));
}

void BaseLogitsWriter::Append(std::span<const uint16_t> row) {
  SLM_CHECK(rows_left_-- > 0);
  file_.Write(row.data(), row.size_bytes());
}

void BaseLogitsWriter::Finish() {
  SLM_CHECK(rows_left_ == 0);
  file_.Finish();
}

}  // namespace slm::eval
