// The data that ./run demo trains on and measures with.
#include <gtest/gtest.h>

#include <map>

#include "format/dataset.h"
#include "train/duplicates.h"

namespace slm::train {
namespace {

TEST(Examples, TenIntentsAreBalancedAndTheTestIsApart) {
  std::vector<std::string> texts;
  std::map<std::string, int> labels[2];
  std::string system;
  for (const bool is_test : {false, true}) {
    const char* name = is_test ? "examples/intents10/test.jsonl" : "examples/intents10/train.jsonl";
    for (const format::Example& example : format::ReadDataset(name).examples) {
      ASSERT_EQ(example.messages.size(), 3u) << name << ":" << example.line;
      const auto text = [&](size_t i, const char* role) {
        EXPECT_EQ(example.messages[i].at("role"), role) << name << ":" << example.line;
        return example.messages[i].at("content").get<std::string>();
      };
      if (system.empty()) system = text(0, "system");
      EXPECT_EQ(text(0, "system"), system) << name << ":" << example.line;
      texts.push_back(text(1, "user"));
      ++labels[is_test][text(2, "assistant")];
    }
  }
  ASSERT_EQ(labels[0].size(), 10u);
  for (const auto& [label, count] : labels[0]) {
    EXPECT_EQ(count, 24) << label;
    EXPECT_EQ(labels[1][label], 12) << label;
  }
  EXPECT_EQ(labels[1].size(), 10u);
  const std::vector<size_t> first = FindDuplicates(texts);
  for (size_t i = 0; i < texts.size(); ++i)
    EXPECT_EQ(first[i], kNoDuplicate) << texts[i] << "\n" << texts[first[i]];
}

}  // namespace
}  // namespace slm::train
