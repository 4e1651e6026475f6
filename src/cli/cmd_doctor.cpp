#include <fmt/core.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/cpu.h"
#include "base/error.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "hub/settings.h"
#include "kernels/table.h"

namespace slm::cli {
namespace {

nlohmann::ordered_json Report() {
  nlohmann::ordered_json isas = nlohmann::ordered_json::array();
  for (const kernels::KernelTable* table : kernels::AvailableTables()) isas.push_back(table->isa);
  const MemoryInfo memory = GetMemoryInfo();
  const double quota = CpuQuota();
  return {{"version", SLM_VERSION},
          {"cpu", CpuName()},
          {"cores", AllowedCores()},
          {"cpu_quota", quota > 0 ? nlohmann::ordered_json(quota) : nlohmann::ordered_json()},
          {"threads", DefaultThreads()},
          {"kernels_available", isas},
          {"kernels", kernels::Kernels().isa},
          {"memory_bytes", memory.total_bytes},
          {"memory_available_bytes", memory.available_bytes}};
}

// A wrong setting is what the doctor is asked for, not a reason to say nothing.
void AddModelStore(nlohmann::ordered_json* report) {
  try {
    (*report)["model_store"] = hub::SettingsFromEnvironment().cache;
  } catch (const Error& error) {
    (*report)["model_store"] = nullptr;
    (*report)["problem"] = error.what();
  }
}

void Run(bool is_json) {
  nlohmann::ordered_json r = Report();
  AddModelStore(&r);
  if (is_json) {
    std::printf("%s\n", r.dump().c_str());
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
              r.at("kernels").get<std::string>().c_str(), isas.c_str());
  std::printf("memory       %s, %s available\n", FormatBytes(r.at("memory_bytes")).c_str(),
              FormatBytes(r.at("memory_available_bytes")).c_str());
  if (r.contains("problem"))
    std::printf("problem      %s\n", r.at("problem").get<std::string>().c_str());
  else
    std::printf("model store  %s\n", r.at("model_store").get<std::string>().c_str());
}

}  // namespace

Work DeclareDoctor(CLI::App* app) {
  auto is_json = std::make_shared<bool>(false);
  AddJson(app, is_json.get());
  return [is_json] { Run(*is_json); };
}

}  // namespace slm::cli
