#include "hub/url.h"

#include <curl/curl.h>

#include <algorithm>
#include <cctype>
#include <memory>

#include "base/error.h"

namespace slm::hub {
namespace {

constexpr size_t kMaxUrlBytes = 8192;
constexpr size_t kMaxShownBytes = 300;

struct UrlDeleter {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using UrlHandle = std::unique_ptr<CURLU, UrlDeleter>;

// Null when it is no absolute URL.
UrlHandle Parse(const std::string& url) {
  if (url.empty() || url.size() > kMaxUrlBytes) return nullptr;
  // Control characters and spaces would end up in the request line.
  if (!std::all_of(url.begin(), url.end(), [](char c) { return c > 0x20 && c != 0x7f; }))
    return nullptr;
  UrlHandle handle(curl_url());
  if (!handle || curl_url_set(handle.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK)
    return nullptr;
  return handle;
}

std::string Part(const UrlHandle& handle, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(handle.get(), part, &text, flags) != CURLUE_OK) return "";
  std::string result = text;
  curl_free(text);
  return result;
}

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

bool IsHttp(const UrlHandle& handle) {
  if (!handle) return false;
  const std::string scheme = Lower(Part(handle, CURLUPART_SCHEME));
  return (scheme == "http" || scheme == "https") && !Part(handle, CURLUPART_HOST).empty();
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

bool IsHttpUrl(const std::string& url) { return IsHttp(Parse(url)); }

UrlParts SplitUrl(const std::string& url) {
  const UrlHandle handle = Parse(url);
  if (!IsHttp(handle)) throw Error(Code::kUsage, "{}: not a http:// or https:// URL", Shown(url));
  UrlParts parts;
  parts.scheme = Lower(Part(handle, CURLUPART_SCHEME));
  parts.host = Lower(Part(handle, CURLUPART_HOST));
  parts.port = Part(handle, CURLUPART_PORT, CURLU_DEFAULT_PORT);
  parts.path = Part(handle, CURLUPART_PATH);
  parts.query = Part(handle, CURLUPART_QUERY);
  return parts;
}

std::string Origin(const std::string& url) {
  const UrlParts parts = SplitUrl(url);
  return parts.scheme + "://" + parts.host + ":" + parts.port;
}

std::string ResolveUrl(const std::string& base, const std::string& location) {
  UrlHandle handle = Parse(base);
  const bool is_clean = !location.empty() && location.size() <= kMaxUrlBytes &&
                        std::none_of(location.begin(), location.end(),
                                     [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  if (!handle || !is_clean ||
      curl_url_set(handle.get(), CURLUPART_URL, location.c_str(), CURLU_URLENCODE) != CURLUE_OK ||
      !IsHttp(handle))
    throw Error(Code::kFailed, "{}: redirects to {}, which is not a http(s) URL", ShownUrl(base),
                Shown(location));
  return Part(handle, CURLUPART_URL);
}

std::string ShownUrl(const std::string& url) {
  UrlHandle handle = Parse(url);
  if (!handle) return Shown(url);
  for (const CURLUPart part :
       {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_QUERY, CURLUPART_FRAGMENT})
    curl_url_set(handle.get(), part, nullptr, 0);
  return Shown(Part(handle, CURLUPART_URL));
}

std::string EscapeUrl(std::string_view text, bool keep_slash) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x80 && std::isalnum(byte)) || c == '-' || c == '.' || c == '_' || c == '~' ||
        (keep_slash && c == '/')) {
      result += c;
    } else {
      result += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return result;
}

std::string UnescapeUrl(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' && i + 2 < text.size() ? HexDigit(text[i + 1]) : -1;
    const int low = high >= 0 ? HexDigit(text[i + 2]) : -1;
    if (low >= 0) {
      result += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      result += text[i];
    }
  }
  return result;
}

std::string Shown(std::string_view text) {
  std::string result(text.substr(0, kMaxShownBytes));
  for (char& c : result) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  if (text.size() > kMaxShownBytes) result += "...";
  return result;
}

}  // namespace slm::hub
