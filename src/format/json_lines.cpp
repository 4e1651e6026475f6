#include "format/json_lines.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/mapped_file.h"
#include "text/json.h"

namespace slm::format {

using nlohmann::ordered_json;

void ForJsonObjects(const std::string& path, const OnJsonObject& f) {
  const MappedFile file(path);
  ForJsonObjects(path, {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()},
                 f);
}

void ForJsonObjects(const std::string& path, std::string_view text, const OnJsonObject& f) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  const auto check = [&](const ordered_json& object, size_t line) {
    if (!object.is_object())
      throw Error(Code::kBadInput, "{}:{}: expected an object, got {}", path, line,
                  object.type_name());
    f(object, line);
  };
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos)
    throw Error(Code::kBadInput, "{}: no examples: the file is empty", path);
  if (text[begin] == '[') {
    const ordered_json list = text::ParseJson(text, path);
    if (list.empty()) throw Error(Code::kBadInput, "{}: no examples: the list is empty", path);
    for (size_t i = 0; i < list.size(); ++i) check(list[i], i + 1);
    return;
  }
  for (size_t line = 1; !text.empty(); ++line) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view of_line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (of_line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    check(text::ParseJson(of_line, path + ":" + std::to_string(line)), line);
  }
}

}  // namespace slm::format
