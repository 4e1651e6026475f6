#include "train/training_report.h"

#include <gtest/gtest.h>

#include "support/temp_folder.h"

namespace slm::train {
namespace {

size_t Count(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; ++at) ++count;
  return count;
}

TrainingHistory History(int64_t steps) {
  TrainingHistory history;
  for (int64_t step = 1; step <= steps; ++step) {
    const auto at = static_cast<double>(step);
    history.steps.push_back({step, at / 10, 1e-3 / at, {4 / at, 0.5, 8, 100}, 0.5});
  }
  return history;
}

TEST(TrainingReport, ShowsLossesAndAnswers) {
  TrainingHistory history = History(20);
  history.evaluations = {{10, 0.625, true}, {20, 0.75, false}};
  const std::string html = RenderReport(
      {"parrot", {{"base", "b.gguf"}}, "Of somewhere.", {{"Polly?", "yes", "no", "yes"}}}, history);
  for (const char* part :
       {"<h1>parrot</h1>", "<dt>base</dt><dd>b.gguf</dd>", "Of somewhere.", "<pre>Polly?</pre>",
        "lowest eval loss, at step 10</dt><dd>0.625<", "steps, 2 epochs</dt><dd>20<",
        "time of the steps</dt><dd>0:10<", "tokens a second</dt><dd>200<",
        "<title>step 10\ntrain, each step 0.4\n", "\neval 0.625</title>",
        "train, each step: from 4 at step 1 to 0.2 at step 20, lowest 0.2"})
    EXPECT_NE(html.find(part), std::string::npos) << part << "\n" << html;
  EXPECT_EQ(Count(html, "as expected</span>"), 1u);
  EXPECT_EQ(Count(html, "class=\"eval dot\""), 2u);
  // The mean of the last three.
  EXPECT_NE(html.find("smoothed</dt><dd>0.211<"), std::string::npos) << html;
}

TEST(TrainingReport, TextsStayTexts) {
  const std::string hostile = "</pre><script>x('1')</script>\"&\xff";
  const std::string html = RenderReport(
      {hostile, {{hostile, hostile}}, hostile, {{hostile, hostile, hostile, hostile}}}, History(3));
  EXPECT_EQ(Count(html, "<script"), 0u);
  EXPECT_EQ(Count(html, "\xff"), 0u);
  EXPECT_EQ(
      Count(html, "&lt;/pre&gt;&lt;script&gt;x(&#39;1&#39;)&lt;/script&gt;&#34;&amp;\xEF\xBF\xBD"),
      9u);
  // Nothing is fetched.
  for (const char* part : {"http:", "https:", "src=", "url(", "@import"})
    EXPECT_EQ(Count(html, part), 0u) << part;
}

TEST(TrainingReport, LongRunsAreDrawnByTheirExtremes) {
  TrainingHistory history = History(50000);
  history.steps[30000].result.loss = 3.5;
  const std::string html = RenderReport({"long", {}, "", {}}, history);
  EXPECT_LT(html.size(), 100000u);
  // Of 4 at most; the tick above is 4 as well.
  EXPECT_NE(html.find("L600.0 125.0"), std::string::npos);
}

TEST(TrainingReport, ALogIsReadBack) {
  const testing::TempFolder folder;
  const std::string path = folder / "log.jsonl";
  const TrainingHistory history = History(5);
  {
    TrainingLog log(path, 0, 0);
    for (size_t i = 0; i < 4; ++i) log.Write(history.steps[i]);
    log.Write(EvaluationReport{4, 0.5, true});
  }
  {
    TrainingLog log(path, 2, 2);
    log.Write(history.steps[2]);
    log.Write(EvaluationReport{3, 0.25, false});
  }
  const TrainingHistory read = ReadTrainingLog(path);
  ASSERT_EQ(read.steps.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(read.steps[i].step, history.steps[i].step);
    EXPECT_EQ(read.steps[i].epoch, history.steps[i].epoch);
    EXPECT_EQ(read.steps[i].learning_rate, history.steps[i].learning_rate);
    EXPECT_EQ(read.steps[i].seconds, history.steps[i].seconds);
    EXPECT_EQ(read.steps[i].result.loss, history.steps[i].result.loss);
    EXPECT_EQ(read.steps[i].result.gradient_norm, history.steps[i].result.gradient_norm);
    EXPECT_EQ(read.steps[i].result.trained, 8);
    EXPECT_EQ(read.steps[i].result.rows, 100);
  }
  ASSERT_EQ(read.evaluations.size(), 1u);
  EXPECT_EQ(read.evaluations[0].step, 3);
  EXPECT_EQ(read.evaluations[0].loss, 0.25);
  EXPECT_FALSE(read.evaluations[0].is_best);
  EXPECT_TRUE(ReadTrainingLog("/dev/null").steps.empty());
  EXPECT_NE(RenderReport({"none", {}, "", {}}, {}).find("could not be read"), std::string::npos);
}

}  // namespace
}  // namespace slm::train
