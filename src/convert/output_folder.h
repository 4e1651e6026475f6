// The folder that a conversion writes. Files have temporary names until all is there, and
// config.json, without which nothing loads the folder, gets its name last.
#pragma once

#include <deque>
#include <string>

#include "base/result_file.h"

namespace slm::convert {

class OutputFolder {
 public:
  // `path` may be missing, an empty folder, or one that this program made: one with a config.json
  // that says so, and without other files. Throws kUsage for anything else, kFailed when the folder
  // cannot be made.
  explicit OutputFolder(std::string path);
  ~OutputFolder();  // removes a folder that stayed empty
  OutputFolder(const OutputFolder&) = delete;
  OutputFolder& operator=(const OutputFolder&) = delete;

  const std::string& path() const { return path_; }

  // `name` may have a folder in front. Throws kFailed, for a full disk too.
  void WriteFile(const std::string& name, const std::string& content);

  // The files of the conversion before, config.json first. When all of the new ones are complete,
  // and before any has its name. Throws kFailed.
  void RemoveOld() const;

  // Gives the files their names. Throws kFailed.
  void Finish();

 private:
  std::string path_;
  bool is_new_ = false;
  std::deque<ResultFile> files_;  // complete, not yet named
};

// The member of config.json, and its value, that say that a folder is ours.
inline constexpr const char* kMakerKey = "converted_by";
inline constexpr const char* kMaker = "slm";

}  // namespace slm::convert
