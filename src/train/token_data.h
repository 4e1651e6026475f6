// Samples that somebody else tokenized.
#pragma once

#include <string>
#include <vector>

#include "train/sample.h"

namespace slm::train {

// Lines {"ids": [..], "labels": [..]} that are trained as they are, see Sample. Throws kBadInput,
// naming file and line, for lists of different lengths, what is no integer, ids that are not in the
// vocabulary, and lines that train nothing.
std::vector<Sample> ReadTokenData(const std::string& path, int64_t vocab);

}  // namespace slm::train
