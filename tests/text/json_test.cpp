#include "text/json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace slm::text {
namespace {

std::string Failure(const std::string& text) {
  try {
    ParseJson(text, "x.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kBadInput);
    return error.what();
  }
  ADD_FAILURE() << "no error for " << text;
  return "";
}

std::string Nested(size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(ParseJson, KeepsTheOrderOfMembers) {
  EXPECT_EQ(ParseJson(R"({"b":[1,null],"a":"x"})", "x.json").dump(), R"({"b":[1,null],"a":"x"})");
}

TEST(ParseJson, SaysWhereAndWhat) {
  for (const char* text : {"", "[1,", "{\"a\":nope}", "[\"\xff\"]", "[1e999]", "[] x"}) {
    const std::string message = Failure(text);
    EXPECT_TRUE(message.starts_with("x.json: not JSON: ")) << message;
    EXPECT_EQ(message.find("json.exception"), std::string::npos) << message;
    EXPECT_EQ(message.find('\xff'), std::string::npos) << message;
  }
  EXPECT_NE(Failure("[\n1,\n}").find("line 3"), std::string::npos);
}

TEST(ParseJson, RefusesDeepNesting) {
  EXPECT_TRUE(ParseJson(Nested(200), "x.json").is_array());
  EXPECT_EQ(Failure(Nested(201)), "x.json: nested deeper than 200");
  EXPECT_EQ(Failure(std::string(300'000, '[')), "x.json: nested deeper than 200");
}

}  // namespace
}  // namespace slm::text
