#include "format/safetensors_writer.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/error.h"
#include "format/safetensors.h"
#include "support/data.h"
#include "support/temp_folder.h"

namespace slm::format {
namespace {

using testing::TempFolder;

std::vector<uint8_t> Ramp(size_t n, uint8_t start) {
  std::vector<uint8_t> bytes(n);
  std::iota(bytes.begin(), bytes.end(), start);
  return bytes;
}

void Declare(SafetensorsWriter* writer, const std::string& name, const char* type,
             std::vector<int64_t> shape) {
  writer->Declare(name, type, shape);
}

template <class T>
void Append(SafetensorsWriter* writer, std::vector<T> items) {
  writer->Append({reinterpret_cast<const uint8_t*>(items.data()), items.size() * sizeof(T)});
}

size_t CountFiles(const TempFolder& folder) {
  const std::filesystem::directory_iterator files(folder.path());
  return static_cast<size_t>(std::distance(begin(files), end(files)));
}

TEST(SafetensorsWriter, TextsBesideTheTensors) {
  const TempFolder folder;
  SafetensorsWriter writer(folder.path());
  writer.SetMetadata("name", "a \"b\" \xff");
  Declare(&writer, "x", "F32", {1});
  Append<float>(&writer, {1});
  writer.Finish();
  const SafetensorsMetadata expected = {{"format", "pt"}, {"name", "a \"b\" \xef\xbf\xbd"}};
  EXPECT_EQ(Safetensors::OpenFolder(folder.path()).metadata(), expected);
}

// By safetensors 0.8.0: safetensors.torch.save(tensors, {"format": "pt"}).
TEST(SafetensorsWriter, SameBytesAsTheReference) {
  const TempFolder folder;
  SafetensorsWriter writer(folder.path());
  Declare(&writer, "b", "F16", {1, 3});
  Declare(&writer, "d", "F32", {1});
  Declare(&writer, "c", "I32", {1, 2});
  Declare(&writer, "a", "I64", {2});
  Append<uint16_t>(&writer, {0x3e00, 0xc000, 0x3400});
  Append<float>(&writer, {0.5f});
  Append<int32_t>(&writer, {1});
  Append<int32_t>(&writer, {2});
  Append<int64_t>(&writer, {1, -2});
  writer.Finish();
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"I64","shape":[2],"data_offsets":[0,16]},)"
      R"("d":{"dtype":"F32","shape":[1],"data_offsets":[16,20]},)"
      R"("c":{"dtype":"I32","shape":[1,2],"data_offsets":[20,28]},)"
      R"("b":{"dtype":"F16","shape":[1,3],"data_offsets":[28,34]}} )";
  const std::string data(
      "\x01\0\0\0\0\0\0\0\xfe\xff\xff\xff\xff\xff\xff\xff\0\0\0\x3f\x01\0\0\0\x02\0\0\0\0\x3e\0\xc0"
      "\0\x34",
      34);
  EXPECT_EQ(testing::ReadFile(folder / "model.safetensors"),
            std::string("\0\x01\0\0\0\0\0\0", 8) + header + data);
  EXPECT_EQ(CountFiles(folder), 1u);
}

TEST(SafetensorsWriter, Shards) {
  const TempFolder folder;
  SafetensorsWriter writer(folder.path(), 100);
  const std::vector<size_t> sizes = {60, 40, 2, 200, 6, 0, 8};
  for (size_t i = 0; i < sizes.size(); ++i)
    Declare(&writer, "t" + std::to_string(i), "BF16", {static_cast<int64_t>(sizes[i] / 2)});
  EXPECT_EQ(writer.data_bytes(), 316u);
  for (size_t i = 0; i < sizes.size(); ++i) writer.Append(Ramp(sizes[i], uint8_t(i)));
  EXPECT_FALSE(std::filesystem::exists(folder / "model.safetensors.index.json"));
  writer.Finish();
  EXPECT_EQ(CountFiles(folder), 5u);
  const auto index =
      nlohmann::json::parse(testing::ReadFile(folder / "model.safetensors.index.json"));
  EXPECT_EQ(index["metadata"]["total_size"], 316);
  EXPECT_EQ(index["weight_map"]["t1"], "model-00001-of-00004.safetensors");
  EXPECT_EQ(index["weight_map"]["t2"], "model-00002-of-00004.safetensors");
  EXPECT_EQ(index["weight_map"]["t3"], "model-00003-of-00004.safetensors");
  EXPECT_EQ(index["weight_map"]["t6"], "model-00004-of-00004.safetensors");
  const Safetensors file = Safetensors::OpenFolder(folder.path());
  ASSERT_EQ(file.tensors().size(), sizes.size());
  for (size_t i = 0; i < sizes.size(); ++i) {
    const auto expected = Ramp(sizes[i], uint8_t(i));
    const auto* tensor = file.Find("t" + std::to_string(i));
    ASSERT_NE(tensor, nullptr);
    EXPECT_TRUE(
        std::equal(expected.begin(), expected.end(), tensor->data.begin(), tensor->data.end()));
  }
}

TEST(SafetensorsWriter, EmptyModel) {
  const TempFolder folder;
  SafetensorsWriter writer(folder.path());
  writer.Finish();
  EXPECT_EQ(Safetensors::OpenFolder(folder.path()).tensors().size(), 0u);
}

TEST(SafetensorsWriter, GivenUpLeavesNothing) {
  const TempFolder folder;
  {
    SafetensorsWriter writer(folder.path(), 10);
    Declare(&writer, "a", "F32", {2});
    Declare(&writer, "b", "F32", {2});
    writer.Append(Ramp(12 - 4, 0));
    writer.Append(Ramp(4, 0));
  }
  EXPECT_EQ(CountFiles(folder), 0u);
}

TEST(SafetensorsWriter, FullDisk) {
  const TempFolder folder;
  rlimit old;
  getrlimit(RLIMIT_FSIZE, &old);
  rlimit small = old;
  small.rlim_cur = 1 << 16;
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  std::string message;
  {
    SafetensorsWriter writer(folder.path());
    Declare(&writer, "a", "F32", {1 << 18});
    setrlimit(RLIMIT_FSIZE, &small);
    try {
      writer.Append(Ramp(1 << 20, 0));
      writer.Finish();
    } catch (const Error& error) {
      message = error.what();
      EXPECT_EQ(error.code(), Code::kFailed);
    }
    setrlimit(RLIMIT_FSIZE, &old);
  }
  std::signal(SIGXFSZ, old_handler);
  EXPECT_NE(message.find("cannot write"), std::string::npos) << message;
  EXPECT_EQ(CountFiles(folder), 0u);
}

TEST(SafetensorsWriter, RefusesDuplicatesAndImpossibleShapes) {
  const TempFolder folder;
  SafetensorsWriter writer(folder.path());
  Declare(&writer, "a", "F32", {1});
  EXPECT_THROW(Declare(&writer, "a", "F32", {1}), Error);
  EXPECT_THROW(Declare(&writer, "b", "F32", {-1}), Error);
  EXPECT_THROW(Declare(&writer, "c", "F32", {int64_t{1} << 40, int64_t{1} << 40}), Error);
  EXPECT_THROW(SafetensorsWriter(folder / "none").Finish(), Error);
}

}  // namespace
}  // namespace slm::format
