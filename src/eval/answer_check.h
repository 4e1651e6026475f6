// Whether an answer is right.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace slm::eval {

class AnswerCheck {
 public:
  virtual ~AnswerCheck() = default;
  virtual bool IsRight(const std::string& answer, const std::string& expected) = 0;
};

// The same text, but for white space around it.
std::unique_ptr<AnswerCheck> MakeExactCheck();

// The same JSON value, whatever the order of members; a fence ("```json") around it is taken off.
// Throws kBadInput when what is expected is not JSON.
std::unique_ptr<AnswerCheck> MakeJsonCheck();

// Queries that give the same rows from an SQLite file, which is only read: in the same order where
// the expected one orders them, else in any. An answer that fails, or takes longer than two
// seconds, is wrong. Throws kFailed when the file cannot be opened, kBadInput when an expected
// query fails.
std::unique_ptr<AnswerCheck> MakeSqlCheck(const std::string& database);

std::string_view Trim(std::string_view text);
// Without the fence that models like to put around code.
std::string_view WithoutFence(std::string_view text);

}  // namespace slm::eval
