#include "format/safetensors.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "format/safetensors_parse.h"
#include "support/temp_folder.h"

namespace slm::format {
namespace {

std::string File(const std::string& header, const std::string& data) {
  const uint64_t size = header.size();
  return std::string(reinterpret_cast<const char*>(&size), 8) + header + data;
}

Safetensors Parse(const std::string& bytes) {
  return Safetensors::Parse({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
}

std::string Problem(const std::string& bytes) {
  try {
    Parse(bytes);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kBadInput);
    return error.what();
  }
  return "";
}

TEST(SafetensorsTest, ReadsTensorsInTheOrderOfTheData) {
  const std::string bytes = File(
      R"({"b":{"dtype":"F32","shape":[1,2],"data_offsets":[2,10]},"__metadata__":{"format":"pt"},)"
      R"("s":{"dtype":"BF16","data_offsets":[0,2],"shape":[]},)"
      R"("e":{"dtype":"F16","shape":[0,3],"data_offsets":[10,10]}}   )",
      std::string("\x80\x3f", 2) + std::string("\0\0\x20\x41\0\0\x80\xbf", 8));
  const Safetensors file = Parse(bytes);
  ASSERT_EQ(file.tensors().size(), 3u);
  EXPECT_EQ(file.tensors()[0].name, "s");
  EXPECT_EQ(file.tensors()[0].elements, 1);
  const SafetensorsTensor* b = file.Find("b");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(b->shape, (std::vector<int64_t>{1, 2}));
  float values[2];
  b->type->decode(b->data.data(), values, 2);
  EXPECT_EQ(values[0], 10.0f);
  EXPECT_EQ(values[1], -1.0f);
  file.tensors()[0].type->decode(file.tensors()[0].data.data(), values, 1);
  EXPECT_EQ(values[0], 1.0f);
  EXPECT_EQ(file.Find("e")->elements, 0);
  EXPECT_EQ(file.Find("c"), nullptr);
}

TEST(SafetensorsTest, DecodesF8E4M3) {
  const SafetensorsType* type = FindSafetensorsType("F8_E4M3");
  ASSERT_NE(type, nullptr);
  const uint8_t bits[] = {0x00, 0x01, 0x07, 0x08, 0x38, 0x7e, 0xfe, 0xb8, 0x7f, 0xff};
  float values[10];
  type->decode(bits, values, 10);
  EXPECT_EQ(values[0], 0.0f);
  EXPECT_EQ(values[1], std::ldexp(1.0f, -9));
  EXPECT_EQ(values[2], std::ldexp(7.0f, -9));
  EXPECT_EQ(values[3], std::ldexp(1.0f, -6));
  EXPECT_EQ(values[4], 1.0f);
  EXPECT_EQ(values[5], 448.0f);
  EXPECT_EQ(values[6], -448.0f);
  EXPECT_EQ(values[7], -1.0f);
  EXPECT_TRUE(std::isnan(values[8]));
  EXPECT_TRUE(std::isnan(values[9]));
}

TEST(SafetensorsTest, RefusesMalformedHeaders) {
  const auto one = [](const std::string& fields, size_t bytes = 4) {
    return File("{\"t\":{" + fields + "}}", std::string(bytes, '\0'));
  };
  const std::string good = R"("dtype":"F32","shape":[1],"data_offsets":[0,4])";
  EXPECT_EQ(Problem(one(good)), "");
  const struct {
    std::string bytes;
    const char* expected;
  } kCases[] = {
      {"", "length of the header"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "Git LFS"},
      {std::string(8, '\xff'), "at most 100000000"},
      {std::string("\x10\0\0\0\0\0\0\0{}", 10), "the header"},
      {File("", ""), "not JSON"},
      {File("[]", ""), "expected an object, got an array"},
      {File("{}", "x"), "too long"},
      {File("{\"t\":[[[[", ""), "got an array"},
      {File("{\"t\":{\"dtype\":{}}}", ""), "got an object"},
      {File("{\"t\":1}", ""), "got a number"},
      {File("{\"t\":null}", ""), "got null"},
      {File("{\"__metadata__\":{\"a\":1}}", ""),
       "__metadata__: expected an object of texts, got a nu"},
      {File("{\"__metadata__\":\"a\"}", ""), "got text"},
      {File("{\"\xff\":{}}", ""), "not JSON"},
      {one("\"dtype\":\"F32\",\"shape\":[1]"), "no two data_offsets"},
      {one("\"shape\":[1],\"data_offsets\":[0,4]"), "no dtype"},
      {one("\"dtype\":\"F32\",\"data_offsets\":[0,4]"), "no shape"},
      {one(good + ",\"shape\":[1]"), "twice"},
      {one(good + ",\"more\":[1]"), "'more'"},
      {one(R"("dtype":"F32","shape":[-1],"data_offsets":[0,4])"), "negative"},
      {one(R"("dtype":"F32","shape":[1.5],"data_offsets":[0,4])"), "fraction"},
      {one(R"("dtype":"F32","shape":[[1]],"data_offsets":[0,4])"), "an array"},
      {one(R"("dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4])"), "more than 8"},
      {one(R"("dtype":"F32","shape":[1],"data_offsets":[0,4,8])"), "no two data_offsets"},
      {one(R"("dtype":"Q4_0","shape":[1],"data_offsets":[0,4])"), "unknown dtype 'Q4_0'"},
      {one(R"("dtype":"F32","shape":[2],"data_offsets":[0,4])"), "expected 8 bytes"},
      {one(R"("dtype":"F4","shape":[3],"data_offsets":[0,2])", 2), "expected 2 bytes"},
      {one(R"("dtype":"F32","shape":[1],"data_offsets":[4,0])"), "got 4 to 0"},
      {one(R"("dtype":"F32","shape":[1],"data_offsets":[4,8])"), "inside the file's 4 bytes"},
      {one(R"("dtype":"F32","shape":[1],"data_offsets":[2,6])", 6), "at 0"},
      {one(good, 5), "too long"},
      {one(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4])"), "2^63"},
      {one(R"("dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,4])"), "2^61"},
      {File("{\"t\":{" + good + "},\"u\":{" + good + "}}", "abcd"), "expected its data at 4"},
      {File("{\"t\":{" + good + "},\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
            "abcdefgh"),
       "is there twice"},
  };
  for (const auto& test : kCases) {
    EXPECT_NE(Problem(test.bytes).find(test.expected), std::string::npos)
        << "expected: " << test.expected << "\ngot: " << Problem(test.bytes);
  }
}

std::string OneTensor(const std::string& name) {
  return File("{\"" + name + "\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", "x");
}

class ShardsTest : public ::testing::Test {
 protected:
  std::string OpenProblem(const std::string& index) {
    slm::testing::WriteFile(root() / "model.safetensors.index.json", index);
    try {
      Safetensors::OpenFolder(root());
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }
  std::filesystem::path root() const { return folder_.path(); }

  slm::testing::TempFolder folder_;
};

TEST_F(ShardsTest, IndexAndShardsMustAgree) {
  slm::testing::WriteFile(root() / "a.safetensors", OneTensor("x"));
  slm::testing::WriteFile(root() / "b.safetensors", OneTensor("y"));
  EXPECT_EQ(OpenProblem(R"({"metadata":{"total_size":2,"more":[{"a":null}]},"weight_map":)"
                        R"({"x":"a.safetensors","y":"b.safetensors"}})"),
            "");
  const Safetensors both = Safetensors::OpenFolder(root());
  EXPECT_EQ(both.tensors().size(), 2u);
  EXPECT_EQ(both.PathOf(*both.Find("y")), root() / "b.safetensors");
  const struct {
    const char* index;
    const char* expected;
  } kCases[] = {
      {"{}", "no weight_map"},
      {"{", "not JSON"},
      {R"({"weight_map":[]})", "got an array"},
      {R"({"weight_map":{"x":1}})", "got a number"},
      {R"({"weight_map":{"x":{}}})", "got an object"},
      {R"({"weight_map":{"x":"../a.safetensors"}})", "expected a file name"},
      {R"({"weight_map":{"x":"/etc/passwd"}})", "expected a file name"},
      {R"({"weight_map":{"x":"a.safetensors","x":"a.safetensors"}})", "listed twice"},
      {R"({"weight_map":{"x":"missing.safetensors"}})", "which is missing"},
      {R"({"weight_map":{"x":"a.safetensors","y":"a.safetensors"}})", "where the index puts it"},
      {R"({"weight_map":{"x":"b.safetensors","y":"a.safetensors"}})", "where the index puts it"},
      {R"({"weight_map":{"x":"a.safetensors","z":"b.safetensors"}})", "'z': not in b"},
  };
  for (const auto& test : kCases) {
    EXPECT_NE(OpenProblem(test.index).find(test.expected), std::string::npos)
        << "expected: " << test.expected << "\ngot: " << OpenProblem(test.index);
  }
  slm::testing::WriteFile(root() / "b.safetensors",
                          File(R"({"y":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                               R"("z":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                               "xy"));
  EXPECT_NE(OpenProblem(R"({"weight_map":{"x":"a.safetensors","y":"b.safetensors"}})")
                .find("'z': not in the index"),
            std::string::npos);
}

TEST_F(ShardsTest, ShardsWithoutAnIndexMustBeThereAll) {
  slm::testing::WriteFile(root() / "model-00001-of-00002.safetensors", OneTensor("x"));
  EXPECT_THROW(Safetensors::OpenFolder(root()), Error);
  slm::testing::WriteFile(root() / "model-00002-of-00002.safetensors", OneTensor("x"));
  EXPECT_THROW(Safetensors::OpenFolder(root()), Error);
  slm::testing::WriteFile(root() / "model-00002-of-00002.safetensors", OneTensor("y"));
  EXPECT_EQ(Safetensors::OpenFolder(root()).tensors().size(), 2u);
}

}  // namespace
}  // namespace slm::format
