#include "text/text_chunks.h"

#include <algorithm>

#include "base/error.h"

namespace slm::text {
namespace {

constexpr int64_t kMinSize = 4;

}  // namespace

void CheckChunkOptions(const ChunkOptions& options) {
  if (options.size < kMinSize)
    throw Error(Code::kUsage, "chunks need at least {} tokens, got {}", kMinSize, options.size);
  if (options.first < 0)
    throw Error(Code::kUsage, "expected at least 0 chunks to pass over, got {}", options.first);
  if (options.count != -1 && options.count < 1)
    throw Error(Code::kUsage, "expected -1 (all) or at least 1 chunk, got {}", options.count);
}

TextChunks::TextChunks(const text::Tokenizer& tokenizer, std::string_view text,
                       const ChunkOptions& options)
    : size_(options.size), bos_(tokenizer.adds_bos() ? tokenizer.bos() : -1) {
  CheckChunkOptions(options);
  ids_ = tokenizer.Encode(text, {.add_special = true, .parse_special = false});
  const auto tokens = static_cast<int64_t>(ids_.size());
  if (tokens < 2 * size_)
    throw Error(Code::kBadInput,
                "the text has {} tokens; chunks of {} need at least {}, two of them", tokens, size_,
                2 * size_);
  const int64_t available = tokens / size_ - options.first;
  if (available < std::max<int64_t>(1, options.count))
    throw Error(Code::kBadInput,
                "the text has {} chunks of {} tokens, {} from chunk {} were asked for",
                tokens / size_, size_, std::max<int64_t>(1, options.count), options.first);
  const int64_t count = options.count == -1 ? available : options.count;
  ids_.erase(ids_.begin(), ids_.begin() + options.first * size_);
  ids_.resize(static_cast<size_t>(count * size_));
}

TextChunks::TextChunks(const text::Tokenizer& tokenizer, std::vector<int32_t> ids, int64_t size)
    : size_(size), bos_(tokenizer.adds_bos() ? tokenizer.bos() : -1), ids_(std::move(ids)) {
  CheckChunkOptions({.size = size});
  SLM_CHECK(!ids_.empty() && static_cast<int64_t>(ids_.size()) % size == 0);
}

std::span<const int32_t> TextChunks::Ids(int64_t chunk) const {
  return std::span(ids_).subspan(static_cast<size_t>(chunk * size_), static_cast<size_t>(size_));
}

std::vector<int32_t> TextChunks::Input(int64_t chunk) const {
  const std::span<const int32_t> ids = Ids(chunk);
  std::vector<int32_t> input(ids.begin(), ids.end());
  if (bos_ != -1) input[0] = bos_;
  return input;
}

}  // namespace slm::text
