#include "train/tokenize_example.h"

#include <algorithm>

#include "base/error.h"

namespace slm::train {
namespace {

using nlohmann::ordered_json;

constexpr text::EncodeOptions kServed = {.add_special = true, .parse_special = true};

bool StartsWith(const std::vector<int32_t>& ids, const std::vector<int32_t>& start) {
  return ids.size() >= start.size() && std::equal(start.begin(), start.end(), ids.begin());
}

// Bytes of an empty block of thoughts that the answer begins with, and of the ends of lines behind
// it.
size_t EmptyThoughts(std::string_view answer) {
  constexpr std::string_view kOpen = "<think>", kClose = "</think>", kSpace = " \t\r\n";
  const auto skip = [&](size_t at) {
    return std::min(answer.find_first_not_of(kSpace, at), answer.size());
  };
  const size_t open = skip(0);
  if (!answer.substr(open).starts_with(kOpen)) return 0;
  const size_t close = skip(open + kOpen.size());
  if (!answer.substr(close).starts_with(kClose)) return 0;
  return std::min(answer.find_first_not_of("\r\n", close + kClose.size()), answer.size());
}

}  // namespace

std::string ExampleTokenizer::Render(const format::Example& example, size_t messages,
                                     bool is_prompt) const {
  if (!template_)
    throw Error(Code::kBadInput,
                "the model has no chat template: give one with --chat-template-file, or train on "
                "text");
  ordered_json part = ordered_json::array();
  for (size_t i = 0; i < messages; ++i) {
    part.push_back(example.messages[i]);
    part.back().erase("weight");
  }
  try {
    return template_->RenderChat(part, example.tools, is_prompt, ordered_json::object(),
                                 {.limits = {}, .now = options_.now});
  } catch (const text::jinja::TemplateError& error) {
    throw Error(Code::kBadInput, "line {}: the chat template refuses the conversation: {}",
                example.line, error.what());
  } catch (const Error& error) {
    throw Error(Code::kBadInput, "line {}: {}", example.line, error.what());
  }
}

std::vector<int32_t> ExampleTokenizer::Prompt(const format::Example& example,
                                              size_t messages) const {
  return tokenizer_.Encode(Render(example, messages, true), kServed);
}

// The prompt, not trained, and what message `index` says, trained.
Sample ExampleTokenizer::Answer(const format::Example& example, size_t index,
                                std::vector<int32_t> prompt) const {
  const std::string before = Render(example, index, true);
  const std::string whole = Render(example, index + 1, false);
  std::string answer;
  std::vector<int32_t> ids;
  if (whole.starts_with(before)) {
    answer = whole.substr(before.size());
    // As one text, unless a token would cross the border: then as the server has it.
    ids = tokenizer_.Encode(whole, kServed);
    if (StartsWith(ids, prompt))
      ids.erase(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(prompt.size()));
    else
      ids = tokenizer_.Encode(answer, {.parse_special = true});
  } else {
    // The prompt says more than the conversation does afterwards, such as an opened block of
    // thoughts: the answer begins with the message's own text.
    const ordered_json& message = example.messages[index];
    std::string content = message.value("content", ordered_json()).is_string()
                              ? message.at("content").get<std::string>()
                              : "";
    content.erase(0, std::min(content.find_first_not_of(" \t\r\n"), content.size()));
    // Not before it could begin where both part, nor behind it, in what ends the message.
    const auto parts =
        std::mismatch(whole.begin(), whole.end(), before.begin(), before.end()).first;
    const auto apart = static_cast<size_t>(parts - whole.begin());
    const size_t at = content.empty()
                          ? std::string::npos
                          : whole.find(content, apart - std::min(apart, content.size()));
    if (at == std::string::npos)
      throw Error(Code::kBadInput,
                  "line {}: the chat template does not show where the answer of message {} begins",
                  example.line, index + 1);
    answer = whole.substr(at);
    ids = tokenizer_.Encode(answer, {.parse_special = true});
  }
  const auto end = std::find_if(ids.begin(), ids.end(),
                                [&](int32_t id) { return tokenizer_.IsEndOfGeneration(id); });
  if (end != ids.end()) {
    // Templates close an answer with more than the token that ends it, but not with words.
    const auto is_text = [&](int32_t id) {
      return !tokenizer_.IsControl(id) &&
             tokenizer_.TokenBytes(id).find_first_not_of(" \t\r\n") != std::string_view::npos;
    };
    if (std::any_of(end + 1, ids.end(), is_text))
      throw Error(Code::kBadInput,
                  "line {}: message {} has {} in it, with which an answer ends: what follows would "
                  "not be trained",
                  example.line, index + 1, tokenizer_.TokenBytes(*end));
    ids.erase(end + 1, ids.end());
  } else if (tokenizer_.eot() >= 0 || tokenizer_.eos() >= 0) {
    ids.push_back(tokenizer_.eot() >= 0 ? tokenizer_.eot() : tokenizer_.eos());
  }

  Sample sample;
  sample.ids = std::move(prompt);
  sample.labels.assign(sample.ids.size(), kIgnored);
  size_t untrained = EmptyThoughts(answer);
  for (const int32_t id : ids) {
    sample.ids.push_back(id);
    sample.labels.push_back(untrained > 0 ? kIgnored : id);
    untrained -= std::min(untrained, tokenizer_.TokenBytes(id).size());
  }
  return sample;
}

void ExampleTokenizer::AppendText(const format::Example& example,
                                  std::vector<TokenizedSample>* samples) const {
  std::vector<int32_t> ids = tokenizer_.Encode(example.text, {.add_special = true});
  if (tokenizer_.eos() >= 0 && (ids.empty() || ids.back() != tokenizer_.eos()))
    ids.push_back(tokenizer_.eos());
  const auto longest = static_cast<size_t>(options_.longest);
  const bool has_bos =
      longest > 2 && tokenizer_.bos() >= 0 && !ids.empty() && ids.front() == tokenizer_.bos();
  // The last token of a part is the first of the next, behind its BOS, so that it is predicted
  // once.
  for (size_t at = 0; at + 1 < ids.size();) {
    TokenizedSample part;
    std::vector<int32_t>& own = part.sample.ids;
    if (at > 0 && has_bos) own.push_back(tokenizer_.bos());
    const auto first = ids.begin() + static_cast<std::ptrdiff_t>(at);
    const size_t count = std::min(longest - own.size(), ids.size() - at);
    own.insert(own.end(), first, first + static_cast<std::ptrdiff_t>(count));
    part.sample.labels = own;
    if (at > 0 && has_bos) part.sample.labels[1] = kIgnored;
    part.line = example.line;
    part.whole_tokens = static_cast<int64_t>(own.size());
    at += count - 1;
    samples->push_back(std::move(part));
  }
}

std::vector<TokenizedSample> ExampleTokenizer::Tokenize(const format::Example& example) const {
  std::vector<TokenizedSample> samples;
  if (example.messages.empty()) {
    AppendText(example, &samples);
    return samples;
  }
  Sample sample;
  const auto finish = [&] {
    if (sample.ids.empty()) return;
    TokenizedSample done;
    done.line = example.line;
    done.whole_tokens = static_cast<int64_t>(sample.ids.size());
    const auto kept = static_cast<size_t>(std::min(done.whole_tokens, options_.longest));
    sample.ids.resize(kept);
    sample.labels.resize(kept);
    done.sample = std::move(sample);
    sample = {};
    samples.push_back(std::move(done));
  };
  for (size_t i = 0; i < example.messages.size(); ++i) {
    const ordered_json& message = example.messages[i];
    if (message.at("role") != "assistant" || message.value("weight", ordered_json(1)) == 0)
      continue;
    std::vector<int32_t> prompt = Prompt(example, i);
    // What was said so far goes on, where it stands in this prompt as it was said.
    if (!StartsWith(prompt, sample.ids)) finish();
    const std::vector<int32_t> labels = sample.labels;
    sample = Answer(example, i, std::move(prompt));
    std::copy(labels.begin(), labels.end(), sample.labels.begin());
  }
  finish();
  return samples;
}

}  // namespace slm::train
