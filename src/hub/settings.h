// Where models are kept and how the network is used: the environment variables of huggingface_hub.
#pragma once

#include <cstdint>
#include <string>

namespace slm::hub {

// The policy of one transfer.
struct TransferLimits {
  int retries = 5;           // attempts without progress after the first; then the transfer fails
  int64_t backoff_ms = 500;  // before the first retry; doubles each time
  int64_t max_wait_ms = 60'000;  // longest single wait; a longer Retry-After is an error at once
  int64_t connect_timeout_ms = 15'000;
  int64_t low_speed_bytes_s = 100;  // slower than this for low_speed_time_s counts as a cut
  int64_t low_speed_time_s = 30;
  int redirects = 8;
};

struct Settings {
  std::string cache;     // folder of the hub cache; made when first written to
  std::string endpoint;  // of the hub, without a slash at the end
  std::string token;     // empty: none; sent to the endpoint's own origin only
  bool is_offline = false;
  TransferLimits limits;
};

// Where packed weights are kept: the folder `packed` of SLM_CACHE, else of XDG_CACHE_HOME/slm, else
// of ~/.cache/slm. Throws Error kUsage when there is no home.
std::string PackedFolder();

// HF_HUB_CACHE, else HUGGINGFACE_HUB_CACHE, else HF_HOME/hub, else XDG_CACHE_HOME/huggingface/hub,
// else ~/.cache/huggingface/hub. HF_ENDPOINT. HF_TOKEN, else the file HF_TOKEN_PATH
// (HF_HOME/token). HF_HUB_OFFLINE. Throws Error kUsage when a value cannot be used (e.g.
// HF_ENDPOINT is no URL).
Settings SettingsFromEnvironment();

}  // namespace slm::hub
