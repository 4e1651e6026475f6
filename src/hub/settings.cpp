#include "hub/settings.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "base/error.h"
#include "hub/url.h"

namespace slm::hub {
namespace {

constexpr const char* kDefaultEndpoint = "https://huggingface.co";
constexpr std::streamsize kMaxTokenBytes = 4096;

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::string HomeFolder() {
  std::string home = Environment("HOME");
  if (home.empty()) {
    if (const passwd* user = getpwuid(getuid())) home = user->pw_dir;
  }
  if (home.empty()) throw Error(Code::kUsage, "HOME is not set; set it to a folder");
  return home;
}

// "~" and "~/..." as a shell would; other forms are left alone.
std::string ExpandHome(const std::string& path) {
  if (path == "~") return HomeFolder();
  if (path.starts_with("~/")) return HomeFolder() + path.substr(1);
  return path;
}

std::string HubHome() {
  if (const std::string home = Environment("HF_HOME"); !home.empty()) return ExpandHome(home);
  if (const std::string xdg = Environment("XDG_CACHE_HOME"); !xdg.empty())
    return ExpandHome(xdg) + "/huggingface";
  return HomeFolder() + "/.cache/huggingface";
}

std::string CacheFolder() {
  for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
    if (const std::string cache = Environment(name); !cache.empty()) return ExpandHome(cache);
  }
  return HubHome() + "/hub";
}

std::string Trimmed(std::string text) {
  const auto is_space = [](unsigned char c) { return std::isspace(c) != 0; };
  text.erase(text.begin(), std::find_if_not(text.begin(), text.end(), is_space));
  text.erase(std::find_if_not(text.rbegin(), text.rend(), is_space).base(), text.end());
  return text;
}

std::string Token() {
  std::string token = Trimmed(Environment("HF_TOKEN"));
  if (token.empty()) {
    std::string path = Environment("HF_TOKEN_PATH");
    path = path.empty() ? HubHome() + "/token" : ExpandHome(path);
    if (std::ifstream in(path, std::ios::binary); in) {
      token.resize(kMaxTokenBytes);
      in.read(token.data(), kMaxTokenBytes);
      token.resize(static_cast<size_t>(std::max<std::streamsize>(in.gcount(), 0)));
      token = Trimmed(token);
    }
  }
  // It becomes a header line: anything else could add headers of its own.
  if (!std::all_of(token.begin(), token.end(), [](char c) { return c > 0x20 && c < 0x7f; }))
    throw Error(Code::kUsage,
                "the hub token (HF_TOKEN) has spaces or characters that no token has");
  return token;
}

bool IsTrue(std::string value) {
  std::transform(value.begin(), value.end(), value.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return value == "1" || value == "ON" || value == "YES" || value == "TRUE";
}

}  // namespace

std::string PackedFolder() {
  if (const std::string cache = Environment("SLM_CACHE"); !cache.empty())
    return ExpandHome(cache) + "/packed";
  if (const std::string xdg = Environment("XDG_CACHE_HOME"); !xdg.empty())
    return ExpandHome(xdg) + "/slm/packed";
  return HomeFolder() + "/.cache/slm/packed";
}

Settings SettingsFromEnvironment() {
  Settings settings;
  settings.cache = CacheFolder();
  settings.endpoint = Environment("HF_ENDPOINT");
  if (settings.endpoint.empty()) settings.endpoint = kDefaultEndpoint;
  while (settings.endpoint.ends_with('/')) settings.endpoint.pop_back();
  if (!IsHttpUrl(settings.endpoint))
    throw Error(Code::kUsage, "HF_ENDPOINT={}: expected a http:// or https:// URL",
                settings.endpoint);
  settings.token = Token();
  settings.is_offline = IsTrue(Environment("HF_HUB_OFFLINE"));
  return settings;
}

}  // namespace slm::hub
