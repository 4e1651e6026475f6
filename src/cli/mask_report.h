// What a training would learn from its data, for people: before the first step.
#pragma once

#include <string>

#include "text/tokenizer.h"
#include "train/prepare_data.h"

namespace slm::cli {

// Counts, what was noticed, and three samples with what is trained of them coloured (or, without
// colours, in brackets).
std::string MaskReport(const train::PreparedData& data, format::DataFormat data_format,
                       bool keeps_leaks, const text::Tokenizer& tokenizer, bool has_colours);

// Throws kBadInput, naming lines, when samples are cut or train nothing and that is not allowed.
void CheckAllTrained(const train::PreparedPart& part, const std::string& path, int64_t longest,
                     bool may_cut, bool may_skip);

}  // namespace slm::cli
