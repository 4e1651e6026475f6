// Rows of one tensor of a checkpoint as floats.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "format/safetensors.h"

namespace slm::convert {

// "[2, 3]", for messages.
std::string ShapeText(std::span<const int64_t> shape);

// What an FP8 weight [out, in] is multiplied with: scale [r, c] belongs to rows from r * row_block
// and columns from c * column_block.
struct ScaleGrid {
  std::vector<float> values;
  int64_t columns = 0;  // of the grid
  int64_t row_block = 1, column_block = 1;

  bool empty() const { return values.empty(); }
};

// Throws Error kBadInput naming the tensor when the scales do not fit the weight. `block` is
// config.json's weight_block_size or block_structure, empty where it has none.
ScaleGrid ReadScales(const std::string& path, const format::SafetensorsTensor& scales,
                     const format::SafetensorsTensor& weight, const std::vector<int64_t>& block);

struct RowTransform {
  ScaleGrid scales;
  int64_t permuted_head_dim = 0;  // 0: rows as they are; else see HfRowOfGgufRow
  bool adds_one = false;
};

// Fills rows [first, first + count) of the GGUF tensor, `row` elements each.
void ReadRows(const format::SafetensorsTensor& tensor, const RowTransform& transform, int64_t row,
              int64_t first, int64_t count, float* out);

}  // namespace slm::convert
