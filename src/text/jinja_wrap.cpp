#include "text/jinja_wrap.h"

#include <algorithm>
#include <deque>

#include "text/jinja_budget.h"
#include "text/jinja_failure.h"
#include "text/jinja_unicode.h"

namespace slm::text::jinja {
namespace {

using CodePoints = std::u32string;

// textwrap knows only these as space.
bool IsBlank(char32_t code) { return code == ' ' || (code >= '\t' && code <= '\r'); }

bool IsWordChar(char32_t code) { return code == '_' || IsAlnum(code); }
bool IsLetter(char32_t code) { return IsWordChar(code) && !IsDecimal(code); }
bool IsWordPunctuation(char32_t code) {
  return IsWordChar(code) ||
         (code < 0x80 &&
          std::string_view("!\"'&.,?").find(static_cast<char>(code)) != std::string_view::npos);
}

// Splits into the pieces between which a line may break: spaces, dashes, words and the parts of
// hyphenated words. Follows textwrap.wordsep_re.
class Splitter {
 public:
  explicit Splitter(const CodePoints& text) : text_(text) {}

  std::vector<CodePoints> Run() {
    std::vector<CodePoints> chunks;
    for (size_t begin = 0; begin < text_.size();) {
      Budget::Step();
      Budget::CheckFits(static_cast<int64_t>(chunks.size()), 2 * sizeof(CodePoints));
      const size_t end = ChunkEnd(begin);
      chunks.push_back(text_.substr(begin, end - begin));
      begin = end;
    }
    return chunks;
  }

 private:
  char32_t At(size_t pos) const { return pos < text_.size() ? text_[pos] : U' '; }

  // The end of a run of two or more dashes between words, or 0.
  size_t DashEnd(size_t pos) const {
    if (pos == 0 || !IsWordPunctuation(At(pos - 1))) return 0;
    size_t end = pos;
    while (end < text_.size() && text_[end] == '-') ++end;
    Budget::StepBytes(end - pos);
    // The word must follow, and the pattern may give dashes back to find it: it never helps.
    return end - pos >= 2 && end < text_.size() && IsWordChar(text_[end]) ? end : 0;
  }

  // Whether a hyphen at `pos` divides a word.
  bool DividesWord(size_t pos) const {
    if (At(pos) != '-' || pos == 0) return false;
    const bool two_letters = pos >= 2 && IsLetter(At(pos - 1)) && IsLetter(At(pos - 2));
    const bool dashed =
        pos >= 3 && IsWordPunctuation(At(pos - 1)) && At(pos - 2) == '-' && IsLetter(At(pos - 3));
    if (!two_letters && !dashed) return false;
    const size_t next = pos + 1;
    if (next >= text_.size() || !IsLetter(text_[next])) return false;
    const size_t after = At(next + 1) == '-' && next + 1 < text_.size() ? next + 2 : next + 1;
    return after < text_.size() && IsLetter(text_[after]);
  }

  size_t ChunkEnd(size_t begin) const {
    size_t end = begin;
    while (end < text_.size() && IsBlank(text_[end])) ++end;
    if (end > begin) return end;
    if (const size_t dash = DashEnd(begin)) return dash;
    for (end = begin + 1; end < text_.size(); ++end) {
      if (IsBlank(text_[end])) return end;
      if (DividesWord(end)) return end + 1;
      if (DashEnd(end) != 0) return end;
    }
    return end;
  }

  const CodePoints& text_;
};

std::vector<CodePoints> SplitAtBlanks(const CodePoints& text) {
  std::vector<CodePoints> chunks;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = begin;
    while (end < text.size() && IsBlank(text[end]) == IsBlank(text[begin])) ++end;
    chunks.push_back(text.substr(begin, end - begin));
    begin = end;
  }
  return chunks;
}

bool IsBlankChunk(const CodePoints& chunk) {
  return std::all_of(chunk.begin(), chunk.end(), IsSpace);
}

// Takes from a word that is longer than a line what still fits, at a hyphen when there is one.
CodePoints BreakWord(CodePoints* word, size_t space, bool break_on_hyphens) {
  size_t end = space;
  if (break_on_hyphens && word->size() > space && space > 0) {
    const size_t hyphen = word->rfind(U'-', space - 1);
    const bool divides = hyphen != CodePoints::npos && hyphen > 0 &&
                         std::any_of(word->begin(), word->begin() + static_cast<ptrdiff_t>(hyphen),
                                     [](char32_t code) { return code != '-'; });
    if (divides) end = hyphen + 1;
  }
  CodePoints head = word->substr(0, end);
  word->erase(0, end);
  return head;
}

}  // namespace

std::vector<std::string> WrapText(std::string_view text, const WrapStyle& style) {
  if (style.width <= 0) {
    throw Failure(FailureKind::kValue, "invalid width {} (must be > 0)", style.width);
  }
  CodePoints codes;
  for (size_t pos = 0; pos < text.size();) codes.push_back(NextCodePoint(text, &pos));
  std::vector<CodePoints> pieces =
      style.break_on_hyphens ? Splitter(codes).Run() : SplitAtBlanks(codes);
  std::deque<CodePoints> chunks(pieces.begin(), pieces.end());
  const auto width = static_cast<size_t>(style.width);
  std::vector<std::string> lines;
  while (!chunks.empty()) {
    std::vector<CodePoints> line;
    size_t length = 0;
    if (IsBlankChunk(chunks.front()) && !lines.empty()) chunks.pop_front();
    while (!chunks.empty() && length + chunks.front().size() <= width) {
      length += chunks.front().size();
      line.push_back(std::move(chunks.front()));
      chunks.pop_front();
    }
    if (!chunks.empty() && chunks.front().size() > width) {
      if (style.break_long_words) {
        Budget::StepBytes(chunks.front().size());
        CodePoints head = BreakWord(&chunks.front(), width - length, style.break_on_hyphens);
        line.push_back(std::move(head));
      } else if (line.empty()) {
        line.push_back(std::move(chunks.front()));
        chunks.pop_front();
      }
    }
    if (!line.empty() && IsBlankChunk(line.back())) line.pop_back();
    if (line.empty()) continue;
    std::string out;
    for (const CodePoints& chunk : line) {
      for (char32_t code : chunk) AppendCodePoint(&out, code);
    }
    lines.push_back(std::move(out));
  }
  return lines;
}

}  // namespace slm::text::jinja
