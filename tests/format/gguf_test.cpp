// Reading: getters, tensors, files and parts.
#include "format/gguf.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

#include "base/error.h"
#include "format/gguf_bytes.h"
#include "format/gguf_writer.h"
#include "support/data.h"

namespace slm::format {
namespace {

std::span<const uint8_t> Bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

template <class Action>
void ExpectError(Action action, std::initializer_list<const char*> words,
                 Code code = Code::kBadInput) {
  try {
    action();
    ADD_FAILURE() << "no error with " << *words.begin();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    for (const char* word : words)
      EXPECT_NE(std::string(error.what()).find(word), std::string::npos)
          << "no \"" << word << "\" in: " << error.what();
  }
}

// A key of each type; the file is read in place, so it must live on.
const std::string& AllTypesFile() {
  static const std::string file = GgufBytes::Start(0, 17)
                                      .Key("u8", 0, uint8_t{200})
                                      .Key("i8", 1, int8_t{-100})
                                      .Key("u16", 2, uint16_t{60000})
                                      .Key("i16", 3, int16_t{-30000})
                                      .Key("u32", 4, 4000000000u)
                                      .Key("i32", 5, int32_t{-2000000000})
                                      .Key("f32", 6, 0.1f)
                                      .Key("bool", 7, uint8_t{1})
                                      .Key("string", 8)
                                      .String(std::string_view("a\0b", 3))
                                      .Key("u64", 10, uint64_t{1} << 63)
                                      .Key("i64", 11, std::numeric_limits<int64_t>::min())
                                      .Key("f64", 12, 1e300)
                                      .Key("strings", 9, 8u)
                                      .Put(uint64_t{3})
                                      .String("x")
                                      .String("")
                                      .String("\xff")
                                      .Key("ints", 9, 1u)
                                      .Put(uint64_t{3})
                                      .Raw("\xff\x02\x7f")
                                      .Key("floats", 9, 6u)
                                      .Put(uint64_t{2})
                                      .Put(1.5f)
                                      .Put(-2.0f)
                                      .Key("bools", 9, 7u)
                                      .Put(uint64_t{2})
                                      .Raw(std::string_view("\0\1", 2))
                                      .Key("empty", 9, 8u)
                                      .Put(uint64_t{0})
                                      .text();
  return file;
}

TEST(GgufMetadata, GettersReadEveryType) {
  const GgufFile file = GgufFile::Parse(Bytes(AllTypesFile()));
  const GgufMetadata& metadata = file.metadata();
  EXPECT_EQ(metadata.entries().size(), 17u);
  EXPECT_EQ(metadata.entries()[0].key, "u8");
  EXPECT_EQ(metadata.entries()[16].key, "empty");
  EXPECT_EQ(metadata.GetUint("u8"), 200u);
  EXPECT_EQ(metadata.GetInt("u8"), 200);
  EXPECT_EQ(metadata.GetInt("i8"), -100);
  EXPECT_EQ(metadata.GetUint("u16"), 60000u);
  EXPECT_EQ(metadata.GetInt("i16"), -30000);
  EXPECT_EQ(metadata.GetInt("u32"), 4000000000);
  EXPECT_EQ(metadata.GetInt("i32"), -2000000000);
  EXPECT_EQ(metadata.GetFloat("f32"), 0.1f);
  EXPECT_EQ(metadata.GetFloat("i16"), -30000.0f);
  EXPECT_EQ(metadata.GetFloat("u16"), 60000.0f);
  EXPECT_TRUE(metadata.GetBool("bool"));
  EXPECT_EQ(metadata.GetString("string"), std::string_view("a\0b", 3));
  EXPECT_EQ(metadata.GetUint("u64"), uint64_t{1} << 63);
  EXPECT_EQ(metadata.GetInt("i64"), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(metadata.GetStrings("strings"), (std::vector<std::string_view>{"x", "", "\xff"}));
  EXPECT_EQ(metadata.GetInts("ints"), (std::vector<int64_t>{-1, 2, 127}));
  EXPECT_EQ(metadata.GetFloats("ints"), (std::vector<float>{-1, 2, 127}));
  EXPECT_EQ(metadata.GetFloats("floats"), (std::vector<float>{1.5f, -2}));
  EXPECT_EQ(metadata.GetBools("bools"), (std::vector<bool>{false, true}));
  EXPECT_TRUE(metadata.GetStrings("empty").empty());
  EXPECT_EQ(metadata.Find("strings")->TypeText(), "array of 3 string");
  EXPECT_EQ(metadata.Find("ints")->Items(2).size(), 2u);
  EXPECT_EQ(std::get<double>(metadata.Find("f64")->Items()[0]), 1e300);
}

TEST(GgufMetadata, WrongTypesAreNamed) {
  const GgufFile file = GgufFile::Parse(Bytes(AllTypesFile()));
  const GgufMetadata& m = file.metadata();
  ExpectError([&] { m.GetUint("i8"); }, {"'i8'", "an unsigned integer", "-100 (int8)"});
  ExpectError([&] { m.GetInt("u64"); }, {"'u64'", "an integer", "9223372036854775808 (uint64)"});
  ExpectError([&] { m.GetUint("f32"); }, {"'f32'", "(float32)"});
  ExpectError([&] { m.GetInt("bool"); }, {"'bool'", "true (bool)"});
  ExpectError([&] { m.GetFloat("f64"); }, {"'f64'", "the range of float32", "1e+300"});
  ExpectError([&] { m.GetFloat("string"); }, {"'string'", "'a\\x00b' (string)"});
  ExpectError([&] { m.GetBool("u8"); }, {"'u8'", "a bool", "200 (uint8)"});
  ExpectError([&] { m.GetString("u8"); }, {"'u8'", "a string", "200 (uint8)"});
  ExpectError([&] { m.GetString("strings"); }, {"a string, got array of 3 string"});
  ExpectError([&] { m.GetStrings("string"); }, {"expected an array", "got string"});
  ExpectError([&] { m.GetStrings("ints"); }, {"'ints'", "item 0", "-1 (array of 3 int8)"});
  ExpectError([&] { m.GetInts("floats"); }, {"'floats'", "1.5"});
  ExpectError([&] { m.FindUint("i8"); }, {"'i8'"});
}

TEST(GgufMetadata, MissingKeys) {
  const GgufFile file = GgufFile::Parse(Bytes(AllTypesFile()));
  const GgufMetadata& m = file.metadata();
  EXPECT_FALSE(m.Has("u9"));
  EXPECT_FALSE(m.Has(""));
  EXPECT_EQ(m.FindUint("u9"), std::nullopt);
  EXPECT_EQ(m.FindStrings("u9"), std::nullopt);
  ExpectError([&] { m.GetUint("llama.block_count"); },
              {"(memory)", "'llama.block_count'", "missing"});
  ExpectError([&] { m.GetStrings("u9"); }, {"'u9' is missing"});
}

TEST(Gguf, TensorsAreViews) {
  std::string text = GgufBytes::Start(3, 0)
                         .Tensor("matrix", {4, 3}, 0, 32)
                         .Tensor("scalar", {}, 0, 0)
                         .Tensor("half", {2, 1, 2, 2}, 1, 96)
                         .Data(112)
                         .text();
  const size_t data = text.size() - 112;
  text[data + 32] = 7;
  const GgufFile file = GgufFile::Parse(Bytes(text));
  EXPECT_EQ(file.version(), 3u);
  EXPECT_EQ(file.alignment(), 32u);
  EXPECT_EQ(file.file_bytes(), text.size());
  EXPECT_EQ(file.num_parts(), 1);
  ASSERT_EQ(file.tensors().size(), 3u);
  EXPECT_EQ(file.tensors()[1].name, "scalar");

  const GgufTensor& matrix = file.Get("matrix");
  EXPECT_EQ(matrix.type, quant::Type::kF32);
  EXPECT_EQ(matrix.num_dims, 2);
  EXPECT_EQ(matrix.dims, (std::array<int64_t, 4>{4, 3, 1, 1}));
  EXPECT_EQ(matrix.elements, 12);
  EXPECT_EQ(matrix.bytes(), 48u);
  EXPECT_EQ(matrix.row_bytes(), 16u);
  EXPECT_EQ(matrix.offset, data + 32);
  EXPECT_EQ(matrix.data[0], 7);
  EXPECT_EQ(file.Get("scalar").elements, 1);
  EXPECT_EQ(file.Get("scalar").num_dims, 0);
  EXPECT_EQ(file.Get("half").row_bytes(), 4u);
  EXPECT_EQ(file.Find("matri"), nullptr);
  EXPECT_EQ(file.Find("matrix2"), nullptr);
  ExpectError([&] { file.Get("output.weight"); }, {"'output.weight' is missing"});
  file.Release(matrix);
  uint8_t first = 0;
  file.Read(matrix, matrix.data.first(1), &first);
  EXPECT_EQ(first, 7);
}

TEST(Gguf, Version2AndFilesWithoutData) {
  const std::string v2 = GgufBytes::Start(0, 0, 2).text();
  EXPECT_EQ(GgufFile::Parse(Bytes(v2)).version(), 2u);
  // Vocabulary files end right after the keys, without padding.
  const std::string keys = GgufBytes::Start(0, 1).Key("k", 0, uint8_t{1}).text();
  EXPECT_EQ(GgufFile::Parse(Bytes(keys)).metadata().GetUint("k"), 1u);
}

TEST(Gguf, OpenNamesTheFile) {
  const std::string path = ::testing::TempDir() + "/bad.gguf";
  ExpectError([] { GgufFile::Open("/nowhere/model.gguf"); }, {"/nowhere/model.gguf"},
              Code::kFailed);
  std::ofstream(path) << "GGUF";
  ExpectError([&] { GgufFile::Open(path); }, {path.c_str(), "at byte 4"});
  std::ofstream(path).close();
  ExpectError([&] { GgufFile::Open(path); }, {path.c_str(), "empty"});
  ExpectError([] { GgufFile::Open(::testing::TempDir()); }, {"not a regular file"});
}

// Parts of one tensor each; `change` may spoil part `i` before it is written.
struct Split {
  std::string stem;
  int count = 3;

  std::string Path(int i) const {
    return fmt::format("{}-{:05}-of-{:05}.gguf", stem, i + 1, count);
  }

  template <class Change>
  void Write(Change change) const {
    for (int i = 0; i < count; ++i) {
      GgufWriter writer(Path(i));
      writer.Set<uint16_t>("split.no", static_cast<uint16_t>(i));
      writer.Set<uint16_t>("split.count", static_cast<uint16_t>(count));
      writer.Set<int32_t>("split.tensors.count", count);
      if (i == 0) writer.SetString("general.architecture", "test");
      std::string name = fmt::format("t{}", i);
      change(i, writer, name);
      const int64_t dims[] = {8};
      writer.Declare(name, quant::Type::kF32, dims);
      const float data[8] = {static_cast<float>(i)};
      writer.Append({reinterpret_cast<const uint8_t*>(data), sizeof(data)});
      writer.Finish();
    }
  }
};

const auto kAsIs = [](int, GgufWriter&, std::string&) {};

TEST(GgufSplit, TheFirstPartOpensAll) {
  const Split split = {::testing::TempDir() + "/split"};
  split.Write(kAsIs);
  const GgufFile file = GgufFile::Open(split.Path(0));
  EXPECT_EQ(file.num_parts(), 3);
  ASSERT_EQ(file.tensors().size(), 3u);
  size_t bytes = 0;
  for (int i = 0; i < 3; ++i) {
    const GgufTensor& tensor = file.Get(fmt::format("t{}", i));
    EXPECT_EQ(tensor.part, i);
    float first;
    std::memcpy(&first, tensor.data.data(), 4);
    EXPECT_EQ(first, static_cast<float>(i));
    file.Release(tensor);
    std::memcpy(&first, tensor.data.data(), 4);
    EXPECT_EQ(first, static_cast<float>(i));
    first = -1;
    file.Read(tensor, tensor.data.first(4), reinterpret_cast<uint8_t*>(&first));
    EXPECT_EQ(first, static_cast<float>(i));
    bytes += std::filesystem::file_size(split.Path(i));
  }
  EXPECT_EQ(file.file_bytes(), bytes);
  EXPECT_EQ(file.metadata().GetString("general.architecture"), "test");
}

TEST(GgufSplit, AnotherPartSaysWhichToOpen) {
  const Split split = {::testing::TempDir() + "/other"};
  split.Write(kAsIs);
  ExpectError([&] { GgufFile::Open(split.Path(1)); },
              {"part 2 of 3", "open the first part", split.Path(0).c_str()});
}

TEST(GgufSplit, RenamedPartsAreRefused) {
  const Split split = {::testing::TempDir() + "/renamed"};
  split.Write(kAsIs);
  const std::string path = ::testing::TempDir() + "/model.gguf";
  std::filesystem::copy_file(split.Path(0), path,
                             std::filesystem::copy_options::overwrite_existing);
  ExpectError([&] { GgufFile::Open(path); }, {"part 1 of 3", "-00001-of-00003.gguf"});
}

TEST(GgufSplit, MissingPart) {
  const Split split = {::testing::TempDir() + "/missing"};
  split.Write(kAsIs);
  std::filesystem::remove(split.Path(2));
  ExpectError([&] { GgufFile::Open(split.Path(0)); }, {split.Path(2).c_str(), "cannot open"},
              Code::kFailed);
}

TEST(GgufSplit, TruncatedPart) {
  const Split split = {::testing::TempDir() + "/truncated"};
  split.Write(kAsIs);
  std::filesystem::resize_file(split.Path(1), std::filesystem::file_size(split.Path(1)) - 32);
  ExpectError([&] { GgufFile::Open(split.Path(0)); }, {split.Path(1).c_str(), "'t1'", "truncated"});
}

TEST(GgufSplit, PartsThatDisagree) {
  const Split split = {::testing::TempDir() + "/disagree"};
  split.Write([](int i, GgufWriter& writer, std::string&) {
    if (i == 2) writer.Set<uint16_t>("split.no", 1);
  });
  ExpectError([&] { GgufFile::Open(split.Path(0)); },
              {split.Path(2).c_str(), "expected part 3 of 3", "got part 2 of 3"});
  split.Write([](int i, GgufWriter& writer, std::string&) {
    if (i == 1) writer.Set<uint16_t>("split.count", 2);
  });
  ExpectError([&] { GgufFile::Open(split.Path(0)); }, {split.Path(1).c_str(), "part 2 of 2"});
  split.Write([](int i, GgufWriter& writer, std::string&) {
    if (i == 1) writer.Remove("split.no");
  });
  ExpectError([&] { GgufFile::Open(split.Path(0)); },
              {split.Path(1).c_str(), "'split.no' is missing"});
  split.Write(
      [](int, GgufWriter& writer, std::string&) { writer.Set<int32_t>("split.tensors.count", 4); });
  ExpectError([&] { GgufFile::Open(split.Path(0)); },
              {"'split.tensors.count'", "expected 4", "got 3"});
  split.Write([](int i, GgufWriter&, std::string& name) {
    if (i == 2) name = "t0";
  });
  ExpectError([&] { GgufFile::Open(split.Path(0)); }, {"'t0'", "duplicate"});
  split.Write([](int i, GgufWriter& writer, std::string&) {
    if (i == 0) writer.Set<uint16_t>("split.no", 9);
  });
  ExpectError([&] { GgufFile::Open(split.Path(0)); }, {"split.no", "got 9 of 3"});
}

// The expected values are what the gguf Python package (0.19.0) reads.
TEST(GgufData, Vocabulary) {
  SLM_DATA_OR_SKIP(path, "vocab/ggml-vocab-llama-bpe.gguf");
  const GgufFile file = GgufFile::Open(path);
  const GgufMetadata& m = file.metadata();
  EXPECT_EQ(m.entries().size(), 20u);
  EXPECT_EQ(m.GetString("general.architecture"), "llama");
  EXPECT_EQ(m.GetUint("llama.block_count"), 32u);
  EXPECT_EQ(m.GetFloat("llama.rope.freq_base"), 500000.0f);
  EXPECT_EQ(m.GetUint("tokenizer.ggml.bos_token_id"), 128000u);
  const auto tokens = m.GetStrings("tokenizer.ggml.tokens");
  ASSERT_EQ(tokens.size(), 128256u);
  EXPECT_EQ(tokens[0], "!");
  EXPECT_EQ(tokens[1000], "indow");
  EXPECT_EQ(tokens.back(), "<|reserved_special_token_250|>");
  const auto merges = m.GetStrings("tokenizer.ggml.merges");
  ASSERT_EQ(merges.size(), 280147u);
  EXPECT_EQ(merges.back(), "\xc3\xa9\xc4\xb6 \xc2\xa6");
  int64_t sum = 0;
  for (const int64_t type : m.GetInts("tokenizer.ggml.token_type")) sum += type;
  EXPECT_EQ(sum, 128768);
}

TEST(GgufData, TinyModel) {
  SLM_DATA_OR_SKIP(path, "tiny/llama/model-f32.gguf");
  const GgufFile file = GgufFile::Open(path);
  EXPECT_EQ(file.tensors().size(), 30u);
  EXPECT_EQ(file.metadata().entries().size(), 25u);
  size_t bytes = 0;
  for (const GgufTensor& tensor : file.tensors()) bytes += tensor.bytes();
  EXPECT_EQ(bytes, 599840u);
  const GgufTensor& tensor = file.Get("token_embd.weight");
  EXPECT_EQ(tensor.offset, 7488u);
  EXPECT_EQ(tensor.dims, (std::array<int64_t, 4>{64, 320, 1, 1}));
  std::vector<float> values(static_cast<size_t>(tensor.elements));
  quant::Traits(tensor.type).decode(tensor.data.data(), values.data(), tensor.elements);
  EXPECT_EQ(values.front(), 0.7017841f);
  EXPECT_EQ(values.back(), 0.7277151f);
}

}  // namespace
}  // namespace slm::format
