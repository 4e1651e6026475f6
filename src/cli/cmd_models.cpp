#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "base/progress.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/training_base.h"
#include "hub/models.h"
#include "model/packed_store.h"

namespace slm::cli {
namespace {

// A file name may be no UTF-8.
constexpr auto kReplace = nlohmann::json::error_handler_t::replace;

struct Flags {
  std::string remove;
  bool is_pruned = false, is_json = false;
};

model::PackedStore Store() { return {hub::PackedFolder(), 0}; }

std::string Canonical(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::weakly_canonical(path, ignored);
}

// And what was packed of it and of others that are gone.
void Remove(const Flags& flags) {
  hub::RemoveResult result;
  const std::vector<BaseEntry> bases = ListTrainingBases();
  const auto is_named = [&](const BaseEntry& base) {
    return Canonical(base.path) == Canonical(flags.remove);
  };
  if (!flags.remove.empty() && std::none_of(bases.begin(), bases.end(), is_named))
    result = hub::RemoveModel(flags.remove, hub::SettingsFromEnvironment());
  for (const BaseEntry& base : bases)
    if (is_named(base) || (flags.is_pruned && base.is_stale)) {
      RemoveTrainingBase(base);
      result.removed.push_back(base.path);
      result.freed_bytes += base.bytes;
    }
  const model::PackedStore::Pruned pruned = Store().Prune();
  result.removed.insert(result.removed.end(), pruned.paths.begin(), pruned.paths.end());
  result.freed_bytes += pruned.freed_bytes;
  if (flags.is_json) {
    const nlohmann::ordered_json json = {{"removed", result.removed},
                                         {"freed_bytes", result.freed_bytes}};
    std::printf("%s\n", json.dump(-1, ' ', false, kReplace).c_str());
    return;
  }
  for (const std::string& path : result.removed) std::printf("removed %s\n", path.c_str());
  std::printf("freed %s\n", FormatBytes(result.freed_bytes).c_str());
}

std::string Describe(const BaseEntry& base) {
  return base.folder.empty() ? "(base of training)"
                             : fmt::format("({} of {})", base.type, base.folder);
}

void List(const Flags& flags) {
  const std::vector<BaseEntry> bases = ListTrainingBases();
  const std::vector<model::PackedEntry> packed = Store().List();
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
    std::map<std::string, uint64_t> packed_bytes;
    for (const model::PackedEntry& entry : packed) packed_bytes[entry.model] += entry.bytes;
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const hub::ModelEntry& m : models)
      list.push_back({{"name", m.name},
                      {"bytes", m.bytes},
                      {"quant", m.quant},
                      {"source", m.source},
                      {"path", m.path},
                      {"is_complete", m.is_complete},
                      {"packed_bytes", packed_bytes[Canonical(m.path)]},
                      {"last_used_s", m.last_used_s},
                      {"is_stale", false}});
    for (const BaseEntry& base : bases)
      list.push_back({{"name", base.path},
                      {"bytes", base.bytes},
                      {"quant", base.type},
                      {"source", base.folder},
                      {"path", base.path},
                      {"is_complete", true},
                      {"packed_bytes", packed_bytes[Canonical(base.path)]},
                      {"last_used_s", base.last_used_s},
                      {"is_stale", base.is_stale}});
    std::printf("%s\n", list.dump(-1, ' ', false, kReplace).c_str());
    return;
  }
  if (models.empty())
    std::fprintf(stderr, "slm: no models yet; get one by: slm pull hf:user/repo\n");
  for (const hub::ModelEntry& m : models)
    std::printf("%-56s %9s  %s%s\n", m.name.c_str(), FormatBytes(m.bytes).c_str(), m.path.c_str(),
                m.is_complete ? "" : "  (incomplete)");
  uint64_t bytes = 0, stale_bytes = 0;
  for (const BaseEntry& base : bases) {
    std::printf("%-56s %9s  %s%s\n", Describe(base).c_str(), FormatBytes(base.bytes).c_str(),
                base.path.c_str(), base.is_stale ? "  (its folder is gone or has changed)" : "");
    if (base.is_stale) stale_bytes += base.bytes;
  }
  for (const model::PackedEntry& entry : packed) {
    bytes += entry.bytes;
    if (entry.is_stale) stale_bytes += entry.bytes;
  }
  if (!packed.empty())
    std::printf("%-56s %9s  %s\n", "(packed weights)", FormatBytes(bytes).c_str(),
                Store().folder().c_str());
  if (stale_bytes > 0)
    std::printf("%-56s %9s  slm models --prune removes them\n",
                "  (of what is gone or has changed)", FormatBytes(stale_bytes).c_str());
}

}  // namespace

Work DeclareModels(CLI::App* app) {
  auto flags = std::make_shared<Flags>();
  app->add_option("--rm", flags->remove, "Remove this model, or the base that is at this path");
  app->add_flag("--prune", flags->is_pruned,
                "Remove packed weights whose model, and bases of slm finetune whose folder is gone "
                "or has changed");
  AddJson(app, &flags->is_json);
  return [flags] { flags->remove.empty() && !flags->is_pruned ? List(*flags) : Remove(*flags); };
}

}  // namespace slm::cli
