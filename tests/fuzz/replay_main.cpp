// Feeds files, and all files of folders, to a fuzz target: the ordinary test run replays the corpus
// with it, on any compiler.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

std::vector<std::string> FilesOf(const std::string& path) {
  if (!std::filesystem::is_directory(path)) return {path};
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
    if (entry.is_regular_file()) files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

bool Replay(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    std::fprintf(stderr, "%s: cannot open\n", path.c_str());
    return false;
  }
  const std::string text(std::istreambuf_iterator<char>(in), {});
  // Memory of exactly this size, so that a sanitizer sees any step beyond it.
  const auto bytes = std::make_unique<uint8_t[]>(text.size());
  std::copy(text.begin(), text.end(), bytes.get());
  try {
    LLVMFuzzerTestOneInput(bytes.get(), text.size());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: uncaught: %s\n", path.c_str(), error.what());
    return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  int replayed = 0, failed = 0;
  for (int i = 1; i < argc; ++i) {
    for (const std::string& path : FilesOf(argv[i])) {
      ++replayed;
      if (!Replay(path)) ++failed;
    }
  }
  std::printf("%d files replayed, %d failed\n", replayed, failed);
  return replayed > 0 && failed == 0 ? 0 : 1;  // an empty corpus is a mistake
}
