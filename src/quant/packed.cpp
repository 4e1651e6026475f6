#include "quant/packed.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace slm::quant {
namespace {

uint32_t Load32(const uint8_t* p) {
  uint32_t word;
  std::memcpy(&word, p, 4);
  return word;
}

void Or32(uint8_t* p, uint32_t bits) {
  const uint32_t word = Load32(p) | bits;
  std::memcpy(p, &word, 4);
}

// Nibbles of 16 bytes: elements 0..15 low, 16..31 high.
void SplitNibbles(const uint8_t* qs, uint8_t* code) {
  for (int i = 0; i < 16; ++i) {
    code[i] = qs[i] & 15;
    code[16 + i] = qs[i] >> 4;
  }
}

void AddHighBits(const uint8_t qh[4], uint8_t* code) {
  const uint32_t bits = Load32(qh);
  for (int i = 0; i < 32; ++i) code[i] = static_cast<uint8_t>(code[i] | ((bits >> i & 1) << 4));
}

void FromQ4K(const uint8_t* qs, const uint8_t scales[12], IntegerBlock* out) {
  for (int s = 0; s < 8; ++s) {
    uint8_t scale;
    UnpackScaleMinK4(scales, s, &scale, &out->min[s]);
    out->scale[s] = static_cast<int8_t>(scale);
    for (int l = 0; l < 32; ++l) out->code[32 * s + l] = qs[32 * (s / 2) + l] >> (4 * (s % 2)) & 15;
  }
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
int PiecesOf(int bits, int g, Piece out[2]) {
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

template <class Element>
void Interleave(const uint8_t* src, size_t row_bytes, int rows, int64_t k, uint8_t* panel) {
  for (int r = 0; r < kPanelRows; ++r)
    for (int64_t i = 0; i < k; ++i) {
      Element e = 0;
      if (r < rows)
        std::memcpy(&e, src + static_cast<size_t>(r) * row_bytes + i * sizeof e, sizeof e);
      std::memcpy(panel + (i * kPanelRows + r) * static_cast<int64_t>(sizeof e), &e, sizeof e);
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
      for (int i = 0; i < 256; ++i)
        out->code[i] = b.qs[32 * (i / 128) + i % 32] >> (2 * (i / 32 % 4)) & 3;
      out->d = b.d, out->m = b.dmin;
      return;
    }
    case Type::kQ3_K: {
      const auto& b = As<BlockQ3_K>(block);
      for (int s = 0; s < 16; ++s) out->scale[s] = static_cast<int8_t>(UnpackScaleQ3K(b.scales, s));
      for (int i = 0; i < 256; ++i) {
        const int low = b.qs[32 * (i / 128) + i % 32] >> (2 * (i / 32 % 4)) & 3;
        out->code[i] = static_cast<uint8_t>(low | ((b.hmask[i % 32] >> (i / 32) & 1) << 2));
      }
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
      for (int i = 0; i < 256; ++i)
        out->code[i] = static_cast<uint8_t>(out->code[i] | ((b.qh[i % 32] >> (i / 32) & 1) << 4));
      out->d = b.d, out->m = b.dmin;
      return;
    }
    case Type::kQ6_K: {
      const auto& b = As<BlockQ6_K>(block);
      std::memcpy(out->scale, b.scales, 16);
      for (int i = 0; i < 256; ++i) {
        const int h = i / 128, j = i / 32 % 4, l = i % 32;
        const int low = b.ql[64 * h + 32 * (j % 2) + l] >> (4 * (j / 2)) & 15;
        out->code[i] = static_cast<uint8_t>(low | ((b.qh[32 * h + l] >> (2 * j) & 3) << 4));
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
      break;
  }
  SLM_CHECK(false);
}

size_t PanelBytes(Type type, int64_t k) {
  const TypeTraits& traits = Traits(type);
  const Grid grid = GridOf(type);
  const size_t blocks = static_cast<size_t>(k / traits.block_size);
  return blocks * (grid.bits ? grid.block_bytes() : kPanelRows * traits.block_bytes);
}

void PackPanel(Type type, const uint8_t* src, size_t row_bytes, int rows, int64_t k,
               uint8_t* panel) {
  if (type == Type::kF32) return Interleave<uint32_t>(src, row_bytes, rows, k, panel);
  const Grid grid = GridOf(type);
  if (grid.bits == 0) return Interleave<uint16_t>(src, row_bytes, rows, k, panel);
  std::memset(panel, 0, PanelBytes(type, k));
  const size_t src_block = Traits(type).block_bytes;
  for (int r = 0; r < rows; ++r) {
    const uint8_t* from = src + static_cast<size_t>(r) * row_bytes;
    uint8_t* to = panel;
    for (int64_t b = 0; b < k / grid.block; ++b, from += src_block, to += grid.block_bytes()) {
      IntegerBlock x;
      ToIntegers(type, from, &x);
      for (int i = 0; i < grid.block; i += 4) {
        uint8_t* unit = to + static_cast<size_t>(i / kUnit) * grid.unit_bytes();
        Piece pieces[2];
        const int count = PiecesOf(grid.bits, i % kUnit / 4, pieces);
        for (int p = 0; p < count; ++p) {
          const Piece& piece = pieces[p];
          const uint32_t bits = Load32(x.code + i) >> piece.shift_in_code & piece.mask;
          Or32(unit + 64 * piece.plane + 4 * r, bits << piece.shift_in_byte);
        }
      }
      for (int s = 0; s < grid.sub_blocks(); ++s) {
        to[grid.scales() + static_cast<size_t>(16 * s + r)] = static_cast<uint8_t>(x.scale[s]);
        if (grid.has_min) to[grid.mins() + static_cast<size_t>(16 * s + r)] = x.min[s];
      }
      std::memcpy(to + grid.d() + static_cast<size_t>(2 * r), &x.d, 2);
      if (grid.has_min) std::memcpy(to + grid.m() + static_cast<size_t>(2 * r), &x.m, 2);
    }
  }
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

}  // namespace slm::quant
