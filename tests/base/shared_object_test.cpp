#include "base/shared_object.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace slm {
namespace {

TEST(SharedObject, GivesSymbolsOrTheReason) {
  auto* cosine = reinterpret_cast<double (*)(double)>(LoadSymbol("libm.so.6", "cos"));
  EXPECT_EQ(cosine(0), 1);
  const auto reason = [](const char* path, const char* name) -> std::string {
    try {
      LoadSymbol(path, name);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kUnsupported);
      return error.what();
    }
    return "loaded";
  };
  EXPECT_NE(reason("/nowhere.so", "cos").find("/nowhere.so: cannot open"), std::string::npos);
  EXPECT_NE(reason("libm.so.6", "no_such").find("no_such"), std::string::npos);
}

}  // namespace
}  // namespace slm
