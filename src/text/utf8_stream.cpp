#include "text/utf8_stream.h"

#include "text/unicode.h"

namespace slm::text {
namespace {
constexpr std::string_view kReplacement = "\xef\xbf\xbd";
}

std::string Utf8Stream::Feed(std::string_view bytes) {
  pending_.append(bytes);
  std::string out;
  out.reserve(pending_.size());
  const char* p = pending_.data();
  const char* const end = p + pending_.size();
  while (p < end) {
    const Utf8Char c = DecodeUtf8(p, end);
    if (c.status == Utf8Char::kCut) break;
    if (c.status == Utf8Char::kValid) {
      out.append(p, c.size);
    } else {
      out.append(kReplacement);
    }
    p += c.size;
  }
  pending_.erase(0, static_cast<size_t>(p - pending_.data()));
  return out;
}

std::string Utf8Stream::Flush() {
  const bool cut = !pending_.empty();
  pending_.clear();
  return std::string(cut ? kReplacement : std::string_view());
}

}  // namespace slm::text
