#include "train/training_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/progress.h"
#include "text/html_page.h"
#include "train/line_chart.h"

namespace slm::train {
namespace {

constexpr const char* kStyle = R"(
.raw { --c: var(--pale); } .train { --c: var(--blue); } .eval { --c: var(--orange); }
path.raw { stroke-width: 1.25; }
.small .plot { height: 130px; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 0 12px; }
.says { display: grid; grid-template-columns: repeat(auto-fit, minmax(220px, 1fr)); gap: 8px 20px;
  margin-top: 8px; }
h3 { font-size: .85rem; font-weight: 600; color: var(--soft); margin: 0; }
pre { margin: 0; font: .85rem/1.45 ui-monospace, monospace; white-space: pre-wrap;
  overflow-wrap: anywhere; unicode-bidi: isolate; max-height: 15em; overflow-y: auto; }
.right { color: var(--green); }
)";

using text::Html;

// Means over a twentieth of the steps, and at least five, around each.
std::vector<std::pair<double, double>> Smooth(
    const std::vector<std::pair<double, double>>& points) {
  std::vector<double> sums = {0};
  for (const auto& [unused, y] : points) sums.push_back(sums.back() + y);
  const size_t half = std::max<size_t>(2, points.size() / 40);
  std::vector<std::pair<double, double>> smooth;
  for (size_t i = 0; i < points.size(); ++i) {
    const size_t first = i - std::min(i, half), last = std::min(points.size(), i + half + 1);
    smooth.push_back(
        {points[i].first, (sums[last] - sums[first]) / static_cast<double>(last - first)});
  }
  return smooth;
}

template <class F>
std::vector<std::pair<double, double>> OfSteps(const TrainingHistory& history, const F& f) {
  std::vector<std::pair<double, double>> points;
  for (const StepReport& step : history.steps)
    points.push_back({static_cast<double>(step.step), f(step)});
  return points;
}

std::string Tiles(const TrainingHistory& history, double last_loss) {
  double seconds = 0, tokens = 0;
  for (const StepReport& step : history.steps) {
    seconds += step.seconds;
    tokens += static_cast<double>(step.result.rows);
  }
  const StepReport& last = history.steps.back();
  std::string html = "<dl class=\"tiles\">";
  const auto add = [&](const std::string& name, const std::string& value) {
    html += "<div><dt>" + name + "</dt><dd>" + value + "</dd></div>\n";
  };
  add("train loss at the end, smoothed", fmt::format("{:.3f}", last_loss));
  const auto best = std::find_if(history.evaluations.rbegin(), history.evaluations.rend(),
                                 [](const EvaluationReport& report) { return report.is_best; });
  if (best != history.evaluations.rend())
    add(fmt::format("lowest eval loss, at step {}", best->step), fmt::format("{:.3f}", best->loss));
  add(fmt::format("steps, {:.3g} epochs", last.epoch), std::to_string(last.step));
  add("time of the steps", FormatDuration(seconds));
  if (seconds > 0) add("tokens a second", fmt::format("{:.0f}", tokens / seconds));
  return html + "</dl>\n";
}

std::string Curves(const TrainingHistory& history) {
  if (history.steps.empty()) return "<p>The log of this run could not be read again.</p>\n";
  const auto raw = OfSteps(history, [](const StepReport& step) { return step.result.loss; });
  const auto smooth = Smooth(raw);
  std::vector<std::pair<double, double>> evaluations;
  for (const EvaluationReport& report : history.evaluations)
    evaluations.push_back({static_cast<double>(report.step), report.loss});
  std::string html = Tiles(history, smooth.back().second);
  html += RenderChart({"Loss by step",
                       "large",
                       {{"train, each step", "raw", raw},
                        {"train, smoothed", "train", smooth},
                        {"eval", "eval", evaluations, true}}});
  html += "<div class=\"pair\">\n";
  html += RenderChart({"Norm of the gradient by step",
                       "small",
                       {{"norm", "train", OfSteps(history, [](const StepReport& step) {
                           return step.result.gradient_norm;
                         })}}});
  html += RenderChart({"Learning rate by step",
                       "small",
                       {{"rate", "train", OfSteps(history, [](const StepReport& step) {
                           return step.learning_rate;
                         })}}});
  return html + "</div>\n";
}

std::string Answers(const TrainingReport& report) {
  if (report.answers.empty()) return "";
  std::string html = "<h2>Answers before and after</h2>\n<p class=\"soft\">" +
                     Html(report.answers_from) + "</p>\n";
  for (const SampleAnswer& answer : report.answers) {
    html += "<article><h3>prompt</h3><pre>" + Html(answer.prompt) + "</pre>\n<div class=\"says\">";
    const auto add = [&](const std::string& name, const std::string& text) {
      const bool is_right = &text != &answer.expected && text == answer.expected;
      html += fmt::format("<div><h3>{}{}</h3><pre>{}</pre></div>\n", name,
                          is_right ? " <span class=\"right\">✓ as expected</span>" : "",
                          text.empty() ? "<i>nothing</i>" : Html(text));
    };
    add("expected", answer.expected);
    add("before: the base", answer.before);
    add("after: " + report.trained, answer.after);
    html += "</div></article>\n";
  }
  return html;
}

}  // namespace

std::string RenderReport(const TrainingReport& report, const TrainingHistory& history) {
  std::string facts;
  for (const auto& [name, value] : report.facts)
    facts += "<dt>" + Html(name) + "</dt><dd>" + Html(value) + "</dd>\n";
  return text::RenderPage(
      {report.title, ": training report", "Training report of slm finetune", kStyle,
       Curves(history) + Answers(report) +
           "<h2>What was trained, and how</h2>\n<dl class=\"facts\">\n" + facts + "</dl>\n"});
}

}  // namespace slm::train
