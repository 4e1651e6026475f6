#include "text/json.h"

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace slm::text {
namespace {

constexpr int kMaxDepth = 200;

// The library's text without its own name in front and without the bytes it stopped at, which may
// be many and need not be UTF-8.
std::string Reason(std::string what) {
  if (what.starts_with("[json.exception")) what.erase(0, what.find("] ") + 2);
  return what.substr(0, what.find("; last read"));
}

template <class Json>
Json Parse(std::string_view text, const std::string& where) {
  // To the parser a zero is the end of the text, whatever follows.
  if (text.find('\0') != std::string_view::npos)
    throw Error(Code::kBadInput, "{}: not JSON: a zero byte", where);
  using Event = typename Json::parse_event_t;
  try {
    return Json::parse(text, [&](int depth, Event event, Json&) {
      const bool is_start = event == Event::array_start || event == Event::object_start;
      if (is_start && depth >= kMaxDepth)
        throw Error(Code::kBadInput, "{}: nested deeper than {}", where, kMaxDepth);
      return true;
    });
  } catch (const typename Json::exception& problem) {
    throw Error(Code::kBadInput, "{}: not JSON: {}", where, Reason(problem.what()));
  }
}

}  // namespace

nlohmann::ordered_json ParseJson(std::string_view text, const std::string& where) {
  return Parse<nlohmann::ordered_json>(text, where);
}

nlohmann::json ParseSortedJson(std::string_view text, const std::string& where) {
  return Parse<nlohmann::json>(text, where);
}

}  // namespace slm::text
