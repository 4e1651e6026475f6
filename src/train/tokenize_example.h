// From conversations to tokens and labels, by the code that serves them: the ids before an answer
// are those that the server makes of the same messages, and the answer is what the model would have
// to say then, up to the token that ends it.
#pragma once

#include <cstdint>
#include <ctime>
#include <functional>
#include <vector>

#include "format/dataset.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"
#include "train/sample.h"

namespace slm::train {

// A sample and where it is from.
struct TokenizedSample {
  Sample sample;
  size_t line = 0;
  int64_t whole_tokens = 0;  // before it was cut
  bool is_cut() const { return whole_tokens > static_cast<int64_t>(sample.ids.size()); }
};

struct TokenizeOptions {
  int64_t longest = 0;                // ids of a sample: what is longer is cut behind
  std::function<std::tm()> now = {};  // for templates; empty: the clock of the system
};

class ExampleTokenizer {
 public:
  // Both must outlive the result; the template may be null where all examples are text.
  ExampleTokenizer(const text::Tokenizer& tokenizer, const text::ChatTemplate* chat_template,
                   const TokenizeOptions& options)
      : tokenizer_(tokenizer), template_(chat_template), options_(options) {}

  // One sample of a conversation, in which every answer is trained; several, one for each answer,
  // where the prompt of a later answer does not begin with the earlier ones as they were said (some
  // templates leave out reasoning). A message's "weight": 0 leaves its answer out. Of a text, as
  // many as it is long, each with the BOS that one has. Throws kBadInput, naming the line, when the
  // template refuses it.
  std::vector<TokenizedSample> Tokenize(const format::Example& example) const;

 private:
  std::vector<int32_t> Prompt(const format::Example& example, size_t messages) const;
  Sample Answer(const format::Example& example, size_t index, std::vector<int32_t> prompt) const;
  void AppendText(const format::Example& example, std::vector<TokenizedSample>* samples) const;
  std::string Render(const format::Example& example, size_t messages, bool is_prompt) const;

  const text::Tokenizer& tokenizer_;
  const text::ChatTemplate* template_;
  const TokenizeOptions options_;
};

}  // namespace slm::train
