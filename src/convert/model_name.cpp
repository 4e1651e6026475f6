#include "convert/model_name.h"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <regex>
#include <vector>

namespace slm::convert {
namespace {

enum Kind : unsigned { kBase = 1, kSize = 2, kFinetune = 4, kVersion = 8, kType = 16 };

struct Part {
  std::string text;
  unsigned kinds = 0;
};

bool IsAlpha(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Longer ones are no names; the library's matcher recurses for each character.
constexpr size_t kMaxNameBytes = 256;
constexpr size_t kMaxPartBytes = 64;

bool Matches(const std::string& text, const std::regex& pattern) {
  return text.size() <= kMaxPartBytes && std::regex_match(text, pattern);
}

std::vector<std::string> Split(std::string_view text, std::string_view separators) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const size_t end = std::min(text.find_first_of(separators), text.size());
    if (end > 0) parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

// "7b1" -> "7.1B", "0_5b" -> "0.5B".
std::string NormalizedSize(std::string label) {
  std::replace(label.begin(), label.end(), '_', '.');
  const size_t n = label.size();
  if (n >= 2 && IsDigit(label[n - 1]))
    label = label.substr(0, n - 2) + "." + label[n - 1] + label[n - 2];
  if (label.size() > 1 && IsDigit(label[label.size() - 2]))
    label.back() = static_cast<char>(std::toupper(static_cast<unsigned char>(label.back())));
  return label;
}

// Of "1.5B"; 0 for words like "mini".
double SizeOf(const std::string& label) {
  const size_t unit = std::string_view(" KMBT").find(label.back());
  char* end = nullptr;
  const double number = std::strtod(label.c_str(), &end);
  if (end == label.c_str() || end != &label.back() || unit == std::string_view::npos) return 0;
  return number * std::pow(1000.0, static_cast<double>(unit));
}

void ClassifySize(Part* part, int64_t parameters) {
  part->text = NormalizedSize(part->text);
  const double size = SizeOf(part->text), real = static_cast<double>(parameters);
  // Far from the model's own size it is something else, a context length mostly.
  if (size > 0 && parameters > 0 && std::fabs(size - real) > 7 * real / 8) {
    part->kinds = kFinetune;
    part->text.back() =
        static_cast<char>(std::tolower(static_cast<unsigned char>(part->text.back())));
  } else {
    part->kinds = kSize;
  }
}

void Classify(std::vector<Part>* parts, int64_t parameters) {
  static const std::regex kVersions(R"((v|iter)?\d+([.]\d+)*)", std::regex::icase);
  static const std::regex kTypes(R"(i?q\d(_\w)*|b?fp?(16|32))", std::regex::icase);
  static const std::regex kSizes(
      R"((([A]|\d+[x])?\d+([._]\d+)?[KMBT]\d?|small|mini|medium|large|x?xl))", std::regex::icase);
  static const std::regex kFinetunes("chat|instruct|vision|lora", std::regex::icase);
  for (size_t i = 0; i < parts->size(); ++i) {
    Part& part = (*parts)[i];
    if (Matches(part.text, kVersions)) {
      part.kinds = kVersion;
    } else if (Matches(part.text, kTypes)) {
      part.kinds = kType;
    } else if (i > 0 && Matches(part.text, kSizes)) {
      ClassifySize(&part, parameters);
    } else if (i > 0 && Matches(part.text, kFinetunes)) {
      part.kinds = kFinetune;
    }
  }
  const auto is_number = [](const Part& part) {
    return (part.kinds & kSize) && std::any_of(part.text.begin(), part.text.end(), IsDigit);
  };
  if (std::any_of(parts->begin(), parts->end(), is_number)) {
    for (Part& part : *parts)
      if ((part.kinds & kSize) && std::all_of(part.text.begin(), part.text.end(), IsAlpha))
        part.kinds &= ~unsigned{kSize};
  }
  // The base name is what comes first; a version at its end is not part of it.
  bool at_start = true;
  for (Part& part : *parts) {
    if (at_start && ((part.kinds == 0 && IsAlpha(part.text[0])) || (part.kinds & kVersion))) {
      part.kinds |= kBase;
    } else {
      at_start = false;
      if (part.kinds == 0) part.kinds = kFinetune;
    }
  }
  for (auto part = parts->rbegin(); part != parts->rend(); ++part) {
    if (!(part->kinds & kBase) || part->kinds == kBase) break;
    part->kinds &= ~unsigned{kBase};
  }
}

std::string Join(const std::vector<Part>& parts, unsigned kind, unsigned without = 0) {
  std::string text, last;
  for (const Part& part : parts) {
    if (!(part.kinds & kind) || (part.kinds & without)) continue;
    if (kind == kSize && part.text == last) continue;
    text += (text.empty() ? "" : "-") + part.text;
    last = part.text;
  }
  return text;
}

}  // namespace

ModelName ParseModelName(const std::string& id, int64_t parameters) {
  ModelName name;
  if (id.size() > kMaxNameBytes) return name;
  if (id.empty() || id.find(' ') != std::string::npos) {  // a sentence
    name.full = id;
    return name;
  }
  const size_t slash = id.find('/');
  name.full = slash == std::string::npos ? id : id.substr(slash + 1);
  if (slash != std::string::npos && id[0] != '.') name.organization = id.substr(0, slash);
  std::vector<Part> parts;
  for (std::string& text : Split(name.full, "-")) parts.push_back({std::move(text), 0});
  Classify(&parts, parameters);
  name.basename = Join(parts, kBase);
  name.finetune = Join(parts, kFinetune);
  name.version = Join(parts, kVersion, kBase);
  name.size_label = Join(parts, kSize);
  // A name without any such part is too ambiguous.
  if (name.size_label.empty() && name.finetune.empty() && name.version.empty()) name.basename = "";
  return name;
}

std::string TitleOf(std::string_view name) {
  static const std::regex kAsIs(R"((v\d+(?:\.\d+)*|\d.*))", std::regex::icase);
  std::string title;
  for (std::string word : Split(name, "- ")) {
    const bool is_lower =
        std::none_of(word.begin(), word.end(),
                     [](char c) { return std::isupper(static_cast<unsigned char>(c)); }) &&
        std::any_of(word.begin(), word.end(), IsAlpha);
    // Every run of letters begins with a capital, but for sizes and versions.
    if (is_lower && !Matches(word, kAsIs)) {
      bool in_letters = false;
      for (char& c : word) {
        if (!in_letters) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
        in_letters = IsAlpha(c);
      }
    }
    title += (title.empty() ? "" : " ") + word;
  }
  return title;
}

std::string SizeLabel(int64_t parameters) {
  constexpr std::pair<double, char> kUnits[] = {{1e12, 'T'}, {1e9, 'B'}, {1e6, 'M'}, {1e3, 'K'}};
  const auto count = static_cast<double>(parameters);
  for (const auto& [unit, letter] : kUnits) {
    if (count <= unit && letter != 'K') continue;
    const double scaled = count / unit;
    const size_t digits = scaled < 0.5 ? 0 : fmt::format("{:.0f}", scaled).size();
    return fmt::format("{:.{}f}{}", scaled, digits < 2 ? 2 - digits : 0, letter);
  }
  return "";
}

}  // namespace slm::convert
