// A folder of a test's own, removed with all it holds.
#pragma once

#include <string>

namespace slm::testing {

class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// Makes the folders above it, too.
void WriteFile(const std::string& path, const std::string& content);

}  // namespace slm::testing
