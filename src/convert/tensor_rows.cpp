#include "convert/tensor_rows.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "convert/hf_names.h"

namespace slm::convert {
namespace {

int64_t DivideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }

void Scale(const ScaleGrid& grid, int64_t source_row, int64_t row, float* out) {
  const float* scales = grid.values.data() + source_row / grid.row_block * grid.columns;
  for (int64_t begin = 0; begin < row; begin += grid.column_block) {
    const int64_t end = std::min(row, begin + grid.column_block);
    const float scale = scales[begin / grid.column_block];
    for (int64_t i = begin; i < end; ++i) out[i] *= scale;
  }
}

}  // namespace

std::string ShapeText(std::span<const int64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

ScaleGrid ReadScales(const std::string& path, const format::SafetensorsTensor& scales,
                     const format::SafetensorsTensor& weight, const std::vector<int64_t>& block) {
  const auto fail = [&](const std::string& problem) {
    throw Error(Code::kBadInput, "{}: tensor {}: {}", path, scales.name, problem);
  };
  if (!scales.type->decode) fail(fmt::format("scales of type {}", scales.type->name));
  if (weight.shape.size() != 2) fail("scales of what is no matrix");
  const int64_t out = weight.shape[0], in = weight.shape[1];
  ScaleGrid grid;
  if (scales.elements == 1) {
    grid.row_block = std::max<int64_t>(1, out);
    grid.column_block = std::max<int64_t>(1, in);
    grid.columns = 1;
  } else if (scales.elements == out && scales.shape[0] == out) {
    grid.column_block = std::max<int64_t>(1, in);
    grid.columns = 1;
  } else {
    if (block.size() != 2)
      fail(
          fmt::format("expected one scale or {}, got shape {}, and config.json has no "
                      "weight_block_size",
                      out, ShapeText(scales.shape)));
    grid.row_block = block[0];
    grid.column_block = block[1];
    grid.columns = DivideUp(in, block[1]);
    const std::vector<int64_t> expected = {DivideUp(out, block[0]), grid.columns};
    if (scales.shape != expected)
      fail(fmt::format("expected shape {} for blocks of {}, got {}", ShapeText(expected),
                       ShapeText(block), ShapeText(scales.shape)));
  }
  grid.values.resize(static_cast<size_t>(scales.elements));
  scales.type->decode(scales.data.data(), grid.values.data(), scales.elements);
  return grid;
}

void ReadRows(const format::SafetensorsTensor& tensor, const RowTransform& transform, int64_t row,
              int64_t first, int64_t count, float* out) {
  const auto row_bytes = static_cast<size_t>(row * tensor.type->bits / 8);
  const int64_t head_dim = transform.permuted_head_dim;
  if (head_dim == 0 && transform.scales.empty()) {
    tensor.type->decode(tensor.data.data() + static_cast<size_t>(first) * row_bytes, out,
                        count * row);
  } else {
    for (int64_t i = 0; i < count; ++i) {
      const int64_t from = head_dim == 0 ? first + i : HfRowOfGgufRow(first + i, head_dim);
      float* to = out + i * row;
      tensor.type->decode(tensor.data.data() + static_cast<size_t>(from) * row_bytes, to, row);
      if (!transform.scales.empty()) Scale(transform.scales, from, row, to);
    }
  }
  if (transform.adds_one)
    for (int64_t i = 0; i < count * row; ++i) out[i] += 1.0f;
}

}  // namespace slm::convert
