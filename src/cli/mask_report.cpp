#include "cli/mask_report.h"

#include <algorithm>

#include "base/error.h"
#include "base/printable.h"

namespace slm::cli {
namespace {

constexpr size_t kLines = 8;    // that are named
constexpr size_t kShown = 3;    // samples
constexpr size_t kWidth = 600;  // bytes of a sample's part that is trained, and of one that is not

std::string Lines(std::vector<size_t> lines) {
  std::string text;
  for (size_t i = 0; i < std::min(kLines, lines.size()); ++i)
    text += (i == 0 ? "" : ", ") + std::to_string(lines[i]);
  if (lines.size() > kLines) text += fmt::format(" and {} more", lines.size() - kLines);
  return text;
}

// The middle of a long text is left out.
std::string Shorten(const std::string& text) {
  if (text.size() <= kWidth) return text;
  return text.substr(0, kWidth / 2) + " [..] " + text.substr(text.size() - kWidth / 2);
}

std::string Show(const train::TokenizedSample& sample, const text::Tokenizer& tokenizer,
                 bool has_colours) {
  std::string text;
  const std::vector<int32_t>&ids = sample.sample.ids, &labels = sample.sample.labels;
  for (size_t first = 0; first < ids.size();) {
    const auto is_trained = [&](size_t i) { return i > 0 && labels[i] != train::kIgnored; };
    size_t last = first;
    while (last < ids.size() && is_trained(last) == is_trained(first)) ++last;
    const std::string part =
        Printable(Shorten(tokenizer.Decode(std::span(ids).subspan(first, last - first), true)));
    if (!is_trained(first))
      text += part;
    else
      text += has_colours ? "\x1b[32m" + part + "\x1b[0m" : "[[" + part + "]]";
    first = last;
  }
  return text;
}

std::string Describe(const char* what, const train::PreparedPart& part) {
  return fmt::format("{}: {} samples, {} tokens, {} of them trained\n", what, part.samples.size(),
                     part.tokens(), part.trained());
}

}  // namespace

std::string MaskReport(const train::PreparedData& data, format::DataFormat data_format,
                       bool keeps_leaks, const text::Tokenizer& tokenizer, bool has_colours) {
  std::string text = fmt::format("data: {}\n", format::Name(data_format));
  text += Describe("train", data.train);
  if (!data.eval.samples.empty()) text += Describe("eval", data.eval);
  if (!data.duplicates.empty())
    text += fmt::format("{} near duplicates were removed: lines {}\n", data.duplicates.size(),
                        Lines(data.duplicates));
  if (!data.leaks.empty())
    text += fmt::format("{} examples of eval are in train as well and were {}: lines {}\n",
                        data.leaks.size(), keeps_leaks ? "kept" : "left out", Lines(data.leaks));
  const std::vector<train::TokenizedSample>& samples = data.train.samples;
  for (size_t i = 0; i < std::min(kShown, samples.size()); ++i) {
    const size_t at = samples.size() <= kShown ? i : i * (samples.size() - 1) / (kShown - 1);
    text += fmt::format("--- line {}, what is trained {}\n{}\n", samples[at].line,
                        has_colours ? "in green" : "in [[ ]]",
                        Show(samples[at], tokenizer, has_colours));
  }
  return text + "---\n";
}

void CheckAllTrained(const train::PreparedPart& part, const std::string& path, int64_t longest,
                     bool may_cut, bool may_skip) {
  if (!part.cut.empty() && !may_cut)
    throw Error(Code::kBadInput,
                "{}: {} samples are longer than {} tokens and would be cut: lines {}. Raise --seq, "
                "or allow it with --allow-cut",
                path, part.cut.size(), longest, Lines(part.cut));
  if (!part.untrained.empty() && !may_skip)
    throw Error(Code::kBadInput,
                "{}: {} samples train nothing: lines {}. Mend them, or leave them out with "
                "--allow-untrained",
                path, part.untrained.size(), Lines(part.untrained));
  if (part.samples.empty()) throw Error(Code::kBadInput, "{}: nothing is trained", path);
}

}  // namespace slm::cli
