#include "support/blocks.h"

#include <cstring>

#include "base/half.h"

namespace slm::testing {
namespace {

using quant::Type;

// Where the halves of a block lie, and the largest value that the rest of the block multiplies them
// by.
struct Halves {
  std::vector<size_t> offsets;
  float largest;
};

Halves HalvesOf(Type type) {
  switch (type) {
    case Type::kQ4_0:
      return {{0}, 8};
    case Type::kQ4_1:
      return {{0, 2}, 15};
    case Type::kQ5_0:
      return {{0}, 16};
    case Type::kQ5_1:
      return {{0, 2}, 31};
    case Type::kQ8_0:
      return {{0}, 128};
    case Type::kIQ4_NL:
      return {{0}, 127};
    case Type::kQ2_K:
      return {{80, 82}, 15 * 3};
    case Type::kQ3_K:
      return {{108}, 32 * 4};
    case Type::kQ4_K:
      return {{0, 2}, 63 * 15};
    case Type::kQ5_K:
      return {{0, 2}, 63 * 31};
    case Type::kQ6_K:
      return {{208}, 128 * 32};
    case Type::kIQ4_XS:
      return {{0}, 32 * 127};
    case Type::kF32:
    case Type::kF16:
    case Type::kBF16:
    case Type::kNF4:
      break;
  }
  return {};
}

}  // namespace

std::vector<float> RandomFloats(size_t n, std::mt19937& rng, float size) {
  std::normal_distribution<float> normal(0, size);
  std::vector<float> x(n);
  for (float& v : x) v = normal(rng);
  return x;
}

std::vector<uint8_t> RandomRows(Type type, int64_t rows, int64_t k, std::mt19937& rng, float size) {
  const quant::TypeTraits& traits = quant::Traits(type);
  const size_t blocks = static_cast<size_t>(rows * k / traits.block_size);
  std::vector<uint8_t> bytes(blocks * traits.block_bytes);
  if (traits.block_size == 1 || type == Type::kNF4) {
    const std::vector<float> x = RandomFloats(static_cast<size_t>(rows * k), rng, size);
    traits.encode(x.data(), bytes.data(), rows * k);
    return bytes;
  }
  for (uint8_t& b : bytes) b = static_cast<uint8_t>(rng());
  const Halves halves = HalvesOf(type);
  std::uniform_real_distribution<float> factor(0.25f, 1.0f);
  for (size_t b = 0; b < blocks; ++b)
    for (size_t offset : halves.offsets) {
      const float sign = rng() % 8 == 0 ? -1.0f : 1.0f;
      const uint16_t d = FloatToHalf(sign * factor(rng) * size / halves.largest);
      std::memcpy(bytes.data() + b * traits.block_bytes + offset, &d, 2);
    }
  return bytes;
}

}  // namespace slm::testing
