#include <fmt/core.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/cpu.h"
#include "base/error.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "hub/models.h"
#include "hub/settings.h"
#include "kernels/table.h"
#include "model/packed_store.h"

namespace slm::cli {
namespace {

using Json = nlohmann::ordered_json;

// A wrong setting is what the doctor is asked for, not a reason to say nothing.
template <class F>
void Ask(Json* report, const char* name, const F& answer) {
  try {
    (*report)[name] = answer();
  } catch (const Error& error) {
    (*report)[name] = nullptr;
    report->at("problems").push_back(error.what());
  }
}

Json PackedWeights() {
  const model::PackedStore store(hub::PackedFolder(), 0);
  uint64_t bytes = 0;
  for (const model::PackedEntry& entry : store.List()) bytes += entry.bytes;
  return {{"folder", store.folder()}, {"bytes", bytes}};
}

Json Report() {
  Json isas = Json::array();
  for (const kernels::KernelTable* table : kernels::AvailableTables()) isas.push_back(table->isa);
  const MemoryInfo memory = GetMemoryInfo();
  const double quota = CpuQuota();
  Json report = {{"version", SLM_VERSION},
                 {"cpu", CpuName()},
                 {"cores", AllowedCores()},
                 {"cpu_quota", quota > 0 ? Json(quota) : Json()},
                 {"threads", DefaultThreads()},
                 {"kernels_available", isas},
                 {"memory_bytes", memory.total_bytes},
                 {"memory_available_bytes", memory.available_bytes},
                 {"problems", Json::array()}};
  Ask(&report, "kernels", [] { return std::string(kernels::Kernels().isa); });
  Ask(&report, "model_store", [] { return hub::SettingsFromEnvironment().cache; });
  Ask(&report, "packed_weights", PackedWeights);
  return report;
}

std::string TextOr(const Json& value, const char* other) {
  return value.is_null() ? other : value.get<std::string>();
}

void Run(bool is_json) {
  const Json r = Report();
  if (is_json) {
    // A file name may be no UTF-8.
    std::printf("%s\n", r.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
    return;
  }
  std::string isas;
  for (const auto& isa : r.at("kernels_available")) isas += " " + isa.get<std::string>();
  std::printf("slm          %s\n", SLM_VERSION);
  std::printf("cpu          %s\n", r.at("cpu").get<std::string>().c_str());
  std::printf("cores        %d usable%s\n", r.at("cores").get<int>(),
              r.at("cpu_quota").is_null()
                  ? ", no quota"
                  : fmt::format(", quota of {:.2f}", r.at("cpu_quota").get<double>()).c_str());
  std::printf("threads      %d by default\n", r.at("threads").get<int>());
  std::printf("kernels      %s; available:%s (SLM_ISA chooses)\n",
              TextOr(r.at("kernels"), "none").c_str(), isas.c_str());
  std::printf("memory       %s, %s available\n", FormatBytes(r.at("memory_bytes")).c_str(),
              FormatBytes(r.at("memory_available_bytes")).c_str());
  std::printf("models       %s\n", TextOr(r.at("model_store"), "none").c_str());
  if (const Json& packed = r.at("packed_weights"); !packed.is_null())
    std::printf("packed       %s, %s\n", packed.at("folder").get<std::string>().c_str(),
                FormatBytes(packed.at("bytes")).c_str());
  for (const Json& problem : r.at("problems"))
    std::printf("problem      %s\n", problem.get<std::string>().c_str());
}

}  // namespace

Work DeclareDoctor(CLI::App* app) {
  auto is_json = std::make_shared<bool>(false);
  AddJson(app, is_json.get());
  return [is_json] { Run(*is_json); };
}

}  // namespace slm::cli
