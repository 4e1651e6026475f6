#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/progress.h"
#include "cli/plan_answer.h"
#include "text/html_page.h"

namespace slm::cli {
namespace {

using plan::Choice;
using text::Html;

constexpr const char* kStyle = R"(
figure.bars { padding: 12px 16px; } .bars figcaption { margin-left: 0; }
.row { display: grid; grid-template-columns: minmax(110px, 190px) 1fr 70px; gap: 10px;
  align-items: center; font-size: .85rem; margin: 5px 0; }
.row > :first-child { overflow-wrap: anywhere; } .row > :last-child { text-align: right; }
.bar { position: relative; display: flex; height: 14px; background: var(--page); overflow: hidden; }
.bar i { display: block; height: 100%; background: var(--c); }
.bar b { position: absolute; top: 0; bottom: 0; width: 2px; background: var(--ink); }
.out { color: var(--soft); }
.c0 { --c: var(--blue); } .c1 { --c: var(--orange); } .c2 { --c: var(--green); }
.c3 { --c: var(--violet); } .c4 { --c: var(--soft); }
.plot .at { color: var(--card); background: var(--blue); border-radius: 10px; min-width: 20px;
  padding: 0 5px; text-align: center; line-height: 20px; transform: translate(-50%, -50%); }
.plot .at.out { background: var(--soft); }
ol { columns: 260px; column-gap: 28px; font-size: .85rem; padding-left: 2em; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .85rem; width: 100%; }
td, th { text-align: left; padding: 4px 10px 4px 0; border-bottom: 1px solid var(--line);
  vertical-align: top; } td { min-width: 9em; } code { white-space: nowrap; }
)";

std::string NameOf(const Choice& choice) { return choice.model.id + " " + choice.type; }

std::string Key(const char* look, const std::string& name) {
  return fmt::format("<span class=\"key {}\">{}</span>", look, Html(name));
}

// Bars of the parts, to a scale of once to twice the device's memory.
std::string MemoryChart(const std::vector<Choice>& choices, std::optional<uint64_t> usable) {
  const uint64_t available = usable.value_or(0);
  uint64_t largest = 1;
  for (const Choice& choice : choices) largest = std::max(largest, choice.plan.memory.total());
  const auto scale = static_cast<double>(
      available > 0 ? std::clamp(largest, available + available / 50, 2 * available) : largest);
  const auto percent = [&](uint64_t bytes) {
    return std::min(100.0, 100 * static_cast<double>(bytes) / scale);
  };
  std::string html = "<figure class=\"bars\">\n<figcaption><b>Memory</b>" + Key("c0", "weights") +
                     Key("c1", "keys and values") + Key("c2", "activations") +
                     Key("c4", "program") + "</figcaption>\n";
  for (const Choice& choice : choices) {
    const plan::ServingMemory& m = choice.plan.memory;
    html += fmt::format("<div class=\"row{}\"><span>{}</span><div class=\"bar\">",
                        choice.verdict.problems.empty() ? "" : " out", Html(NameOf(choice)));
    const std::pair<const char*, uint64_t> parts[] = {
        {"c0", m.weights}, {"c1", m.kv}, {"c2", m.activations}, {"c4", m.program}};
    for (const auto& [look, bytes] : parts)
      html += fmt::format("<i class=\"{}\" style=\"width:{:.2f}%\"></i>", look, percent(bytes));
    if (available > 0) html += fmt::format("<b style=\"left:{:.2f}%\"></b>", percent(available));
    html += fmt::format("</div><span>{}</span></div>\n", FormatBytes(m.total()));
  }
  if (available > 0)
    html += fmt::format("<p class=\"soft\">The line is what the device has for a model: {}.</p>\n",
                        FormatBytes(available));
  return html + "</figure>\n";
}

// Ticks at powers of ten.
class LogScale {
 public:
  LogScale(double least, double most)
      : first_(std::floor(std::log10(least) + 1e-9)),
        last_(std::max(first_ + 1, std::ceil(std::log10(most) - 1e-9))) {}
  double Percent(double value) const {
    return 100 * (std::log10(value) - first_) / (last_ - first_);
  }
  template <class F>
  void ForTicks(const F& f) const {
    for (double power = first_; power <= last_; ++power) f(std::pow(10, power));
  }

