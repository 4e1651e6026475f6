// Blocks of NF4 in GGUF files of slm, and the panel that the kernels read them from.
//
// GGUF knows no NF4; the type's number is slm's own. A block has 64 elements and all that belongs
// to them, so that rows can be read by themselves; that 256 absmaxes share a scale, and all of a
// tensor an offset, saves memory in the panel only: 4.13 bits a weight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <span>

#include "quant/nf4.h"

namespace slm::quant {

struct BlockNf4 {  // kNf4Values[code] * (DynamicMap()[absmax] * scale + offset), each step rounded
  float scale, offset;
  uint8_t qs[kNf4Block / 2];  // the first element in the high half
  uint8_t absmax;
};
inline constexpr size_t kBlockNf4Bytes = 41;  // without padding, of any alignment

void DecodeNf4Blocks(const uint8_t* src, float* dst, int64_t n);
// Blocks of these n elements alone share scales and offset.
void EncodeNf4Blocks(const float* src, uint8_t* dst, int64_t n);
void EncodeNf4BlocksWeighted(const float* src, const float* importance, uint8_t* dst, int64_t n);
// With absmaxes that are known already: block i of these is `first` + i of the tensor. Of floats;
// or of `count` blocks of codes.
void EncodeNf4Blocks(const float* src, const NestedAbsmax& absmax, int64_t first, uint8_t* dst,
                     int64_t n);
void MakeNf4Blocks(const uint8_t* codes, const NestedAbsmax& absmax, int64_t first, int64_t count,
                   uint8_t* dst);

// Where a panel of 16 rows has what, in bytes. It begins with an Nf4PanelHead.
struct Nf4PanelHead {
  uint32_t stretch, codes, absmax;
};
struct Nf4Panel {
  static constexpr size_t kOffsets = 64;  // float [16]
  static constexpr size_t kScales = 128;  // float [blocks / stretch][16]

  explicit constexpr Nf4Panel(int64_t row_blocks)
      : blocks(row_blocks),
        stretch(std::gcd(kNestedBlock, row_blocks)),
        codes(kScales + 64 * static_cast<size_t>(blocks / stretch)),
        absmax(codes + 512 * static_cast<size_t>(blocks)),
        bytes((absmax + 16 * static_cast<size_t>(blocks) + 63) / 64 * 64) {}

  int64_t blocks;
  int64_t stretch;  // blocks of a row that share a scale, wherever in its tensor the row is
  size_t codes;     // [blocks][2 units of 4 bits, as in quant/packed.h]
  size_t absmax;    // uint8 [blocks][16]
  size_t bytes;
};

// As PackPanel and UnpackRow (quant/packed.h). Throws kBadInput for blocks that do not share what
// those of one tensor do.
void PackNf4Panel(const uint8_t* src, size_t row_bytes, int rows, int64_t k, uint8_t* panel);
void UnpackNf4Row(const uint8_t* panel, int64_t k, int row, uint8_t* out);

}  // namespace slm::quant
