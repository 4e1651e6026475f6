// A figure of the catalog or of a user's file: {"value": .., "unit": "..", "source": "..", "date":
// ".."}.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <string_view>

namespace slm::plan {

struct Figure {
  double value = 0;  // 0: not known
  std::string source, date, confidence;

  explicit operator bool() const { return value > 0; }
};

// Throws kBadInput that begins with `where` and names what is known for any other member.
void CheckMembers(const nlohmann::ordered_json& record, const std::set<std::string>& known,
                  const std::string& where);

bool IsDate(std::string_view text);  // "2026", "2026-11" or "2026-11-28"

// Member `name` of a record; one without a value where there is none. Throws kBadInput that begins
// with `where` for another unit than `unit`, a value that is not positive or absurd, and no source
// or date.
Figure ReadFigure(const nlohmann::ordered_json& record, const char* name, std::string_view unit,
                  const std::string& where);

}  // namespace slm::plan
