// Whether answers are right, and how sure the share of right ones is.
#include "eval/answer_check.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "base/error.h"
#include "eval/interval.h"
#include "support/temp_folder.h"

namespace slm::eval {
namespace {

TEST(ExactCheck, SpaceAroundDoesNotCount) {
  const auto check = MakeExactCheck();
  EXPECT_TRUE(check->IsRight(" card_arrival\n", "card_arrival"));
  EXPECT_FALSE(check->IsRight("card arrival", "card_arrival"));
  EXPECT_FALSE(check->IsRight("", "a"));
}

TEST(JsonCheck, ComparesValues) {
  const auto check = MakeJsonCheck();
  EXPECT_TRUE(
      check->IsRight("```json\n{\"b\": [1, 2], \"a\": 1.0}\n```", R"({"a":1.0,"b":[1,2]})"));
  EXPECT_FALSE(check->IsRight(R"({"a":1,"b":[2,1]})", R"({"a":1,"b":[1,2]})"));
  EXPECT_FALSE(check->IsRight("not json", "{}"));
  EXPECT_FALSE(check->IsRight("", "{}"));
  EXPECT_FALSE(check->IsRight(std::string(1000, '['), "[]"));
  EXPECT_THROW(check->IsRight("{}", "not json"), Error);
}

class SqlCheck : public ::testing::Test {
 protected:
  SqlCheck() {
    sqlite3* database = nullptr;
    EXPECT_EQ(sqlite3_open(path().c_str(), &database), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(database,
                           "create table t (name text, size int);"
                           "insert into t values ('a', 1), ('b', 2), ('c', 2);",
                           nullptr, nullptr, nullptr),
              SQLITE_OK);
    sqlite3_close(database);
  }
  std::string path() const { return folder_ / "t.sqlite"; }
  testing::TempFolder folder_;
};

TEST_F(SqlCheck, ComparesRows) {
  const auto check = MakeSqlCheck(path());
  EXPECT_TRUE(check->IsRight("SELECT name FROM t ORDER BY name DESC", "select name from t"));
  EXPECT_TRUE(check->IsRight("```sql\nselect size * 1.0 from t\n```", "select size from t"));
  EXPECT_FALSE(
      check->IsRight("select name from t order by name desc", "select name from t order by name"));
  EXPECT_FALSE(check->IsRight("select distinct size from t", "select size from t"));
  EXPECT_FALSE(check->IsRight("select nothing from t", "select size from t"));
  EXPECT_FALSE(check->IsRight("", "select size from t"));
  EXPECT_FALSE(check->IsRight("select '1' from t where size = 1", "select 1"));
}

TEST_F(SqlCheck, NeitherWritesNorWaits) {
  const auto check = MakeSqlCheck(path());
  EXPECT_FALSE(check->IsRight("delete from t", "select size from t"));
  EXPECT_FALSE(check->IsRight("attach ':memory:' as m", "select size from t"));
  EXPECT_FALSE(check->IsRight(
      "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n",
      "select size from t"));
  EXPECT_TRUE(check->IsRight("select count(*) from t", "select 3"));
}

TEST_F(SqlCheck, SaysWhenItCannotJudge) {
  EXPECT_THROW(MakeSqlCheck(folder_ / "none.sqlite"), Error);
  const auto check = MakeSqlCheck(path());
  EXPECT_THROW(check->IsRight("select 1", "select wrong from nowhere"), Error);
}

// R: prop.test(x, n, correct = FALSE)$conf.int
TEST(Interval, IsWilsons) {
  const auto expect = [](int64_t right, int64_t n, double low, double high) {
    const Interval interval = IntervalOf({right, n});
    EXPECT_NEAR(interval.low, low, 1e-6);
    EXPECT_NEAR(interval.high, high, 1e-6);
  };
  expect(81, 263, 0.2552885, 0.3662096);
  expect(0, 10, 0, 0.2775328);
  expect(10, 10, 0.7224672, 1);
  expect(0, 0, 0, 1);
}

}  // namespace
}  // namespace slm::eval
