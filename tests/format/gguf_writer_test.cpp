#include "format/gguf_writer.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "support/data.h"
#include "support/temp_folder.h"

namespace slm::format {
namespace {

std::string TempPath(const char* name) { return ::testing::TempDir() + "/" + name; }

std::vector<uint8_t> Ramp(size_t n, uint8_t start) {
  std::vector<uint8_t> bytes(n);
  std::iota(bytes.begin(), bytes.end(), start);
  return bytes;
}

bool SameBytes(std::span<const uint8_t> a, std::span<const uint8_t> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

TEST(GgufWriter, RoundTripOfEveryType) {
  const std::string path = TempPath("types.gguf");
  {
    GgufWriter writer(path);
    writer.Set<uint8_t>("u8", 255);
    writer.Set<int8_t>("i8", -128);
    writer.Set<uint16_t>("u16", 65535);
    writer.Set<int16_t>("i16", -32768);
    writer.Set<uint32_t>("u32", ~0u);
    writer.Set<int32_t>("i32", std::numeric_limits<int32_t>::min());
    writer.Set<uint64_t>("u64", ~uint64_t{0});
    writer.Set<int64_t>("i64", std::numeric_limits<int64_t>::min());
    writer.Set<float>("f32", 0.1f);
    writer.Set<double>("f64", 0.1);
    writer.Set<bool>("bool", true);
    writer.SetString("string", "text");
    writer.SetArray<int32_t>("ints", std::vector<int32_t>{1, -2, 3});
    writer.SetArray<float>("floats", std::vector<float>{1.5f});
    const bool bools[] = {true, false};
    writer.SetArray<bool>("bools", bools);
    writer.SetArray<uint16_t>("none", {});
    writer.SetStrings("strings", std::vector<std::string>{"a", "", "ccc"});
    writer.SetStrings("views", std::vector<std::string_view>{"v"});
    writer.Finish();
  }
  const GgufFile file = GgufFile::Open(path);
  const GgufMetadata& m = file.metadata();
  EXPECT_EQ(m.entries().size(), 18u);
  EXPECT_EQ(m.GetUint("u8"), 255u);
  EXPECT_EQ(m.GetInt("i8"), -128);
  EXPECT_EQ(m.GetUint("u16"), 65535u);
  EXPECT_EQ(m.GetInt("i16"), -32768);
  EXPECT_EQ(m.GetUint("u32"), ~0u);
  EXPECT_EQ(m.GetInt("i32"), std::numeric_limits<int32_t>::min());
  EXPECT_EQ(m.GetUint("u64"), ~uint64_t{0});
  EXPECT_EQ(m.GetInt("i64"), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(m.GetFloat("f32"), 0.1f);
  EXPECT_EQ(std::get<double>(m.Find("f64")->Items()[0]), 0.1);
  EXPECT_TRUE(m.GetBool("bool"));
  EXPECT_EQ(m.GetString("string"), "text");
  EXPECT_EQ(m.GetInts("ints"), (std::vector<int64_t>{1, -2, 3}));
  EXPECT_EQ(m.GetFloats("floats"), (std::vector<float>{1.5f}));
  EXPECT_EQ(m.GetBools("bools"), (std::vector<bool>{true, false}));
  EXPECT_EQ(m.Find("none")->TypeText(), "array of 0 uint16");
  EXPECT_EQ(m.GetStrings("strings"), (std::vector<std::string_view>{"a", "", "ccc"}));
  EXPECT_EQ(m.GetStrings("views"), (std::vector<std::string_view>{"v"}));
}

TEST(GgufWriter, RoundTripOfTensorsInPieces) {
  for (const uint32_t alignment : {8u, 32u, 4096u}) {
    const std::string path = TempPath("tensors.gguf");
    const int64_t a_dims[] = {32, 3}, b_dims[] = {5}, c_dims[] = {256, 1, 2, 1};
    const auto a = Ramp(18 * 3, 1), b = Ramp(5 * 2, 50), c = Ramp(2 * 144, 100);
    GgufWriter writer(path, alignment);
    writer.Declare("a", quant::Type::kQ4_0, a_dims);
    writer.Declare("b", quant::Type::kBF16, b_dims);
    writer.Declare("scalar", quant::Type::kF32, {});
    writer.Declare("c", quant::Type::kQ4_K, c_dims);
    for (const uint8_t& byte : a) writer.Append({&byte, 1});
    writer.Append({});
    writer.Append(b);
    writer.Append(Ramp(4, 0));
    writer.Append(std::span(c).first(100));
    writer.Append(std::span(c).subspan(100));
    writer.Finish();

    const GgufFile file = GgufFile::Open(path);
    EXPECT_EQ(file.alignment(), alignment);
    EXPECT_EQ(file.metadata().Has("general.alignment"), alignment != kDefaultAlignment);
    EXPECT_TRUE(SameBytes(file.Get("a").data, a));
    EXPECT_TRUE(SameBytes(file.Get("b").data, b));
    EXPECT_TRUE(SameBytes(file.Get("c").data, c));
    EXPECT_EQ(file.Get("scalar").num_dims, 0);
    EXPECT_EQ(file.Get("c").num_dims, 4);
    EXPECT_EQ(file.Get("c").dims, (std::array<int64_t, 4>{256, 1, 2, 1}));
    for (const GgufTensor& tensor : file.tensors()) EXPECT_EQ(tensor.offset % alignment, 0u);
  }
}

TEST(GgufWriter, SetAgainReplacesInPlace) {
  const std::string path = TempPath("replace.gguf");
  GgufWriter writer(path);
  writer.Set<uint32_t>("first", 1);
  writer.Set<uint32_t>("second", 2);
  writer.Set<uint32_t>("third", 3);
  writer.SetString("first", "one");
  writer.Remove("second");
  writer.Finish();
  const GgufFile file = GgufFile::Open(path);
  ASSERT_EQ(file.metadata().entries().size(), 2u);
  EXPECT_EQ(file.metadata().entries()[0].key, "first");
  EXPECT_EQ(file.metadata().GetString("first"), "one");
}

TEST(GgufWriter, CopyAllKeepsEveryValue) {
  const std::string from = TempPath("from.gguf"), to = TempPath("to.gguf");
  {
    GgufWriter writer(from, 64);
    writer.SetString("name", "x");
    writer.SetStrings("list", std::vector<std::string>{"a", "bc"});
    writer.Set<float>("f", 0.25f);
    writer.Finish();
  }
  const GgufFile source = GgufFile::Open(from);
  GgufWriter writer(to);
  writer.CopyAll(source.metadata());
  writer.Finish();
  const GgufFile copy = GgufFile::Open(to);
  EXPECT_EQ(copy.alignment(), kDefaultAlignment);
  ASSERT_EQ(copy.metadata().entries().size(), 3u);
  for (const auto& [key, value] : copy.metadata().entries()) {
    const GgufValue* original = source.metadata().Find(key);
    ASSERT_NE(original, nullptr);
    EXPECT_EQ(value.TypeText(), original->TypeText());
    EXPECT_TRUE(SameBytes(value.bytes, original->bytes));
  }
}

TEST(GgufWriter, CopiesARealFileByteForByte) {
  SLM_DATA_OR_SKIP(path, "tiny/llama/model-f32.gguf");
  const GgufFile source = GgufFile::Open(path);
  const std::string copy_path = TempPath("copy.gguf");
  GgufWriter writer(copy_path, source.alignment());
  writer.CopyAll(source.metadata());
  for (const GgufTensor& tensor : source.tensors())
    writer.Declare(tensor.name, tensor.type,
                   std::span(tensor.dims).first(static_cast<size_t>(tensor.num_dims)));
  for (const GgufTensor& tensor : source.tensors()) writer.Append(tensor.data);
  writer.Finish();
  EXPECT_TRUE(testing::ReadFile(copy_path) == testing::ReadFile(path));
}

TEST(GgufWriter, NothingAppearsBeforeFinish) {
  const testing::TempFolder folder;
  const std::string path = folder / "unfinished.gguf";
  {
    GgufWriter writer(path);
    const int64_t dims[] = {8};
    writer.Declare("t", quant::Type::kF32, dims);
    writer.Append(Ramp(16, 0));
    EXPECT_FALSE(std::filesystem::exists(path));
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(GgufWriter, RefusesWhatTheFormatCannotHold) {
  GgufWriter writer(TempPath("refused.gguf"));
  const auto refused = [&](const std::string& name, quant::Type type, std::vector<int64_t> dims,
                           const char* word) {
    try {
      writer.Declare(name, type, dims);
      ADD_FAILURE() << "accepted " << word;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kBadInput);
      EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
    }
  };
  using quant::Type;
  refused("", Type::kF32, {1}, "a name of 1 to 64");
  refused(std::string(65, 'x'), Type::kF32, {1}, "got 65");
  refused("a", Type::kF32, {1, 1, 1, 1, 1}, "at most 4 dimensions");
  refused("b", Type::kF32, {0}, "at least 1, got 0");
  refused("c", Type::kF32, {-1}, "at least 1, got -1");
  refused("d", Type::kQ8_0, {31}, "multiple of 32 elements for Q8_0, got 31");
  refused("e", Type::kF32, {int64_t{1} << 40, int64_t{1} << 40}, "2^63 elements");
  refused("f", Type::kF32, {int64_t{1} << 62}, "2^64 bytes");
  writer.Declare("g", Type::kF32, std::vector<int64_t>{1});
  refused("g", Type::kF32, {1}, "duplicate");
}

TEST(GgufWriter, ReportsAFolderThatIsNotThere) {
  try {
    GgufWriter writer("/nowhere/at/all.gguf");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kFailed);
    EXPECT_NE(std::string(error.what()).find("No such file"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace slm::format