 private:
  double first_, last_;
};

std::string Count(double n) {
  return n >= 1e6   ? fmt::format("{:g}M", n / 1e6)
         : n >= 1e3 ? fmt::format("{:g}K", n / 1e3)
                    : fmt::format("{:g}", n);
}

std::string QualityChart(const PlanAnswer& answer) {
  if (!answer.task) return "";
  std::vector<const Choice*> shown;
  std::string names;
  double least = 1e300, most = 0;
  for (const Choice& choice : answer.advice->choices) {
    if (!choice.score || choice.plan.speed.call_decode == 0) continue;
    shown.push_back(&choice);
    least = std::min(least, choice.plan.speed.call_decode);
    most = std::max(most, choice.plan.speed.call_decode);
    names += fmt::format("<li>{}: {:.1f} tokens/s, {} {:.1f}{}</li>\n", Html(NameOf(choice)),
                         choice.plan.speed.call_decode, Html(answer.task->benchmark),
                         choice.score->value, choice.score->mark);
  }
  if (shown.empty()) return "<p class=\"soft\">No speed is known: no chart of it.</p>\n";
  const LogScale x(least, most);
  std::string html = fmt::format(
      "<figure>\n<figcaption><b>{} by tokens a second of an answer</b></figcaption>\n"
      "<div class=\"plot\">\n",
      Html(answer.task->benchmark));
  for (int y = 0; y <= 100; y += 20)
    html += fmt::format("<span class=\"y\" style=\"top:{}%\">{}</span>", 100 - y, y);
  x.ForTicks([&](double tick) {
    html += fmt::format("<span class=\"x\" style=\"left:{:.2f}%\">{}</span>", x.Percent(tick),
                        Count(tick));
  });
  for (size_t i = 0; i < shown.size(); ++i)
    html += fmt::format("<span class=\"at{}\" style=\"left:{:.2f}%;top:{:.2f}%\">{}</span>\n",
                        shown[i]->verdict.problems.empty() ? "" : " out",
                        x.Percent(shown[i]->plan.speed.call_decode), 100 - shown[i]->score->value,
                        i + 1);
  return html + "</div>\n</figure>\n<ol>\n" + names + "</ol>\n";
}

std::string CostChart(const PlanAnswer& answer) {
  struct Line {
    std::string name;
    const char* look;
    double month, call;  // USD
    double most;         // calls a month
  };
  static constexpr const char* kLooks[] = {"c1", "c2", "c3", "c4"};
  constexpr double kFirst = 1e3, kLast = 1e8;
  std::vector<Line> lines;
  const bool has_price = answer.cost && answer.cost->usd_a_month > 0;
  const bool has_energy = answer.cost && answer.cost->usd_of_thousand;
  if ((has_price || has_energy) && answer.cost->calls_a_month > 0)
    lines.push_back({has_price && has_energy ? "this device, and its energy"
                     : has_price             ? "this device, without its energy"
                                             : "energy alone: what this device costs is not known",
                     "c0", answer.cost->usd_a_month,
                     answer.cost->usd_of_thousand.value_or(0) / 1000, answer.cost->calls_a_month});
  for (size_t i = 0; i < answer.prices.size(); ++i)
    lines.push_back({answer.prices[i].id, kLooks[i % std::size(kLooks)], 0,
                     answer.prices[i].usd_of_thousand(answer.call) / 1000, kLast});
  if (lines.empty())
    return "<p class=\"soft\">Nothing to compare costs with: name prices with --api.</p>\n";
  double least = 1e300, most = 0;
  for (const Line& line : lines) {
    least = std::min(least, std::max(0.01, line.month + line.call * kFirst));
    most = std::max(most, line.month + line.call * std::min(kLast, line.most));
  }
  const LogScale x(kFirst, kLast), y(least, most);
  std::string keys, svg;
  for (const Line& line : lines) {
    keys += Key(line.look, line.name);
    std::string path;
    for (double calls = kFirst; calls <= std::min(kLast, std::max(kFirst, line.most)) * 1.0001;
         calls *= std::pow(10, 0.1))
      path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", 10 * x.Percent(calls),
                          1000 - 10 * y.Percent(std::max(0.01, line.month + line.call * calls)));
    svg += fmt::format("<path class=\"{}\" d=\"{}\"/>", line.look, path);
  }
  std::string html = "<figure>\n<figcaption><b>USD a month by calls a month</b>" + keys +
                     "</figcaption>\n<div class=\"plot\">\n<svg viewBox=\"0 0 1000 1000\" "
                     "preserveAspectRatio=\"none\" aria-hidden=\"true\">" +
                     svg + "</svg>\n";
  y.ForTicks([&](double tick) {
    html += fmt::format("<span class=\"y\" style=\"top:{:.2f}%\">{}</span>", 100 - y.Percent(tick),
                        Count(tick));
  });
  x.ForTicks([&](double tick) {
    html += fmt::format("<span class=\"x\" style=\"left:{:.2f}%\">{}</span>", x.Percent(tick),
                        Count(tick));
  });
  return html + "\n</div>\n</figure>\n";
}

