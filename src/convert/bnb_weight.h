// A weight of 4 bits in a checkpoint of bitsandbytes: NF4 codes with absmaxes beside, of 64
// elements each, which may be rounded to 8 bits in turn ("double quantization"). Formats of
// bitsandbytes 0.50, functional.py: QuantState.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "format/safetensors.h"
#include "quant/nf4.h"

namespace slm::convert {

struct BnbWeight {
  std::vector<int64_t> shape;  // [out, in], of the weight
  const format::SafetensorsTensor* codes = nullptr;
  quant::NestedAbsmax absmax;
  bool is_rounded = false;  // the file's absmaxes are floats

  // What one row means, [in].
  void ReadRow(int64_t row, float* out) const;
  // The row as blocks of NF4 (quant/nf4_panel.h), where its blocks are its own.
  bool has_row_blocks() const { return shape[1] % quant::kNf4Block == 0; }
  void ReadRowBlocks(int64_t row, uint8_t* blocks) const;
};

// What stands beside a weight X is named X.<part>.
inline constexpr std::string_view kBnbState = ".quant_state.bitsandbytes__nf4";

// `find` gives the tensor X.<part>, or nullptr. Throws kBadInput naming what does not belong
// together, kUnsupported for other blocks than of 64 elements.
BnbWeight ReadBnbWeight(
    const std::string& folder, const format::SafetensorsTensor& codes,
    const std::function<const format::SafetensorsTensor*(std::string_view part)>& find);

}  // namespace slm::convert
