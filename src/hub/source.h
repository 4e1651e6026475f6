// Where a model comes from, as the user writes it.
#pragma once

#include <string>

namespace slm::hub {

enum class SourceKind { kHub, kUrl, kFile };

struct Source {
  SourceKind kind = SourceKind::kFile;
  std::string repo;      // kHub: user/name
  std::string revision;  // kHub: from a pasted URL, else empty
  std::string file;      // kHub: a path inside the repository, or empty
  std::string quant;     // kHub: as the user wrote it, or empty
  std::string url;       // kUrl
  std::string path;      // kFile
};

// hf:user/repo, hf:user/repo:quant, hf:user/repo/path/file, http(s)://..., file://..., or a path.
// The URL of a file page or download at `endpoint` counts as hf:. Whether a file exists is not
// looked at. Throws Error kUsage when the form is wrong.
Source ParseSource(const std::string& text, const std::string& endpoint);

}  // namespace slm::hub
