#include "quant/packed.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/target.h"
#include "quant/nf4_panel.h"

namespace slm::quant {
namespace {

uint32_t Load32(const uint8_t* p) {
  uint32_t word;
  std::memcpy(&word, p, 4);
  return word;
}

// Nibbles of 16 bytes: elements 0..15 low, 16..31 high.
void SplitNibbles(const uint8_t* qs, uint8_t* code) {
  for (int i = 0; i < 16; ++i) {
    code[i] = qs[i] & 15;
    code[16 + i] = qs[i] >> 4;
  }
}

void AddHighBits(const uint8_t qh[4], uint8_t* code) {
  for (int byte = 0; byte < 4; ++byte) {
    // Eight copies of the byte, of which each keeps a bit of its own, and then has 16 for it.
    uint64_t bits = qh[byte] * 0x0101010101010101u & 0x8040201008040201u;
    bits = (bits + 0x7f7f7f7f7f7f7f7fu) >> 3 & 0x1010101010101010u;
    uint64_t codes;
    std::memcpy(&codes, code + 8 * byte, 8);
    codes |= bits;
    std::memcpy(code + 8 * byte, &codes, 8);
  }
}

// Bits kBits at a time of 32 bytes, lowest first: code[32 j + l] = part j of qs[l].
template <int kBits>
void SplitBits(const uint8_t* qs, uint8_t* code) {
  SLM_UNROLL
  for (int j = 0; j < 8 / kBits; ++j)
    for (int l = 0; l < 32; ++l)
      code[32 * j + l] = static_cast<uint8_t>(qs[l] >> (kBits * j) & ((1 << kBits) - 1));
}

// code[32 j + l] gets part j of qs[l] on top, at bit kAt.
template <int kBits, int kAt>
void AddBits(const uint8_t* qs, uint8_t* code) {
  SLM_UNROLL
  for (int j = 0; j < 8 / kBits; ++j)
    for (int l = 0; l < 32; ++l)
      code[32 * j + l] = static_cast<uint8_t>(code[32 * j + l] |
                                              (qs[l] >> (kBits * j) & ((1 << kBits) - 1)) << kAt);
}

void FromQ4K(const uint8_t* qs, const uint8_t scales[12], IntegerBlock* out) {
  for (int s = 0; s < 8; ++s) {
    uint8_t scale;
    UnpackScaleMinK4(scales, s, &scale, &out->min[s]);
    out->scale[s] = static_cast<int8_t>(scale);
  }
  for (int j = 0; j < 4; ++j) SplitBits<4>(qs + 32 * j, out->code + 64 * j);
}

// The bits of one row's 4 codes of group g go to (or come from) these places of a unit; see the
// header.
struct Piece {
  int plane;
  int shift_in_byte;  // where the piece lies in its plane
  int shift_in_code;  // which bits of the code it is
  uint32_t mask;      // of the code's bits, in each of four bytes, before shift_in_code
};

// The pieces of group g; returns how many.
constexpr int PiecesOf(int bits, int g, Piece out[2]) {
  const Piece nibble = {g % 4, 4 * (g / 4), 0, 0x0f0f0f0f};
  switch (bits) {
    case 8:
      out[0] = {g, 0, 0, 0xffffffff};
      return 1;
    case 4:
      out[0] = nibble;
      return 1;
    case 5:
      out[0] = nibble;
      out[1] = {4, g, 4, 0x01010101};
      return 2;
    case 6:
      out[0] = nibble;
      out[1] = {4 + g / 4, 2 * (g % 4), 4, 0x03030303};
      return 2;
    case 2:
      out[0] = {g / 4, 2 * (g % 4), 0, 0x03030303};
      return 1;
    case 3:
      out[0] = {g / 4, 2 * (g % 4), 0, 0x03030303};
      out[1] = {2, g, 2, 0x01010101};
      return 2;
  }
  SLM_CHECK(false);
}

// What one row has of the planes of a unit: word p goes to plane p.
template <int kBits>
void PlaneWords(const uint8_t code[kUnit], uint32_t words[kBits]) {
  if constexpr (kBits == 8) {
    std::memcpy(words, code, kUnit);
    return;
  }
  uint32_t planes[kBits] = {};
  SLM_UNROLL
  for (int g = 0; g < kUnit / 4; ++g) {
    Piece pieces[2];
    const int count = PiecesOf(kBits, g, pieces);
    SLM_UNROLL
    for (int p = 0; p < count; ++p)
      planes[pieces[p].plane] |= (Load32(code + 4 * g) >> pieces[p].shift_in_code & pieces[p].mask)
                                 << pieces[p].shift_in_byte;
  }
  std::memcpy(words, planes, sizeof planes);
}

// Columns of `rows` become rows of 16, missing ones of which are zero. Rows are read in pieces of a
// few cache lines: 16 lines at a distance of a power of two, one for each row, would push each
// other out of the cache before all of their elements were read.
// `bytes` of each row are read; what lacks to a whole element is zero.
template <class Element>
void Interleave(const uint8_t* src, size_t row_bytes, int rows, size_t bytes, uint8_t* panel) {
  constexpr size_t kPiece = 128 / sizeof(Element);
  Element piece[kPanelRows][kPiece] = {};
  Element turned[kPiece][kPanelRows];
  for (size_t begin = 0; begin < bytes; begin += 128) {
    const size_t of_row = std::min<size_t>(128, bytes - begin);
    const size_t count = (of_row + sizeof(Element) - 1) / sizeof(Element);
    if (of_row % sizeof(Element) != 0) std::memset(piece, 0, sizeof piece);
    for (int r = 0; r < rows; ++r)
      std::memcpy(piece[r], src + static_cast<size_t>(r) * row_bytes + begin, of_row);
    for (size_t i = 0; i < kPiece; ++i)
      for (int r = 0; r < kPanelRows; ++r) turned[i][r] = piece[r][i];
    std::memcpy(panel + kPanelRows * begin, turned, sizeof turned[0] * count);
  }
}

template <int kBits>
void PackBlocks(Type type, const uint8_t* src, size_t row_bytes, int rows, int64_t k,
                uint8_t* panel) {
  const Grid grid = GridOf(type);
  const size_t src_block = Traits(type).block_bytes;
  const int words = grid.block / kUnit * kBits;  // of one row of a block
  uint32_t of_row[kPanelRows][kSuperBlockSize / kUnit * kBits];
  if (rows < kPanelRows) {
    std::memset(of_row, 0, sizeof of_row);
    std::memset(panel, 0, PanelBytes(type, k));
  }
  IntegerBlock x;
  for (int64_t b = 0; b < k / grid.block; ++b, panel += grid.block_bytes()) {
    const uint8_t* from = src + static_cast<size_t>(b) * src_block;
    for (int r = 0; r < rows; ++r, from += row_bytes) {
      // The same block of the row in the next panel: the hardware foresees none of 16 short
      // streams.
      const uint8_t* next = from + kPanelRows * row_bytes;
      for (size_t line = 0; line < src_block; line += 64) __builtin_prefetch(next + line);
      ToIntegers(type, from, &x);
      for (int u = 0; u < grid.block / kUnit; ++u)
        PlaneWords<kBits>(x.code + kUnit * u, of_row[r] + kBits * u);
      uint8_t* scales = panel + grid.scales() + r;
      for (int s = 0; s < grid.sub_blocks(); ++s) scales[16 * s] = static_cast<uint8_t>(x.scale[s]);
      uint8_t* mins = panel + grid.mins() + r;
      if (grid.has_min)
        for (int s = 0; s < grid.sub_blocks(); ++s) mins[16 * s] = x.min[s];
      std::memcpy(panel + grid.d() + 2 * r, &x.d, 2);
      if (grid.has_min) std::memcpy(panel + grid.m() + 2 * r, &x.m, 2);
    }
    for (int w = 0; w < words; ++w) {
      uint32_t turned[kPanelRows];
      for (int r = 0; r < kPanelRows; ++r) turned[r] = of_row[r][w];
      std::memcpy(panel + 64 * w, turned, sizeof turned);
    }
  }
}

template <class Block>
const Block& As(const uint8_t* bytes) {
  static_assert(alignof(Block) <= 2);
  return *reinterpret_cast<const Block*>(bytes);
}

}  // namespace

void ToIntegers(Type type, const uint8_t* block, IntegerBlock* out) {
  switch (type) {
    case Type::kQ8_0: {
      const auto& b = As<BlockQ8_0>(block);
      std::memcpy(out->code, b.qs, 32);
      out->d = b.d;
      return;
    }
    case Type::kQ4_0: {
      const auto& b = As<BlockQ4_0>(block);
      SplitNibbles(b.qs, out->code);
      out->d = b.d;
      return;
    }
    case Type::kIQ4_NL: {
      const auto& b = As<BlockIQ4_NL>(block);
      SplitNibbles(b.qs, out->code);
      out->d = b.d;
      return;
    }
    case Type::kQ4_1: {
      const auto& b = As<BlockQ4_1>(block);
      SplitNibbles(b.qs, out->code);
      out->d = b.d, out->m = b.m;
      return;
    }
    case Type::kQ5_0: {
      const auto& b = As<BlockQ5_0>(block);
      SplitNibbles(b.qs, out->code);
      AddHighBits(b.qh, out->code);
      out->d = b.d;
      return;
    }
    case Type::kQ5_1: {
      const auto& b = As<BlockQ5_1>(block);
      SplitNibbles(b.qs, out->code);
      AddHighBits(b.qh, out->code);
      out->d = b.d, out->m = b.m;
      return;
    }
    case Type::kQ2_K: {
      const auto& b = As<BlockQ2_K>(block);
      for (int s = 0; s < 16; ++s) {
        out->scale[s] = static_cast<int8_t>(b.scales[s] & 15);
        out->min[s] = b.scales[s] >> 4;
      }
      for (int h = 0; h < 2; ++h) SplitBits<2>(b.qs + 32 * h, out->code + 128 * h);
      out->d = b.d, out->m = b.dmin;
      return;
    }
    case Type::kQ3_K: {
      const auto& b = As<BlockQ3_K>(block);
      for (int s = 0; s < 16; ++s) out->scale[s] = static_cast<int8_t>(UnpackScaleQ3K(b.scales, s));
      for (int h = 0; h < 2; ++h) SplitBits<2>(b.qs + 32 * h, out->code + 128 * h);
      AddBits<1, 2>(b.hmask, out->code);
      out->d = b.d;
      return;
    }
    case Type::kQ4_K: {
      const auto& b = As<BlockQ4_K>(block);
      FromQ4K(b.qs, b.scales, out);
      out->d = b.d, out->m = b.dmin;
      return;
    }
    case Type::kQ5_K: {
      const auto& b = As<BlockQ5_K>(block);
      FromQ4K(b.qs, b.scales, out);
      AddBits<1, 4>(b.qh, out->code);
      out->d = b.d, out->m = b.dmin;
      return;
    }
    case Type::kQ6_K: {
      const auto& b = As<BlockQ6_K>(block);
      std::memcpy(out->scale, b.scales, 16);
      for (int h = 0; h < 2; ++h) {
        uint8_t* code = out->code + 128 * h;
        for (int l = 0; l < 64; ++l) {
          code[l] = b.ql[64 * h + l] & 15;
          code[64 + l] = b.ql[64 * h + l] >> 4;
        }
        AddBits<2, 4>(b.qh + 32 * h, code);
      }
      out->d = b.d;
      return;
    }
    case Type::kIQ4_XS: {
      const auto& b = As<BlockIQ4_XS>(block);
      for (int s = 0; s < 8; ++s) {
        out->scale[s] = static_cast<int8_t>(UnpackScaleIQ4XS(b, s));
        SplitNibbles(b.qs + 16 * s, out->code + 32 * s);
      }
      out->d = b.d;
      return;
    }
    case Type::kF32:
    case Type::kF16:
    case Type::kBF16:
    case Type::kNF4:
      break;
  }
  SLM_CHECK(false);
}

size_t PanelBytes(Type type, int64_t k) {
  if (type == Type::kNF4) return Nf4Panel(k / kNf4Block).bytes;
  const TypeTraits& traits = Traits(type);
  const Grid grid = GridOf(type);
  const size_t blocks = static_cast<size_t>(k / traits.block_size);
  if (type == Type::kBF16) return (blocks + 1) / 2 * kPanelRows * 4;
  return blocks * (grid.bits ? grid.block_bytes() : kPanelRows * traits.block_bytes);
}

void PackPanel(Type type, const uint8_t* src, size_t row_bytes, int rows, int64_t k,
               uint8_t* panel) {
  if (type == Type::kNF4) return PackNf4Panel(src, row_bytes, rows, k, panel);
  switch (GridOf(type).bits) {
    case 0:
      return type == Type::kF16
                 ? Interleave<uint16_t>(src, row_bytes, rows, 2 * static_cast<size_t>(k), panel)
                 : Interleave<uint32_t>(src, row_bytes, rows,
                                        Traits(type).block_bytes * static_cast<size_t>(k), panel);
    case 2:
      return PackBlocks<2>(type, src, row_bytes, rows, k, panel);
    case 3:
      return PackBlocks<3>(type, src, row_bytes, rows, k, panel);
    case 4:
      return PackBlocks<4>(type, src, row_bytes, rows, k, panel);
    case 5:
      return PackBlocks<5>(type, src, row_bytes, rows, k, panel);
    case 6:
      return PackBlocks<6>(type, src, row_bytes, rows, k, panel);
    case 8:
      return PackBlocks<8>(type, src, row_bytes, rows, k, panel);
  }
  SLM_CHECK(false);
}

void UnpackBlock(Type type, const uint8_t* panel, int64_t block_index, int row, IntegerBlock* out) {
  const Grid grid = GridOf(type);
  const uint8_t* from = panel + static_cast<size_t>(block_index) * grid.block_bytes();
  for (int i = 0; i < grid.block; i += 4) {
    const uint8_t* unit = from + static_cast<size_t>(i / kUnit) * grid.unit_bytes();
    Piece pieces[2];
    const int count = PiecesOf(grid.bits, i % kUnit / 4, pieces);
    uint32_t codes = 0;
    for (int p = 0; p < count; ++p) {
      const Piece& piece = pieces[p];
      const uint32_t bits = Load32(unit + 64 * piece.plane + 4 * row) >> piece.shift_in_byte;
      codes |= (bits & piece.mask) << piece.shift_in_code;
    }
    std::memcpy(out->code + i, &codes, 4);
  }
  for (int s = 0; s < grid.sub_blocks(); ++s) {
    out->scale[s] = static_cast<int8_t>(from[grid.scales() + static_cast<size_t>(16 * s + row)]);
    if (grid.has_min) out->min[s] = from[grid.mins() + static_cast<size_t>(16 * s + row)];
  }
  std::memcpy(&out->d, from + grid.d() + static_cast<size_t>(2 * row), 2);
  if (grid.has_min) std::memcpy(&out->m, from + grid.m() + static_cast<size_t>(2 * row), 2);
}

void UnpackRow(Type type, const uint8_t* panel, int64_t k, int row, uint8_t* out) {
  if (type == Type::kNF4) return UnpackNf4Row(panel, k, row, out);
  const TypeTraits& traits = Traits(type);
  const Grid grid = GridOf(type);
  const size_t bytes = traits.block_bytes;
  for (int64_t b = 0; b < k / traits.block_size; ++b, out += bytes) {
    if (grid.bits == 0) {
      const int64_t at =
          type == Type::kBF16 ? (b / 2 * kPanelRows + row) * 2 + b % 2 : b * kPanelRows + row;
      std::memcpy(out, panel + static_cast<size_t>(at) * bytes, bytes);
      continue;
    }
    IntegerBlock x;
    UnpackBlock(type, panel, b, row, &x);
    FromIntegers(type, x, out);
  }
}

}  // namespace slm::quant
