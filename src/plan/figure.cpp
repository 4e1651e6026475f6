#include "plan/figure.h"

#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/printable.h"

namespace slm::plan {

using nlohmann::ordered_json;

namespace {

constexpr double kMost = 1e18;  // of bytes, operations, watts or USD
// Of bytes and operations: who writes 16 means GB.
constexpr double kLeastOfMany = 1e6;

}  // namespace

void CheckMembers(const ordered_json& record, const std::set<std::string>& known,
                  const std::string& where) {
  for (const auto& [name, value] : record.items())
    if (!known.contains(name))
      throw Error(Code::kBadInput, "{}: unknown member \"{}\"; known: {}", where, name,
                  fmt::join(known, ", "));
}

bool IsDate(std::string_view text) {
  constexpr std::string_view kForm = "0000-00-00";
  if (text.size() != 4 && text.size() != 7 && text.size() != 10) return false;
  for (size_t i = 0; i < text.size(); ++i)
    if (kForm[i] == '-' ? text[i] != '-' : text[i] < '0' || text[i] > '9') return false;
  const auto is_within = [&](size_t at, int most) {
    const int number = (text[at] - '0') * 10 + (text[at + 1] - '0');
    return number >= 1 && number <= most;
  };
  return (text.size() < 7 || is_within(5, 12)) && (text.size() < 10 || is_within(8, 31));
}

Figure ReadFigure(const ordered_json& record, const char* name, std::string_view unit,
                  const std::string& where) {
  const auto at = record.find(name);
  if (at == record.end()) return {};
  const auto fail = [&](const std::string& what) {
    throw Error(Code::kBadInput, "{}: {}: {}", where, name, what);
  };
  if (!at->is_object())
    fail(fmt::format(R"(expected {{"value": .., "unit": "{}", "source": .., "date": ..}})", unit));
  const auto text = [&](const char* member) {
    const auto found = at->find(member);
    return found != at->end() && found->is_string() ? Printable(found->get<std::string>())
                                                    : std::string();
  };
  if (text("unit") != unit)
    fail(fmt::format("expected \"unit\": \"{}\", got \"{}\"", unit, text("unit")));
  const auto value = at->find("value");
  if (value == at->end() || !value->is_number()) fail("expected a number as \"value\"");
  Figure figure = {*value, text("source"), text("date"), text("confidence")};
  if ((unit.starts_with("bytes") || unit.starts_with("operations")) && figure.value < kLeastOfMany)
    fail(fmt::format("{} {} are too few", value->dump(), unit));
  if (!(figure.value > 0 && figure.value <= kMost))
    fail(fmt::format("expected a value above 0 and up to {:g}, got {}", kMost, value->dump()));
  if (figure.source.empty()) fail("expected a \"source\"");
  if (!IsDate(figure.date)) fail(R"(expected a "date": "2026", "2026-11" or "2026-11-28")");
  return figure;
}

}  // namespace slm::plan
