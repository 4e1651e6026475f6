#include "support/data.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/error.h"

namespace slm::testing {

std::optional<std::string> DataPath(const std::string& name) {
  const char* root = std::getenv("SLM_DATA");
  std::string path = std::string(root ? root : "../shared/data") + "/" + name;
  if (!std::filesystem::exists(path)) return std::nullopt;
  return path;
}

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Error(Code::kFailed, "{}: cannot open", path);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace slm::testing
