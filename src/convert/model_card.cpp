#include "convert/model_card.h"

#include <algorithm>

namespace slm::convert {
namespace {

constexpr size_t kMaxItems = 1000;  // of a list

std::string_view Trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") + 1 - begin);
}

std::string Unquote(std::string_view text) {
  text = Trim(text);
  if (text.size() >= 2 && (text[0] == '"' || text[0] == '\'') && text.back() == text[0])
    return std::string(text.substr(1, text.size() - 2));
  return std::string(Trim(text.substr(0, text.find(" #"))));
}

std::vector<std::string> Values(std::string_view text) {
  text = Trim(text);
  if (text.empty() || text[0] == '#') return {};
  if (text[0] == '{' || text[0] == '|' || text[0] == '>') return {};  // maps and blocks of text
  if (text[0] != '[') return {Unquote(text)};
  std::vector<std::string> values;
  text.remove_prefix(1);
  text = text.substr(0, text.find(']'));
  while (!text.empty() && values.size() < kMaxItems) {
    const size_t comma = std::min(text.find(','), text.size());
    if (std::string value = Unquote(text.substr(0, comma)); !value.empty())
      values.push_back(std::move(value));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return values;
}

}  // namespace

ModelCard ParseModelCard(std::string_view readme) {
  ModelCard card;
  std::vector<std::string>* list = nullptr;  // of the key whose items may follow
  bool is_first = true;
  while (!readme.empty()) {
    const size_t end = std::min(readme.find('\n'), readme.size());
    std::string_view line = readme.substr(0, end);
    readme.remove_prefix(std::min(end + 1, readme.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (is_first && line != "---") return {};
    if (!is_first && line == "---") return card;
    is_first = false;
    const std::string_view text = Trim(line);
    if (text.starts_with("- ")) {
      const std::string_view item = text.substr(2);
      const bool is_text = item.find(": ") == std::string_view::npos;
      if (list && is_text && list->size() < kMaxItems) list->push_back(Unquote(item));
      continue;
    }
    const size_t colon = line.find(':');
    if (line.empty() || line[0] == ' ' || line[0] == '\t' || line[0] == '#' ||
        colon == std::string_view::npos) {
      continue;
    }
    list = &card[std::string(Trim(line.substr(0, colon)))];
    *list = Values(line.substr(colon + 1));
  }
  return {};  // no end: no front matter
}

}  // namespace slm::convert
