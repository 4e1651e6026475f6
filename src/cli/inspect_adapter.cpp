#include "cli/inspect_adapter.h"

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/printable.h"
#include "base/progress.h"
#include "convert/config.h"
#include "format/safetensors.h"

namespace slm::cli {

using nlohmann::ordered_json;

namespace {

constexpr auto kReplace = ordered_json::error_handler_t::replace;

std::string ConfigPath(const std::string& folder) { return folder + "/adapter_config.json"; }

// PEFT writes all its settings, most of them unused.
bool IsSet(const nlohmann::json& value) {
  return !value.is_null() && value != false && !(value.is_structured() && value.empty());
}

}  // namespace

bool IsPeftFolder(const std::string& path) {
  std::error_code ignored;
  return !path.empty() && std::filesystem::exists(ConfigPath(path), ignored);
}

void InspectAdapter(const std::string& folder, bool is_json) {
  const auto tensors = format::Safetensors::OpenFolder(folder, "adapter_model");
  ordered_json config = ordered_json::object(), list = ordered_json::array();
  const nlohmann::json settings = convert::Config::Read(ConfigPath(folder)).json();
  for (const auto& [key, value] : settings.items())
    if (IsSet(value)) config[key] = value;
  for (const format::SafetensorsTensor& tensor : tensors.tensors())
    list.push_back({{"name", tensor.name},
                    {"type", tensor.type->name},
                    {"shape", tensor.shape},
                    {"bytes", tensor.data.size()}});
  const ordered_json report = {{"adapter", folder},
                               {"bytes", tensors.file_bytes()},
                               {"config", config},
                               {"metadata", tensors.metadata()},
                               {"tensors", list}};
  if (is_json) {
    std::printf("%s\n", report.dump(-1, ' ', false, kReplace).c_str());
    return;
  }
  std::printf("%s: an adapter of PEFT, %s, %zu tensors\n\n", Printable(folder).c_str(),
              FormatBytes(tensors.file_bytes()).c_str(), list.size());
  for (const char* part : {"config", "metadata"})
    for (const auto& [key, value] : report.at(part).items())
      std::printf("%-36s %s\n", Printable(key).c_str(),
                  Printable(value.dump(-1, ' ', false, kReplace)).c_str());
  std::printf("\n");
  for (const ordered_json& t : list)
    std::printf("%-72s %-5s %-14s %10s\n", Printable(t.at("name").get<std::string>()).c_str(),
                t.at("type").get<std::string>().c_str(), t.at("shape").dump().c_str(),
                FormatBytes(t.at("bytes")).c_str());
}

}  // namespace slm::cli
