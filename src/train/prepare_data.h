// From files of examples to what is trained and what is evaluated, with all that was noticed.
#pragma once

#include <cstdint>
#include <vector>

#include "format/dataset.h"
#include "train/tokenize_example.h"

namespace slm::train {

struct PrepareOptions {
  double eval_share = 0;  // of the examples, taken out by chance, where there is no file
  uint64_t seed = 0;
  bool removes_duplicates = false;  // of an earlier example
  bool keeps_leaks = false;
};

struct PreparedPart {
  std::vector<TokenizedSample> samples;  // that train something
  std::vector<size_t> cut, untrained;    // lines
  int64_t tokens() const;
  int64_t trained() const;
};

struct PreparedData {
  PreparedPart train, eval;
  std::vector<size_t> duplicates;  // lines that were removed
  std::vector<size_t> leaks;  // lines of eval that are in train as well, removed there unless kept
};

// `eval` may be null.
PreparedData Prepare(const format::Dataset& train, const format::Dataset* eval,
                     const ExampleTokenizer& tokenizer, const PrepareOptions& options);

}  // namespace slm::train
