#include "train/prepare_data.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/random.h"
#include "train/duplicates.h"

namespace slm::train {
namespace {

// What people and the model say in it.
std::string TextOf(const format::Example& example) {
  std::string text = example.text;
  for (const nlohmann::ordered_json& message : example.messages)
    if (message.at("role") != "system" && message.contains("content") &&
        message.at("content").is_string())
      text += message.at("content").get<std::string>() + "\n";
  return text;
}

// Chosen by chance, as many as `share` of `size` is.
std::set<size_t> Choose(size_t size, double share, uint64_t seed) {
  std::vector<std::pair<uint64_t, size_t>> order;
  for (size_t i = 0; i < size; ++i) order.push_back({RandomBits(~seed, i), i});
  std::sort(order.begin(), order.end());
  std::set<size_t> chosen;
  const auto count = static_cast<size_t>(std::llround(share * static_cast<double>(size)));
  for (size_t i = 0; i < std::min(count, size); ++i) chosen.insert(order[i].second);
  return chosen;
}

void Append(const std::string& path, const format::Example& example,
            const ExampleTokenizer& tokenizer, PreparedPart* part) {
  std::vector<TokenizedSample> samples;
  try {
    samples = tokenizer.Tokenize(example);
  } catch (const Error& error) {
    throw Error(error.code(), "{}: {}", path, error.what());
  }
  for (const TokenizedSample& sample : samples) {
    if (sample.is_cut()) part->cut.push_back(sample.line);
    if (sample.sample.trained() > 0)
      part->samples.push_back(sample);
    else
      part->untrained.push_back(sample.line);
  }
  if (samples.empty()) part->untrained.push_back(example.line);
}

}  // namespace

int64_t PreparedPart::tokens() const {
  int64_t sum = 0;
  for (const TokenizedSample& sample : samples)
    sum += static_cast<int64_t>(sample.sample.ids.size());
  return sum;
}

int64_t PreparedPart::trained() const {
  int64_t sum = 0;
  for (const TokenizedSample& sample : samples) sum += sample.sample.trained();
  return sum;
}

PreparedData Prepare(const format::Dataset& train, const format::Dataset* eval,
                     const ExampleTokenizer& tokenizer, const PrepareOptions& options) {
  // All examples, those of the training first, so that what eval repeats is found behind them.
  std::vector<const format::Example*> examples, held_out;
  const std::set<size_t> chosen =
      eval ? std::set<size_t>() : Choose(train.examples.size(), options.eval_share, options.seed);
  for (size_t i = 0; i < train.examples.size(); ++i)
    (chosen.count(i) ? held_out : examples).push_back(&train.examples[i]);
  if (eval)
    for (const format::Example& example : eval->examples) held_out.push_back(&example);
  const size_t trained = examples.size();
  examples.insert(examples.end(), held_out.begin(), held_out.end());

  PreparedData data;
  std::vector<size_t> first(examples.size(), kNoDuplicate);
  if (options.removes_duplicates || !held_out.empty()) {
    std::vector<std::string> texts;
    for (const format::Example* example : examples) texts.push_back(TextOf(*example));
    first = FindDuplicates(texts);
  }
  std::set<size_t> leaked;
  for (size_t i = trained; i < examples.size(); ++i)
    if (first[i] < trained) {
      leaked.insert(i);
      data.leaks.push_back(examples[i]->line);
    }
  for (size_t i = 0; i < examples.size(); ++i) {
    if (leaked.count(i) && !options.keeps_leaks) continue;
    if (i < trained && options.removes_duplicates && first[i] != kNoDuplicate) {
      data.duplicates.push_back(examples[i]->line);
      continue;
    }
    Append(i >= trained && eval ? eval->path : train.path, *examples[i], tokenizer,
           i < trained ? &data.train : &data.eval);
  }
  return data;
}

}  // namespace slm::train
