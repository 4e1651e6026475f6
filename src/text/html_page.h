// A page that asks for nothing from outside and runs nothing.
#pragma once

#include <string>

namespace slm::text {

struct HtmlPage {
  std::string title;     // a text: the heading
  std::string kind;      // a text: the window's title has it behind the other
  std::string subtitle;  // a text
  std::string style;     // of its own, beside what all pages share (html_page.cpp)
  std::string body;      // HTML
};

std::string RenderPage(const HtmlPage& page);

// Any bytes as a text of a page; those that are no characters, which a cut answer may end with, are
// shown as U+FFFD.
std::string Html(const std::string& text);

}  // namespace slm::text
