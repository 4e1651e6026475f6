#include "convert/bnb_weight.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "convert/config.h"
#include "format/byte_reader.h"
#include "quant/nf4_panel.h"
#include "text/json.h"

namespace slm::convert {
namespace {

using format::Quoted;
using format::SafetensorsTensor;

class Reader {
 public:
  Reader(const std::string& folder, const SafetensorsTensor& codes,
         const std::function<const SafetensorsTensor*(std::string_view)>& find)
      : folder_(folder), codes_(codes), find_(find) {}

  BnbWeight Read() {
    const SafetensorsTensor& state = Find(kBnbState, "U8");
    const Config json(
        folder_ + ": " + state.name,
        text::ParseJson({reinterpret_cast<const char*>(state.data.data()), state.data.size()},
                        folder_ + ": " + state.name));
    BnbWeight weight;
    weight.codes = &codes_;
    for (const double size : json.FindFloats("shape").value_or(std::vector<double>()))
      weight.shape.push_back(size >= 1 && size < 1 << 30 ? static_cast<int64_t>(size) : 0);
    const auto expect = [&](const char* key, double value) {
      const double got = json.FindFloat(key).value_or(0);
      if (got != value)
        Fail(fmt::format("{}: expected {}, got {}", key, value, got), Code::kUnsupported);
    };
    expect("blocksize", quant::kNf4Block);
    if (weight.shape.size() != 2 || weight.shape[0] < 1 || weight.shape[1] < 1)
      Fail("expected a state with a shape of two sizes");
    const int64_t elements = weight.shape[0] * weight.shape[1];
    blocks_ = (elements + quant::kNf4Block - 1) / quant::kNf4Block;
    if (std::string_view(codes_.type->name) != "U8" || codes_.elements != (elements + 1) / 2)
      Fail(fmt::format("expected {} bytes, as its state says", (elements + 1) / 2));
    CheckMap(".quant_map", quant::kNf4Values);
    if (const SafetensorsTensor* nested = find_(".nested_absmax")) {
      expect("nested_blocksize", quant::kNestedBlock);
      CheckMap(".nested_quant_map", quant::DynamicMap());
      const SafetensorsTensor& absmax = Find(".absmax", "U8", blocks_);
      weight.absmax.codes.assign(absmax.data.begin(), absmax.data.end());
      weight.absmax.scales =
          Floats(*nested, (blocks_ + quant::kNestedBlock - 1) / quant::kNestedBlock);
      const auto offset = json.FindFloat("nested_offset");
      if (!offset) Fail("its state has no nested_offset");
      weight.absmax.offset = static_cast<float>(*offset);
    } else {
      weight.absmax = quant::EncodeAbsmax(Floats(Find(".absmax", "F32", blocks_), blocks_));
      weight.is_rounded = true;
    }
    return weight;
  }

 private:
  [[noreturn]] void Fail(const std::string& problem, Code code = Code::kBadInput) const {
    throw Error(code, "{}: tensor {}: {}", folder_, Quoted(codes_.name), problem);
  }

  const SafetensorsTensor& Find(std::string_view part, std::string_view type,
                                int64_t elements = -1) const {
    const SafetensorsTensor* tensor = find_(part);
    if (!tensor || tensor->type->name != type || (elements >= 0 && tensor->elements != elements))
      Fail(fmt::format("expected {} of type {} beside it{}", part, type,
                       elements >= 0 ? fmt::format(", {} elements", elements) : ""));
    return *tensor;
  }

  std::vector<float> Floats(const SafetensorsTensor& tensor, int64_t n) const {
    if (std::string_view(tensor.type->name) != "F32" || tensor.elements != n)
      Fail(fmt::format("{}: expected {} numbers of type F32", tensor.name, n));
    std::vector<float> values(static_cast<size_t>(n));
    tensor.type->decode(tensor.data.data(), values.data(), n);
    return values;
  }

  template <size_t n>
  void CheckMap(std::string_view part, const std::array<float, n>& expected) const {
    const std::vector<float> map = Floats(Find(part, "F32"), static_cast<int64_t>(n));
    if (!std::equal(map.begin(), map.end(), expected.begin()))
      Fail(fmt::format("{}: expected the values of bitsandbytes", part), Code::kUnsupported);
  }

  const std::string& folder_;
  const SafetensorsTensor& codes_;
  const std::function<const SafetensorsTensor*(std::string_view)>& find_;
  int64_t blocks_ = 0;
};

}  // namespace

void BnbWeight::ReadRow(int64_t row, float* out) const {
  int64_t block = -1;
  float largest = 0;
  for (int64_t i = row * shape[1]; i < (row + 1) * shape[1]; ++i) {
    if (i / quant::kNf4Block != block) {
      block = i / quant::kNf4Block;
      const auto at = static_cast<size_t>(block);
      quant::DecodeAbsmax({&absmax.codes[at], 1}, &absmax.scales[at / quant::kNestedBlock],
                          absmax.offset, quant::DynamicMap(), {&largest, 1});
    }
    const int code = codes->data[static_cast<size_t>(i / 2)] >> (i % 2 == 0 ? 4 : 0) & 15;
    *out++ = quant::kNf4Values[static_cast<size_t>(code)] * largest;
  }
}

void BnbWeight::ReadRowBlocks(int64_t row, uint8_t* blocks) const {
  const int64_t count = shape[1] / quant::kNf4Block;
  quant::MakeNf4Blocks(codes->data.data() + static_cast<size_t>(row * shape[1] / 2), absmax,
                       row * count, count, blocks);
}

BnbWeight ReadBnbWeight(
    const std::string& folder, const SafetensorsTensor& codes,
    const std::function<const SafetensorsTensor*(std::string_view part)>& find) {
  return Reader(folder, codes, find).Read();
}

}  // namespace slm::convert
