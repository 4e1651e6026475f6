#include "train/training_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/progress.h"
#include "text/html.h"
#include "text/utf8_stream.h"
#include "train/line_chart.h"

namespace slm::train {
namespace {

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --page: #f7f7f5; --card: #fff; --ink: #1c1c1a; --soft: #5c5c57;
  --line: #e2e2dd; --raw: #b3cdec; --train: #1f6fc4; --eval: #c8550c; --good: #1a7a3c; }
@media (prefers-color-scheme: dark) { :root { --page: #161615; --card: #20201f; --ink: #eeeeea;
  --soft: #a8a8a1; --line: #3a3a37; --raw: #33557d; --train: #63a8f2; --eval: #f0904e;
  --good: #5cc483; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 24px 16px 48px; }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 32px 0 12px; }
.soft { color: var(--soft); margin: 0 0 12px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px;
  margin: 20px 0; padding: 0; }
.tiles div, figure, article, dl.facts { background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; }
.tiles div { padding: 10px 14px; display: flex; flex-direction: column-reverse;
  justify-content: flex-end; }
.tiles dt { color: var(--soft); font-size: .85rem; }
.tiles dd { margin: 0; font-size: 1.35rem; font-weight: 600; }
figure { margin: 0 0 12px; padding: 12px 16px 34px 58px; }
figcaption { margin-left: -42px; margin-bottom: 14px; }
figcaption b, .key { margin-right: 14px; }
.key { color: var(--soft); font-size: .85rem; white-space: nowrap; }
.key::before { content: ""; display: inline-block; width: 18px; height: 4px; border-radius: 2px;
  margin-right: 6px; vertical-align: middle; background: var(--c); }
.raw { --c: var(--raw); } .train { --c: var(--train); } .eval { --c: var(--eval); }
.plot { position: relative; height: 300px; }
.small .plot { height: 130px; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 0 12px; }
svg { display: block; width: 100%; height: 100%; overflow: visible; }
path { fill: none; stroke: var(--c); stroke-width: 2; stroke-linejoin: round;
  stroke-linecap: round; vector-effect: non-scaling-stroke; }
path.raw { stroke-width: 1.25; } path.dot { stroke-width: 8; }
path.grid { stroke: var(--line); stroke-width: 1; }
.hint { fill: transparent; } .hint:hover { fill: var(--soft); fill-opacity: .18; }
.plot span { position: absolute; color: var(--soft); font-size: .75rem;
  font-variant-numeric: tabular-nums; }
.y { right: 100%; padding-right: 8px; transform: translateY(-50%); }
.x { top: 100%; padding-top: 6px; transform: translateX(-50%); }
article { padding: 12px 16px; margin-bottom: 12px; }
.says { display: grid; grid-template-columns: repeat(auto-fit, minmax(220px, 1fr)); gap: 8px 20px;
  margin-top: 8px; }
h3 { font-size: .85rem; font-weight: 600; color: var(--soft); margin: 0; }
pre { margin: 0; font: .85rem/1.45 ui-monospace, monospace; white-space: pre-wrap;
  overflow-wrap: anywhere; unicode-bidi: isolate; max-height: 15em; overflow-y: auto; }
.right { color: var(--good); }
dl.facts { display: grid; grid-template-columns: minmax(90px, max-content) 1fr; gap: 4px 20px;
  margin: 0; padding: 12px 16px; }
.facts dt { color: var(--soft); } .facts dd { margin: 0; overflow-wrap: anywhere; }
)";

// Bytes that are no characters, which a cut answer may end with, are shown as U+FFFD.
std::string Html(const std::string& text) {
  text::Utf8Stream utf8;
  std::string whole = utf8.Feed(text);
  return text::EscapeHtml(whole + utf8.Flush());
}

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
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
      "style-src 'unsafe-inline'\">\n"
      "<title>{0}: training report</title>\n<style>{1}</style>\n</head>\n<body>\n<main>\n"
      "<h1>{0}</h1>\n<p class=\"soft\">Training report of slm finetune</p>\n{2}{3}"
      "<h2>What was trained, and how</h2>\n<dl class=\"facts\">\n{4}</dl>\n</main>\n</body>\n"
      "</html>\n",
      Html(report.title), kStyle, Curves(history), Answers(report), facts);
}

}  // namespace slm::train
