// Which models are one to an adapter, and which are not.
#include "model/base_identity.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/error.h"
#include "base/half.h"
#include "format/gguf_writer.h"
#include "support/temp_folder.h"
#include "tiny/tiny_model.h"

namespace slm::model {
namespace {

using format::GgufFile;
using format::GgufTensor;
using format::GgufWriter;

// A copy of a tiny model with changed metadata and norms.
class Copy {
 public:
  struct Change {
    std::function<void(GgufWriter*)> metadata = [](GgufWriter*) {};
    std::function<float(float)> norm = [](float x) { return x; };
    quant::Type type = quant::Type::kF32;  // of norms
  };

  Copy() : Copy(Change()) {}
  explicit Copy(const Change& change) : file_(Write(change)) {}

  const GgufFile& file() const { return file_; }
  Hparams hparams() const { return ReadHparams(file_, FindFamily("llama", "copy")); }
  BaseIdentity identity() const { return IdentityOf(file_, hparams()); }

 private:
  GgufFile Write(const Change& change) const {
    const GgufFile tiny = GgufFile::Open(testing::WriteTinyModel({}));
    GgufWriter out(folder_ / "copy.gguf");
    out.CopyAll(tiny.metadata());
    change.metadata(&out);
    const auto is_norm = [](const GgufTensor& t) { return t.num_dims == 1; };
    for (const GgufTensor& t : tiny.tensors())
      out.Declare(t.name, is_norm(t) ? change.type : t.type,
                  std::span(t.dims).first(static_cast<size_t>(t.num_dims)));
    for (const GgufTensor& t : tiny.tensors()) {
      std::vector<uint8_t> bytes(t.data.begin(), t.data.end());
      if (is_norm(t)) {
        std::vector<float> values(static_cast<size_t>(t.elements));
        quant::Traits(t.type).decode(t.data.data(), values.data(), t.elements);
        for (float& x : values) x = change.norm(x);
        bytes.resize(values.size() * quant::Traits(change.type).block_bytes);
        quant::Traits(change.type).encode(values.data(), bytes.data(), t.elements);
      }
      out.Append(bytes);
    }
    out.Finish();
    return GgufFile::Open(folder_ / "copy.gguf");
  }

  const testing::TempFolder folder_;
  const GgufFile file_;
};

void ExpectSame(const Copy& copy) {
  const Copy original;
  EXPECT_NO_THROW(CheckBase("adapter", original.identity(), copy.file(), copy.hparams()));
}

void ExpectOther(const Copy& copy, const std::string& says) {
  const Copy original;
  try {
    CheckBase("adapter", original.identity(), copy.file(), copy.hparams());
    FAIL() << "expected an error that says " << says;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kBadInput);
    const std::string what = error.what();
    EXPECT_TRUE(what.starts_with("adapter: was trained on")) << what;
    EXPECT_NE(what.find(says), std::string::npos) << what;
  }
}

TEST(BaseIdentity, IsOfWhatStaysWhenTypesChange) {
  ExpectSame(Copy());
  ExpectSame(Copy({.type = quant::Type::kBF16}));
  ExpectSame(Copy({.norm = [](float x) { return BfloatToFloat(FloatToBfloat(x)); }}));
  ExpectSame(Copy({.metadata = [](GgufWriter* out) {
    out->SetString("general.name", "Another name");
    out->Set<uint32_t>("general.file_type", 7);
    out->SetString("tokenizer.chat_template", "{{ messages }}");
  }}));
}

TEST(BaseIdentity, ControlTokensMayHaveOtherNames) {
  const Copy original;
  std::vector<std::string> tokens;
  for (const auto token : original.file().metadata().GetStrings("tokenizer.ggml.tokens"))
    tokens.emplace_back(token);
  const auto copy = [&](size_t id) {
    std::vector<std::string> changed = tokens;
    changed[id] = "other";
    return Copy({.metadata = [=](GgufWriter* out) {
      out->SetStrings("tokenizer.ggml.tokens", std::span<const std::string>(changed));
    }});
  };
  ExpectSame(copy(256));
  ExpectOther(copy(65), "another vocabulary");
}

TEST(BaseIdentity, OtherNormsAreAnotherModel) {
  ExpectOther(Copy({.norm = [](float x) { return x * 1.01f; }}), "other weights");
}

TEST(BaseIdentity, OtherShapesAreAnotherModel) {
  ExpectOther(
      Copy({.metadata =
                [](GgufWriter* out) { out->Set<uint32_t>("llama.attention.head_count", 4); }}),
      "other weights");
}

TEST(BaseIdentity, SurvivesAFile) {
  const BaseIdentity base = Copy().identity();
  const auto metadata = ToMetadata(base);
  const auto find = [&](const char* key) -> std::optional<std::string> {
    for (const auto& [name, text] : metadata)
      if (std::string(name) == key) return text;
    return std::nullopt;
  };
  const auto again = ParseBaseIdentity("adapter", find);
  ASSERT_TRUE(again);
  EXPECT_EQ(ToMetadata(*again), metadata);
  EXPECT_EQ(again->architecture, "llama");
  EXPECT_FALSE(ParseBaseIdentity("adapter", [](const char*) { return std::nullopt; }));
  for (const char* hash : {"", "12x", "-1", "11112222333344445"})
    EXPECT_THROW(ParseBaseIdentity("adapter", [&](const char*) { return std::string(hash); }),
                 Error)
        << hash;
}

}  // namespace
}  // namespace slm::model