std::string Table(const PlanAnswer& answer) {
  std::string html =
      "<div class=\"wide\"><table>\n<tr><th>model</th><th>why</th><th>not known</th></tr>\n";
  for (const Choice& c : answer.advice->choices)
    html += fmt::format(
        "<tr><td>{}{}</td><td>{}</td><td>{}</td></tr>\n", Html(NameOf(c)),
        c.pull.empty() || !c.verdict.problems.empty()
            ? ""
            : "<br><code>slm pull " + Html(c.pull) + "</code>",
        Html(fmt::format(
            "{}",
            fmt::join(c.verdict.problems.empty() ? c.verdict.reasons : c.verdict.problems, "; "))),
        Html(fmt::format("{}", fmt::join(c.verdict.unknowns, "; "))));
  return html + "</table></div>\n";
}

std::string Rules(const PlanAnswer& answer) {
  std::string html;
  for (const plan::Rule& rule : answer.advice->rules)
    html += fmt::format("<dt>{}</dt><dd>{} <span class=\"out\">({})</span></dd>\n", Html(rule.when),
                        Html(rule.advice), Html(rule.origin()));
  return html.empty() ? "" : "<h2>Rules</h2>\n<dl class=\"facts\">\n" + html + "</dl>\n";
}

// Where the figures are from.
std::string Origins(const PlanAnswer& answer) {
  const plan::Device& device = answer.device;
  std::string html;
  const auto add = [&](const std::string& what, const std::string& from) {
    html += fmt::format("<dt>{}</dt><dd>{}</dd>\n", Html(what), Html(from));
  };
  const auto add_figure = [&](const char* what, const plan::Figure& figure) {
    if (figure) add(what, fmt::format("{} ({})", figure.source, figure.date));
  };
  add_figure("memory", device.memory);
  add("of it for a model", device.usable_reason);
  add_figure("bandwidth", device.read_bandwidth);
  add_figure("price of the device", device.price);
  add_figure("its watts", device.watts);
  const Choice& first = answer.advice->choices.front();
  if (const auto& efficiency = first.plan.efficiency; efficiency && first.plan.speed.decode > 0) {
    add_figure("peak", efficiency->is_of_half ? device.half_operations : device.int8_operations);
    add("speeds", fmt::format("computed from these as {} reaches them; {}", efficiency->engine,
                              device.kind == "here"
                                  ? "bandwidth and peak were measured now, the shares before"
                              : plan::IsMeasured(device) ? "some were measured on this device"
                                                         : "none was ever measured on it"));
  }
  add("sizes of models", "computed from their shapes and the type");
  if (answer.task)
    add(answer.task->benchmark,
        fmt::format(
            "their publishers' of the instruct model, or {}; slm catalog MODEL has the source",
            plan::kMarks));
  for (const plan::ApiPrice& price : answer.prices)
    add(price.id, fmt::format("{} ({})", price.source, price.date));
  return "<h2>Where the figures are from</h2>\n<dl class=\"facts\">\n" + html + "</dl>\n";
}

}  // namespace

std::string RenderHtml(const PlanAnswer& answer) {
  const std::string call = fmt::format(
      "{}{}; calls of {} tokens in and {} out, in a context of {}{}", answer.device.name,
      answer.device.kind == "here" || plan::IsMeasured(answer.device)
          ? ""
          : ", of which speeds are computed, never measured",
      answer.call.tokens_in, answer.call.tokens_out, answer.load.context,
      answer.load.parallel > 1
          ? fmt::format(", {} at once, of which the speed is not yet checked", answer.load.parallel)
          : "");
  return text::RenderPage(
      {answer.task ? "Models for " + answer.task->name : "Models for " + answer.device.name,
       ": slm plan", call, kStyle,
       MemoryChart(answer.advice->choices, answer.device.usable_bytes()) + QualityChart(answer) +
           CostChart(answer) + "<h2>Model by model</h2>\n" + Table(answer) + Rules(answer) +
           Origins(answer)});
}

}  // namespace slm::cli
