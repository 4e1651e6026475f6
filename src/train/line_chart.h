// Lines over the steps of a training as a piece of HTML: an SVG that takes the room there is, and
// labels beside it that stay readable. Looks are classes of the report's style sheet.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace slm::train {

struct ChartLine {
  std::string name;
  const char* look = "";                          // class
  std::vector<std::pair<double, double>> points;  // finite, y at least 0, x ascending
  bool has_dots = false;
};

struct Chart {
  std::string title;
  const char* look = "";         // class
  std::vector<ChartLine> lines;  // drawn in this order; not all empty
};

// The y axis begins at 0. Of many points the highest and lowest of each stretch are drawn.
std::string RenderChart(const Chart& chart);

}  // namespace slm::train
