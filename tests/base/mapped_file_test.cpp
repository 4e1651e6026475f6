#include "base/mapped_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <utility>

#include "base/error.h"
#include "support/data.h"
#include "support/temp_folder.h"

namespace slm {
namespace {

TEST(MappedFileTest, HasTheBytes) {
  const testing::TempFolder folder;
  testing::WriteFile(folder / "file", "abc");
  const MappedFile file(folder / "file");
  EXPECT_EQ(std::string(file.bytes().begin(), file.bytes().end()), "abc");
  EXPECT_EQ(file.stamp(), StampOf(folder / "file"));
}

TEST(MappedFileTest, ReadsAPartUnlessItIsCut) {
  const testing::TempFolder folder;
  testing::WriteFile(folder / "file", "abcdef");
  MappedFile first(folder / "file");
  const MappedFile file = std::move(first);
  std::string text(3, ' ');
  auto* to = reinterpret_cast<uint8_t*>(text.data());
  file.Read(file.bytes().subspan(2, 3), to);
  EXPECT_EQ(text, "cde");
  std::filesystem::resize_file(folder / "file", 4);
  try {
    file.Read(file.bytes().subspan(2, 3), to);
    ADD_FAILURE() << "read behind the end";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kFailed);
  }
}

TEST(MappedFileTest, RefusesWhatIsNoFileWithBytes) {
  const testing::TempFolder folder;
  testing::WriteFile(folder / "empty", "");
  EXPECT_THROW(MappedFile(folder / "empty"), Error);
  EXPECT_THROW(MappedFile(folder / "none"), Error);
  EXPECT_THROW(MappedFile(folder.path()), Error);
}

TEST(MappedFileDeathTest, CutWhileItIsReadIsBadInput) {
  const testing::TempFolder folder;
  testing::WriteFile(folder / "file", std::string(1 << 16, 'a'));
  const MappedFile file(folder / "file");
  std::filesystem::resize_file(folder / "file", 1);
  const auto read = [&] {
    ExplainLostFiles();
    const volatile uint8_t last = file.bytes().back();
    (void)last;
  };
  EXPECT_EXIT(read(), ::testing::ExitedWithCode(static_cast<int>(Code::kBadInput)),
              "can no longer be read");
}

}  // namespace
}  // namespace slm
