// The layout in which the CPU kernels read quantized weights, and how it is made from the blocks of
// a file.
//
// A panel holds 16 rows, interleaved so that nothing is summed across SIMD lanes: group g of a unit
// of 32 elements is 64 bytes, byte 4 r + i belonging to row r and element 4 g + i. A panel is a
// sequence of packed blocks (of 32 or 256 elements, as in the file); rows past the end of the
// matrix have zero scales. A packed block is:
//
//   units    64 * bits bytes per 32 elements, split into planes of 64 bytes:
//            8 bits: groups 0..7
//            4 bits: plane g (g < 4) has group g in the low nibbles, group 4 + g in the high ones
//            5 bits: the four planes of 4 bits; one with bit g of each byte = bit 4 of group g
//            6 bits: the four planes of 4 bits; two, plane g / 4 with bits 4 and 5 of group g at
//                    bits 2 (g % 4) and up
//            2 bits: two planes, plane g / 4 with group g at bits 2 (g % 4) and up
//            3 bits: the two planes of 2 bits; one with bit g of each byte = bit 2 of group g
//   scales   int8 [block / sub_block][16 rows], only where the file has integer scales
//   mins     uint8 [block / sub_block][16 rows], only where the file has integer mins
//   d        half [16 rows]
//   m        half [16 rows], only where the type has a min: m of Q4_1 and Q5_1, dmin of the _K
//   types
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <type_traits>
#include <utility>

#include "quant/blocks.h"
#include "quant/type.h"

namespace slm::quant {

// The layout's name and version: what files of packed weights are known by. To be raised whenever
// what PackPanel writes changes.
inline constexpr const char* kPanelLayout = "panels-of-16";
inline constexpr uint32_t kPanelVersion = 2;

inline constexpr int kPanelRows = 16;
inline constexpr int kUnit = 32;  // elements

// What a quantized type is in integers: an element's value is its code minus `zero`, or
// kIq4NlValues[code], or, with 8 bits, the code as int8. The weight is d * scale * value - dmin *
// min (block of 256) or d * value + m (block of 32).
struct Grid {
  int bits = 0;  // 0: not a quantized type
  int zero = 0;
  bool is_table = false;
  bool has_min = false;
  int block = 0;      // elements that share d: 32 or 256
  int sub_block = 0;  // elements that share an integer scale: 16 or 32

  constexpr bool has_scales() const { return block == kSuperBlockSize; }
  constexpr int sub_blocks() const { return !has_scales() ? 0 : sub_block == 16 ? 16 : 8; }
  constexpr size_t unit_bytes() const { return static_cast<size_t>(64 * bits); }
  // Offsets inside a packed block.
  constexpr size_t scales() const { return static_cast<size_t>(block / kUnit) * unit_bytes(); }
  constexpr size_t mins() const { return scales() + 16u * static_cast<size_t>(sub_blocks()); }
  constexpr size_t d() const {
    return mins() + (has_min ? 16u * static_cast<size_t>(sub_blocks()) : 0u);
  }
  constexpr size_t m() const { return d() + 32; }
  constexpr size_t block_bytes() const { return m() + (has_min ? 32u : 0u); }
};

constexpr Grid GridOf(Type type) {
  switch (type) {
    case Type::kQ8_0:
      return {.bits = 8, .block = 32, .sub_block = 32};
    case Type::kQ4_0:
      return {.bits = 4, .zero = 8, .block = 32, .sub_block = 32};
    case Type::kQ4_1:
      return {.bits = 4, .has_min = true, .block = 32, .sub_block = 32};
    case Type::kQ5_0:
      return {.bits = 5, .zero = 16, .block = 32, .sub_block = 32};
    case Type::kQ5_1:
      return {.bits = 5, .has_min = true, .block = 32, .sub_block = 32};
    case Type::kIQ4_NL:
      return {.bits = 4, .is_table = true, .block = 32, .sub_block = 32};
    case Type::kQ2_K:
      return {.bits = 2, .has_min = true, .block = 256, .sub_block = 16};
    case Type::kQ3_K:
      return {.bits = 3, .zero = 4, .block = 256, .sub_block = 16};
    case Type::kQ4_K:
      return {.bits = 4, .has_min = true, .block = 256, .sub_block = 32};
    case Type::kQ5_K:
      return {.bits = 5, .has_min = true, .block = 256, .sub_block = 32};
    case Type::kQ6_K:
      return {.bits = 6, .zero = 32, .block = 256, .sub_block = 16};
    case Type::kIQ4_XS:
      return {.bits = 4, .is_table = true, .block = 256, .sub_block = 32};
    case Type::kF32:
    case Type::kF16:
    case Type::kBF16:
    case Type::kNF4:
      break;
  }
  return {};
}

inline constexpr Type kQuantizedTypes[] = {Type::kQ8_0, Type::kQ4_0,   Type::kQ4_1, Type::kQ5_0,
                                           Type::kQ5_1, Type::kIQ4_NL, Type::kQ2_K, Type::kQ3_K,
                                           Type::kQ4_K, Type::kQ5_K,   Type::kQ6_K, Type::kIQ4_XS};

// f(integral_constant<Type, t>()) for every one of them.
template <class F>
void ForQuantizedTypes(const F& f) {
  [&]<size_t... i>(std::index_sequence<i...>) {
    (f(std::integral_constant<Type, kQuantizedTypes[i]>()), ...);
  }
  (std::make_index_sequence<std::size(kQuantizedTypes)>());
}

// One block of one row in integers.
struct IntegerBlock {
  uint8_t code[kSuperBlockSize];
  int8_t scale[16];
  uint8_t min[16];
  uint16_t d, m;  // halves; of the float types nothing is filled
};

constexpr int ValueOf(const Grid& grid, uint8_t code) {
  if (grid.is_table) return kIq4NlValues[code & 15];
  return grid.bits == 8 ? static_cast<int8_t>(code) : code - grid.zero;
}

// `block` is one block as it lies in the file.
void ToIntegers(Type type, const uint8_t* block, IntegerBlock* out);

// The way back; scales, mins and codes are within what the type holds.
void FromIntegers(Type type, const IntegerBlock& in, uint8_t* block);

// Bytes of one panel with k elements a row (k a multiple of the type's block). The float types keep
// their elements, interleaved as [k][16], those of BF16 as [k / 2][16][2], filled up by a zero; NF4
// has a panel of its own (quant/nf4_panel.h).
size_t PanelBytes(Type type, int64_t k);

// Makes one panel from `rows` (1..16) rows of the file, `row_bytes` apart.
void PackPanel(Type type, const uint8_t* src, size_t row_bytes, int rows, int64_t k,
               uint8_t* panel);

// Reads one block of one row back: ToIntegers of what was packed.
void UnpackBlock(Type type, const uint8_t* panel, int64_t block_index, int row, IntegerBlock* out);

// Reads one row of k elements back: the bytes that it has in the file.
void UnpackRow(Type type, const uint8_t* panel, int64_t k, int row, uint8_t* out);

}  // namespace slm::quant
