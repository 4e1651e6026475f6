#include "text/html_page.h"

#include <fmt/format.h>

#include "text/html.h"
#include "text/utf8_stream.h"

namespace slm::text {
namespace {

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --page: #f7f7f5; --card: #fff; --ink: #1c1c1a; --soft: #5c5c57;
  --line: #e2e2dd; --blue: #1f6fc4; --pale: #b3cdec; --orange: #c8550c; --green: #1a7a3c;
  --violet: #7a4fb5; }
@media (prefers-color-scheme: dark) { :root { --page: #161615; --card: #20201f; --ink: #eeeeea;
  --soft: #a8a8a1; --line: #3a3a37; --blue: #63a8f2; --pale: #33557d; --orange: #f0904e;
  --green: #5cc483; --violet: #b18cf0; } }
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
.plot { position: relative; height: 300px; }
svg { display: block; width: 100%; height: 100%; overflow: visible; }
path { fill: none; stroke: var(--c); stroke-width: 2; stroke-linejoin: round;
  stroke-linecap: round; vector-effect: non-scaling-stroke; }
path.dot { stroke-width: 8; } path.grid { stroke: var(--line); stroke-width: 1; }
.hint { fill: transparent; } .hint:hover { fill: var(--soft); fill-opacity: .18; }
.plot span { position: absolute; color: var(--soft); font-size: .75rem;
  font-variant-numeric: tabular-nums; }
.y { right: 100%; padding-right: 8px; transform: translateY(-50%); }
.x { top: 100%; padding-top: 6px; transform: translateX(-50%); }
article { padding: 12px 16px; margin-bottom: 12px; }
dl.facts { display: grid; grid-template-columns: minmax(90px, max-content) 1fr; gap: 4px 20px;
  margin: 0; padding: 12px 16px; }
.facts dt { color: var(--soft); } .facts dd { margin: 0; overflow-wrap: anywhere; }
)";

}  // namespace

std::string Html(const std::string& text) {
  Utf8Stream utf8;
  std::string whole = utf8.Feed(text);
  return EscapeHtml(whole + utf8.Flush());
}

std::string RenderPage(const HtmlPage& page) {
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
      "style-src 'unsafe-inline'\">\n"
      "<title>{0}{1}</title>\n<style>{2}{3}</style>\n</head>\n<body>\n<main>\n"
      "<h1>{0}</h1>\n<p class=\"soft\">{4}</p>\n{5}</main>\n</body>\n</html>\n",
      Html(page.title), Html(page.kind), kStyle, page.style, Html(page.subtitle), page.body);
}

}  // namespace slm::text
