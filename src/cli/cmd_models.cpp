#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/progress.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "hub/models.h"

namespace slm::cli {
namespace {

struct Flags {
  std::string remove;
  bool is_json = false;
};

void Remove(const Flags& flags) {
  const hub::RemoveResult result = hub::RemoveModel(flags.remove, hub::SettingsFromEnvironment());
  if (flags.is_json) {
    const nlohmann::ordered_json json = {{"removed", result.removed},
                                         {"freed_bytes", result.freed_bytes}};
    std::printf("%s\n", json.dump().c_str());
    return;
  }
  for (const std::string& path : result.removed) std::printf("removed %s\n", path.c_str());
  std::printf("freed %s\n", FormatBytes(result.freed_bytes).c_str());
}

void List(const Flags& flags) {
  std::vector<hub::ModelEntry> models = hub::ListModels(hub::SettingsFromEnvironment());
  if (const std::string path = BundledModelPath(); !path.empty()) {
    hub::ModelEntry bundled;
    bundled.name = std::filesystem::path(path).filename();
    bundled.path = path;
    bundled.bytes = std::filesystem::file_size(path);
    bundled.is_complete = true;
    models.push_back(std::move(bundled));
  }
  if (flags.is_json) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const hub::ModelEntry& m : models)
      list.push_back({{"name", m.name},
                      {"bytes", m.bytes},
                      {"quant", m.quant},
                      {"source", m.source},
                      {"path", m.path},
                      {"is_complete", m.is_complete},
                      {"last_used_s", m.last_used_s}});
    std::printf("%s\n", list.dump().c_str());
    return;
  }
  if (models.empty())
    std::fprintf(stderr, "slm: no models yet; get one by: slm pull hf:user/repo\n");
  for (const hub::ModelEntry& m : models)
    std::printf("%-56s %9s  %s%s\n", m.name.c_str(), FormatBytes(m.bytes).c_str(), m.path.c_str(),
                m.is_complete ? "" : "  (incomplete)");
}

}  // namespace

Work DeclareModels(CLI::App* app) {
  auto flags = std::make_shared<Flags>();
  app->add_option("--rm", flags->remove, "Remove this model");
  AddJson(app, &flags->is_json);
  return [flags] { flags->remove.empty() ? List(*flags) : Remove(*flags); };
}

}  // namespace slm::cli
