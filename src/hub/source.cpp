#include "hub/source.h"

#include <algorithm>

#include "base/error.h"
#include "base/nearest_names.h"
#include "hub/names.h"
#include "hub/url.h"

namespace slm::hub {
namespace {

Source ParseHub(const std::string& text) {
  Source source;
  source.kind = SourceKind::kHub;
  std::string rest = text.substr(3);
  const size_t slash = rest.find('/');
  const size_t second = slash == std::string::npos ? slash : rest.find('/', slash + 1);
  if (second != std::string::npos) {
    source.file = rest.substr(second + 1);
    rest.resize(second);
    if (!IsSafePath(source.file))
      throw Error(Code::kUsage, "{}: {} is not a path inside a repository", Shown(text),
                  Shown(source.file));
  } else if (const size_t colon = rest.find(':'); colon != std::string::npos) {
    source.quant = rest.substr(colon + 1);
    rest.resize(colon);
    if (!IsSafePath(source.quant) || source.quant.find('/') != std::string::npos)
      throw Error(Code::kUsage, "{}: expected a quant such as Q4_K_M after the colon", Shown(text));
  }
  source.repo = rest;
  if (!IsRepoId(source.repo))
    throw Error(Code::kUsage, "{}: expected hf:user/repo, hf:user/repo:quant or hf:user/repo/file",
                Shown(text));
  return source;
}

// ENDPOINT/user/repo/(resolve|blob)/revision/path, which is what a browser shows.
bool ParseHubUrl(const std::string& url, const std::string& endpoint, Source* source) {
  if (!url.starts_with(endpoint + "/")) return false;
  std::string path = url.substr(endpoint.size() + 1);
  path.resize(std::min(path.find_first_of("?#"), path.size()));
  for (const std::string word : {"/resolve/", "/blob/"}) {
    const size_t at = path.find(word);
    if (at == std::string::npos) continue;
    const size_t revision = at + word.size();
    const size_t slash = path.find('/', revision);
    if (slash == std::string::npos) continue;
    source->repo = path.substr(0, at);
    source->revision = UnescapeUrl(path.substr(revision, slash - revision));
    source->file = UnescapeUrl(path.substr(slash + 1));
    if (IsRepoId(source->repo) && IsSafePath(source->revision) && IsSafePath(source->file)) {
      source->kind = SourceKind::kHub;
      return true;
    }
  }
  return false;
}

}  // namespace

Source ParseSource(const std::string& text, const std::string& endpoint) {
  if (text.empty()) throw Error(Code::kUsage, "no model given");
  if (text.find('\0') != std::string::npos)
    throw Error(Code::kUsage, "{}: a zero byte in a name", Shown(text));
  if (text.starts_with("hf:")) return ParseHub(text);
  Source source;
  if (const std::string head = UpperCase(text.substr(0, 8));
      head.starts_with("HTTP://") || head.starts_with("HTTPS://")) {
    if (ParseHubUrl(text, endpoint, &source)) return source;
    SplitUrl(text);  // throws when it is no URL
    source = Source();
    source.kind = SourceKind::kUrl;
    source.url = text.substr(0, text.find('#'));
    return source;
  }
  if (text.starts_with("file://")) {
    // file:///path or file://localhost/path
    const size_t slash = text.find('/', 7);
    const std::string host = text.substr(7, slash == std::string::npos ? slash : slash - 7);
    if (slash == std::string::npos || (!host.empty() && host != "localhost"))
      throw Error(Code::kUsage, "{}: expected file:///path", Shown(text));
    source.path = UnescapeUrl(text.substr(slash));
    if (source.path.find('\0') != std::string::npos)
      throw Error(Code::kUsage, "{}: a zero byte in a name", Shown(text));
    return source;
  }
  if (text.find("://") != std::string::npos)
    throw Error(Code::kUsage, "{}: only hf:, http://, https:// and file:// are known", Shown(text));
  source.path = text;
  return source;
}

}  // namespace slm::hub
