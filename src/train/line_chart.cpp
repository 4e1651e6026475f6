#include "train/line_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "text/html.h"

namespace slm::train {
namespace {

using text::EscapeHtml;
using Point = std::pair<double, double>;

constexpr size_t kStretches = 300;  // of a line
constexpr size_t kMostHints = 300;  // that a mouse finds
constexpr double kSide = 1000;      // of the drawing, which is stretched to its place

bool IsLower(const Point& a, const Point& b) { return a.second < b.second; }

std::vector<Point> Thin(const std::vector<Point>& points) {
  if (points.size() <= 2 * kStretches) return points;
  std::vector<Point> kept = {points.front()};
  for (size_t i = 0; i < kStretches; ++i) {
    const auto at = [&](size_t stretch) {
      return points.begin() + static_cast<std::ptrdiff_t>(stretch * points.size() / kStretches);
    };
    const auto ends = std::minmax_element(at(i), at(i + 1), IsLower);
    kept.push_back(*std::min(ends.first, ends.second));
    if (ends.first != ends.second) kept.push_back(*std::max(ends.first, ends.second));
  }
  kept.push_back(points.back());
  return kept;
}

// 1, 2 or 5 times a power of ten, of which `range` has at most so many.
double TickStep(double range, double most) {
  const double raw = range / most, power = std::pow(10, std::floor(std::log10(raw)));
  for (const double step : {1.0, 2.0, 5.0})
    if (raw <= step * power * (1 + 1e-9)) return step * power;
  return 10 * power;
}

class Drawing {
 public:
  explicit Drawing(const Chart& chart) {
    first_ = 1e300, last_ = -1e300;
    for (const ChartLine& line : chart.lines)
      for (const auto& [x, y] : line.points) {
        first_ = std::min(first_, x);
        last_ = std::max(last_, x);
        top_ = std::max(top_, y);
      }
    if (last_ <= first_) last_ = first_ + 1;
    if (top_ <= 0) top_ = 1;
    y_step_ = TickStep(top_, 5);
    top_ = std::ceil(top_ / y_step_ - 1e-9) * y_step_;
  }

  std::string Grid() const {
    std::string path;
    ForTicks(y_step_, 0, top_, [&](double y) { path += fmt::format("M0 {:.1f}h{}", Y(y), kSide); });
    return "<path class=\"grid\" d=\"" + path + "\"/>";
  }

  std::string Line(const ChartLine& line) const {
    const std::vector<Point> points = Thin(line.points);
    std::string path;
    for (const auto& [x, y] : points)
      path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", X(x), Y(y));
    std::string svg = fmt::format("<path class=\"{}\" d=\"{}\"/>", line.look, path);
    if (!line.has_dots || points.size() > kMostHints) return svg;
    // A line of no length has round ends, however the drawing is stretched.
    for (const auto& [x, y] : points)
      svg += fmt::format("<path class=\"{} dot\" d=\"M{:.1f} {:.1f}h0\"/>", line.look, X(x), Y(y));
    return svg;
  }

  // What all lines are at a step, for who points at it.
  std::string Hints(const Chart& chart) const {
    std::vector<Point> points = chart.lines.front().points;
    if (points.size() > kMostHints) return "";
    std::string svg;
    const double width = kSide / static_cast<double>(points.size());
    for (const auto& [x, unused] : points) {
      std::string text = fmt::format("step {:g}", x);
      for (const ChartLine& line : chart.lines)
        for (const auto& [at, y] : line.points)
          if (at == x) text += fmt::format("\n{} {:.4g}", line.name, y);
      svg += fmt::format(
          "<rect class=\"hint\" x=\"{:.1f}\" width=\"{:.1f}\" "
          "height=\"{}\"><title>{}</title></rect>",
          X(x) - width / 2, width, kSide, EscapeHtml(text));
    }
    return svg;
  }

  std::string Labels() const {
    std::string html;
    ForTicks(y_step_, 0, top_, [&](double y) {
      html += fmt::format("<span class=\"y\" style=\"top:{:.2f}%\">{:g}</span>", Y(y) / 10, y);
    });
    ForTicks(std::max(1.0, TickStep(last_ - first_, 8)), first_, last_, [&](double x) {
      html += fmt::format("<span class=\"x\" style=\"left:{:.2f}%\">{:g}</span>", X(x) / 10, x);
    });
    return html;
  }

 private:
  template <class F>
  static void ForTicks(double step, double first, double last, const F& f) {
    const auto begin = static_cast<int64_t>(std::ceil(first / step - 1e-9));
    for (int64_t i = begin; static_cast<double>(i) * step <= last * (1 + 1e-9); ++i)
      f(static_cast<double>(i) * step);
  }
  double X(double x) const { return kSide * (x - first_) / (last_ - first_); }
  double Y(double y) const { return kSide * (1 - y / top_); }

  double first_, last_, top_ = 0, y_step_ = 0;
};

std::string Describe(const Chart& chart) {
  std::string text = chart.title;
  for (const ChartLine& line : chart.lines) {
    if (line.points.empty()) continue;
    const auto lowest = std::min_element(line.points.begin(), line.points.end(), IsLower);
    text += fmt::format("; {}: from {:.4g} at step {:g} to {:.4g} at step {:g}, lowest {:.4g}",
                        line.name, line.points.front().second, line.points.front().first,
                        line.points.back().second, line.points.back().first, lowest->second);
  }
  return text;
}

}  // namespace

std::string RenderChart(const Chart& chart) {
  const Drawing drawing(chart);
  std::string legend, lines;
  for (const ChartLine& line : chart.lines) {
    if (line.points.empty()) continue;
    if (chart.lines.size() > 1)
      legend += fmt::format("<span class=\"key {}\">{}</span>", line.look, EscapeHtml(line.name));
    lines += drawing.Line(line);
  }
  return fmt::format(
      "<figure class=\"{}\">\n<figcaption><b>{}</b>{}</figcaption>\n"
      "<div class=\"plot\" role=\"img\" aria-label=\"{}\">\n"
      "<svg viewBox=\"0 0 {} {}\" preserveAspectRatio=\"none\" aria-hidden=\"true\">{}{}{}</svg>\n"
      "{}\n</div>\n</figure>\n",
      chart.look, EscapeHtml(chart.title), legend, EscapeHtml(Describe(chart)), kSide, kSide,
      drawing.Grid(), lines, drawing.Hints(chart), drawing.Labels());
}

}  // namespace slm::train
