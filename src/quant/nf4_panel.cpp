#include "quant/nf4_panel.h"

#include <cstring>
#include <vector>

#include "base/error.h"

namespace slm::quant {
namespace {

BlockNf4 ReadBlock(const uint8_t* bytes) {
  BlockNf4 block;
  std::memcpy(&block, bytes, kBlockNf4Bytes);
  return block;
}

void WriteBlock(const BlockNf4& block, uint8_t* bytes) {
  std::memcpy(bytes, &block, kBlockNf4Bytes);
}

uint8_t CodeOf(const BlockNf4& block, int i) {
  return block.qs[i / 2] >> (i % 2 == 0 ? 4 : 0) & 15;
}

// Byte and shift of element i of a row in its block of the panel: two units of four bits.
size_t CodeByte(int i, int row) {
  return static_cast<size_t>(256 * (i / 32) + 64 * (i % 32 / 4 % 4) + 4 * row + i % 4);
}
int CodeShift(int i) { return i % 32 / 16 * 4; }

size_t ScaleAt(const Nf4Panel& panel, int64_t block, int row) {
  return Nf4Panel::kScales + static_cast<size_t>(64 * (block / panel.stretch) + 4 * row);
}
size_t AbsmaxAt(const Nf4Panel& panel, int64_t block, int row) {
  return panel.absmax + static_cast<size_t>(16 * block + row);
}

}  // namespace

void DecodeNf4Blocks(const uint8_t* src, float* dst, int64_t n) {
  for (; n > 0; n -= kNf4Block, src += kBlockNf4Bytes, dst += kNf4Block) {
    const BlockNf4 block = ReadBlock(src);
    float absmax;
    DecodeAbsmax({&block.absmax, 1}, &block.scale, block.offset, DynamicMap(), {&absmax, 1});
    DecodeNf4(block.qs, &absmax, kNf4Block, {dst, static_cast<size_t>(kNf4Block)});
  }
}

void MakeNf4Blocks(const uint8_t* codes, const NestedAbsmax& absmax, int64_t first, int64_t count,
                   uint8_t* dst) {
  for (int64_t i = first; i < first + count; ++i, dst += kBlockNf4Bytes) {
    BlockNf4 block;
    block.offset = absmax.offset;
    block.scale = absmax.scales[static_cast<size_t>(i / kNestedBlock)];
    block.absmax = absmax.codes[static_cast<size_t>(i)];
    std::memcpy(block.qs, codes, sizeof block.qs);
    codes += sizeof block.qs;
    WriteBlock(block, dst);
  }
}

void EncodeNf4Blocks(const float* src, const NestedAbsmax& absmax, int64_t first, uint8_t* dst,
                     int64_t n) {
  const int64_t count = n / kNf4Block;
  std::vector<uint8_t> codes(static_cast<size_t>(n / 2));
  std::vector<float> unused(static_cast<size_t>(count));
  EncodeNf4({src, static_cast<size_t>(n)}, kNf4Block, codes.data(), unused.data());
  MakeNf4Blocks(codes.data(), absmax, first, count, dst);
}

void EncodeNf4Blocks(const float* src, uint8_t* dst, int64_t n) {
  if (n == 0) return;
  std::vector<float> absmax(static_cast<size_t>(n / kNf4Block));
  std::vector<uint8_t> codes(static_cast<size_t>(n / 2));
  EncodeNf4({src, static_cast<size_t>(n)}, kNf4Block, codes.data(), absmax.data());
  MakeNf4Blocks(codes.data(), EncodeAbsmax(absmax), 0, n / kNf4Block, dst);
}

void EncodeNf4BlocksWeighted(const float* src, const float*, uint8_t* dst, int64_t n) {
  EncodeNf4Blocks(src, dst, n);
}

void PackNf4Panel(const uint8_t* src, size_t row_bytes, int rows, int64_t k, uint8_t* panel) {
  const Nf4Panel places(k / kNf4Block);
  std::memset(panel, 0, places.bytes);
  const Nf4PanelHead head = {static_cast<uint32_t>(places.stretch),
                             static_cast<uint32_t>(places.codes),
                             static_cast<uint32_t>(places.absmax)};
  std::memcpy(panel, &head, sizeof head);
  for (int row = 0; row < rows; ++row, src += row_bytes) {
    BlockNf4 first = ReadBlock(src);
    std::memcpy(panel + Nf4Panel::kOffsets + 4 * row, &first.offset, 4);
    for (int64_t b = 0; b < places.blocks; ++b) {
      const BlockNf4 block = ReadBlock(src + static_cast<size_t>(b) * kBlockNf4Bytes);
      if (b % places.stretch == 0) {
        first.scale = block.scale;
        std::memcpy(panel + ScaleAt(places, b, row), &block.scale, 4);
      }
      if (std::memcmp(&block, &first, 8) != 0)
        throw Error(Code::kBadInput,
                    "NF4: expected {} blocks of a row to share a scale, and all an offset, got "
                    "others in block {}",
                    places.stretch, b);
      panel[AbsmaxAt(places, b, row)] = block.absmax;
      uint8_t* codes = panel + places.codes + static_cast<size_t>(512 * b);
      for (int i = 0; i < kNf4Block; ++i) {
        uint8_t& byte = codes[CodeByte(i, row)];
        byte = static_cast<uint8_t>(byte | CodeOf(block, i) << CodeShift(i));
      }
    }
  }
}

void UnpackNf4Row(const uint8_t* panel, int64_t k, int row, uint8_t* out) {
  const Nf4Panel places(k / kNf4Block);
  for (int64_t b = 0; b < places.blocks; ++b, out += kBlockNf4Bytes) {
    BlockNf4 block = {};
    std::memcpy(&block.offset, panel + Nf4Panel::kOffsets + 4 * row, 4);
    std::memcpy(&block.scale, panel + ScaleAt(places, b, row), 4);
    block.absmax = panel[AbsmaxAt(places, b, row)];
    const uint8_t* codes = panel + places.codes + static_cast<size_t>(512 * b);
    for (int i = 0; i < kNf4Block; ++i) {
      const int code = codes[CodeByte(i, row)] >> CodeShift(i) & 15;
      block.qs[i / 2] = static_cast<uint8_t>(block.qs[i / 2] | code << (i % 2 == 0 ? 4 : 0));
    }
    WriteBlock(block, out);
  }
}

}  // namespace slm::quant
