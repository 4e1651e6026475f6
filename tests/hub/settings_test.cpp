#include "hub/settings.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/error.h"
#include "support/temp_folder.h"

namespace slm::hub {
namespace {

class SettingsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name :
         {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "SLM_CACHE",
          "HF_ENDPOINT", "HF_TOKEN", "HF_TOKEN_PATH", "HF_HUB_OFFLINE"})
      unsetenv(name);
    setenv("HOME", home_.path().c_str(), 1);
  }
  testing::TempFolder home_;
};

TEST_F(SettingsTest, TheCacheIsWherePythonLooks) {
  EXPECT_EQ(SettingsFromEnvironment().cache, home_ / ".cache/huggingface/hub");
  setenv("XDG_CACHE_HOME", "/xdg", 1);
  EXPECT_EQ(SettingsFromEnvironment().cache, "/xdg/huggingface/hub");
  setenv("HF_HOME", "~/hf", 1);
  EXPECT_EQ(SettingsFromEnvironment().cache, home_ / "hf/hub");
  setenv("HUGGINGFACE_HUB_CACHE", "/old", 1);
  EXPECT_EQ(SettingsFromEnvironment().cache, "/old");
  setenv("HF_HUB_CACHE", "/new", 1);
  EXPECT_EQ(SettingsFromEnvironment().cache, "/new");
}

TEST_F(SettingsTest, PackedWeightsAreWhereCachesAre) {
  EXPECT_EQ(PackedFolder(), home_ / ".cache/slm/packed");
  setenv("XDG_CACHE_HOME", "/xdg", 1);
  EXPECT_EQ(PackedFolder(), "/xdg/slm/packed");
  setenv("SLM_CACHE", "~/large", 1);
  EXPECT_EQ(PackedFolder(), home_ / "large/packed");
}

TEST_F(SettingsTest, TokenFromTheVariableOrTheLoginFile) {
  EXPECT_EQ(SettingsFromEnvironment().token, "");
  testing::WriteFile(home_ / ".cache/huggingface/token", "hf_file\n");
  EXPECT_EQ(SettingsFromEnvironment().token, "hf_file");
  setenv("HF_TOKEN", " hf_variable\n", 1);
  EXPECT_EQ(SettingsFromEnvironment().token, "hf_variable");
  setenv("HF_TOKEN", "hf_x\r\nX-Evil: 1", 1);
  EXPECT_THROW(SettingsFromEnvironment(), Error);
}

TEST_F(SettingsTest, EndpointAndOffline) {
  EXPECT_EQ(SettingsFromEnvironment().endpoint, "https://huggingface.co");
  EXPECT_FALSE(SettingsFromEnvironment().is_offline);
  setenv("HF_ENDPOINT", "http://mirror.example//", 1);
  setenv("HF_HUB_OFFLINE", "yes", 1);
  EXPECT_EQ(SettingsFromEnvironment().endpoint, "http://mirror.example");
  EXPECT_TRUE(SettingsFromEnvironment().is_offline);
  setenv("HF_ENDPOINT", "mirror", 1);
  EXPECT_THROW(SettingsFromEnvironment(), Error);
}

}  // namespace
}  // namespace slm::hub
