// Examples that say nearly the same as an earlier one.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace slm::train {

inline constexpr size_t kNoDuplicate = ~size_t{0};

// For each text the index of the first one before it that is a near duplicate, or kNoDuplicate:
// the sets of their runs of three words, without case and punctuation and those that many texts
// have, such as an instruction, have a Jaccard similarity of at least 0.8. Candidates come from
// MinHash (Broder 1997): of those at the limit one in 10^7 is missed, of those that are equal none.
std::vector<size_t> FindDuplicates(const std::vector<std::string>& texts);

}  // namespace slm::train
