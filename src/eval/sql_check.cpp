// The only file that sees SQLite.
#include <sqlite3.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <map>
#include <optional>
#include <vector>

#include "base/error.h"
#include "eval/answer_check.h"

namespace slm::eval {
namespace {

using std::chrono::steady_clock;
using Row = std::vector<std::string>;

constexpr auto kLimit = std::chrono::seconds(2);
constexpr size_t kMaxRows = 100'000;
constexpr int kMaxBytes = 10'000'000;  // of a value: an answer may ask for any
constexpr int kInstructions = 10'000;  // between looks at the clock

struct Close {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// Of the column's type and value: whole numbers are those numbers whichever way they are stored.
std::string ValueOf(sqlite3_stmt* statement, int column) {
  const int type = sqlite3_column_type(statement, column);
  if (type == SQLITE_NULL) return "null";
  if (type == SQLITE_FLOAT || type == SQLITE_INTEGER)
    return fmt::format("n{:.10g}", sqlite3_column_double(statement, column));
  const auto* text = static_cast<const char*>(sqlite3_column_blob(statement, column));
  const auto size = static_cast<size_t>(sqlite3_column_bytes(statement, column));
  return "t" + std::string(text ? text : "", size);
}

class SqlCheck : public AnswerCheck {
 public:
  explicit SqlCheck(const std::string& path) {
    sqlite3* database = nullptr;
    const int code = sqlite3_open_v2(path.c_str(), &database, SQLITE_OPEN_READONLY, nullptr);
    database_.reset(database);
    if (code != SQLITE_OK) throw Error(Code::kFailed, "{}: {}", path, sqlite3_errmsg(database));
    sqlite3_progress_handler(
        database, kInstructions,
        [](void* self) -> int { return steady_clock::now() > static_cast<SqlCheck*>(self)->end_; },
        this);
    sqlite3_limit(database, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_limit(database, SQLITE_LIMIT_LENGTH, kMaxBytes);
  }

  bool IsRight(const std::string& answer, const std::string& expected) override {
    auto wanted = expected_.find(expected);
    if (wanted == expected_.end()) {
      auto rows = Query(std::string(WithoutFence(expected)));
      if (!rows)
        throw Error(Code::kBadInput, "the expected query fails: {}: {}", expected,
                    sqlite3_errmsg(database_.get()));
      wanted = expected_.emplace(expected, std::move(*rows)).first;
    }
    auto rows = Query(std::string(WithoutFence(answer)));
    if (!rows) return false;
    std::vector<Row> want = wanted->second;
    if (Lower(expected).find("order by") == std::string::npos) {
      std::sort(rows->begin(), rows->end());
      std::sort(want.begin(), want.end());
    }
    return *rows == want;
  }

 private:
  std::optional<std::vector<Row>> Query(const std::string& sql) {
    end_ = steady_clock::now() + kLimit;
    sqlite3_stmt* prepared = nullptr;
    if (sqlite3_prepare_v2(database_.get(), sql.c_str(), static_cast<int>(sql.size()), &prepared,
                           nullptr) != SQLITE_OK ||
        !prepared)
      return std::nullopt;
    const std::unique_ptr<sqlite3_stmt, Close> statement(prepared);
    std::vector<Row> rows;
    int code = sqlite3_step(prepared);
    for (; code == SQLITE_ROW && rows.size() < kMaxRows; code = sqlite3_step(prepared)) {
      rows.emplace_back();
      for (int column = 0; column < sqlite3_column_count(prepared); ++column)
        rows.back().push_back(ValueOf(prepared, column));
    }
    if (code != SQLITE_DONE) return std::nullopt;
    return rows;
  }

  std::unique_ptr<sqlite3, Close> database_;
  std::map<std::string, std::vector<Row>> expected_;
  steady_clock::time_point end_;
};

}  // namespace

std::unique_ptr<AnswerCheck> MakeSqlCheck(const std::string& database) {
  return std::make_unique<SqlCheck>(database);
}

}  // namespace slm::eval
