#include "plan/figure.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace slm::plan {

using nlohmann::ordered_json;

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
    return found != at->end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  if (text("unit") != unit)
    fail(fmt::format("expected \"unit\": \"{}\", got \"{}\"", unit, text("unit")));
  const auto value = at->find("value");
  if (value == at->end() || !value->is_number()) fail("expected a number as \"value\"");
  Figure figure = {*value, text("source"), text("date"), text("confidence")};
  if (!std::isfinite(figure.value) || figure.value <= 0)
    fail(fmt::format("expected a positive value, got {}", value->dump()));
  if (figure.source.empty()) fail("expected a \"source\"");
  if (figure.date.empty()) fail("expected a \"date\"");
  return figure;
}

}  // namespace slm::plan
