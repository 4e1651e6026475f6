#include "format/json_lines.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.h"
#include "base/mapped_file.h"
#include "text/json.h"

namespace slm::format {

using nlohmann::ordered_json;

namespace {

// On which the elements of a list begin. `text` is JSON.
std::vector<size_t> LinesOfElements(std::string_view text) {
  std::vector<size_t> lines;
  size_t line = 1;
  int depth = 0;
  bool is_in_string = false, is_between = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (is_in_string) {
      if (c == '\\') ++i;
      if (c == '"') is_in_string = false;
      continue;
    }
    line += c == '\n';
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n') continue;
    if (is_between && c != ']') lines.push_back(line);
    is_in_string = c == '"';
    depth += (c == '[' || c == '{') - (c == ']' || c == '}');
    is_between = depth == 1 && (c == '[' || c == ',');
  }
  return lines;
}

}  // namespace

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
    const std::vector<size_t> lines = LinesOfElements(text);
    for (size_t i = 0; i < list.size(); ++i) check(list[i], lines[i]);
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
