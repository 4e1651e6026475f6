#include "base/nearest_names.h"

#include <gtest/gtest.h>

namespace slm {
namespace {

using Names = std::vector<std::string>;

TEST(NearestNames, PutsPartsBeforeMisspellings) {
  const Names names = {"user/gemma-3:Q4_K_M", "user/qwen:Q8_0", "other/llama"};
  EXPECT_EQ(NearestNames("qwen", names, 1), Names{"user/qwen:Q8_0"});
  EXPECT_EQ(NearestNames("other/lama", names, 2)[0], "other/llama");
  EXPECT_EQ(NearestNames(std::string(1 << 20, 'x'), names, 9).size(), 3u);
  EXPECT_TRUE(NearestNames("x", {}, 5).empty());
}

}  // namespace
}  // namespace slm
