#include "base/folder_lock.h"

#include <gtest/gtest.h>

#include <string>

#include "base/error.h"
#include "support/temp_folder.h"

namespace slm {
namespace {

TEST(FolderLock, IsOfOneAtATime) {
  const testing::TempFolder folder;
  {
    const FolderLock lock(folder.path());
    try {
      FolderLock{folder.path()};
      FAIL() << "locked twice";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kFailed);
      EXPECT_EQ(error.what(), folder.path() + ": another process is writing there");
    }
  }
  FolderLock{folder.path()};
  EXPECT_THROW(FolderLock{folder.path() + "/none"}, Error);
}

}  // namespace
}  // namespace slm
