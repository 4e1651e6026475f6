#include "eval/answer_check.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "text/json.h"

namespace slm::eval {
namespace {

class ExactCheck : public AnswerCheck {
 public:
  bool IsRight(const std::string& answer, const std::string& expected) override {
    return Trim(answer) == Trim(expected);
  }
};

class JsonCheck : public AnswerCheck {
 public:
  bool IsRight(const std::string& answer, const std::string& expected) override {
    const nlohmann::json wanted = text::ParseSortedJson(WithoutFence(expected), "expected answer");
    try {
      return text::ParseSortedJson(WithoutFence(answer), "answer") == wanted;
    } catch (const Error&) {
      return false;  // not JSON
    }
  }
};

}  // namespace

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

std::string_view WithoutFence(std::string_view text) {
  text = Trim(text);
  if (!text.starts_with("```")) return text;
  const size_t line = text.find('\n'), end = text.rfind("```");
  if (line == std::string_view::npos || end <= line) return text;
  return Trim(text.substr(line, end - line));
}

std::unique_ptr<AnswerCheck> MakeExactCheck() { return std::make_unique<ExactCheck>(); }

std::unique_ptr<AnswerCheck> MakeJsonCheck() { return std::make_unique<JsonCheck>(); }

}  // namespace slm::eval
