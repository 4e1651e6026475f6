#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/progress.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "eval/speed.h"
#include "kernels/table.h"

namespace slm::cli {
namespace {

struct Flags {
  ModelOptions model;
  eval::SpeedOptions speed;
  bool is_json = false;
};

void Run(Flags flags) {
  LoadedModel loaded(flags.model);
  flags.speed.session = {flags.model.context, ParseKvType(flags.model.k_type),
                         ParseKvType(flags.model.v_type), loaded.loras()};
  ProgressBar progress(STDERR_FILENO, ProgressBar::Rest::kNothing);
  const eval::SpeedReport report =
      eval::MeasureSpeed(loaded.model(), &loaded.executor(), flags.speed, &progress);
  const double gmacs = report.peak.int8_macs_per_second / 1e9;
  const double gbytes = report.peak.read_bytes_per_second / 1e9;
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  const auto add = [&](const char* kind, int64_t tokens, const eval::Speed& speed,
                       const char* work_name) {
    if (tokens == 0) return;
    std::string test = kind + std::to_string(tokens);
    if (flags.speed.depth > 0) test += "@d" + std::to_string(flags.speed.depth);
    list.push_back(
        {{"test", test},
         {"model", loaded.model()->file().path()},
         {"tokens_per_second", speed.tokens_per_second},
         {"best", speed.best},
         {"worst", speed.worst},
         {"share_of_peak", speed.share_of_peak ? nlohmann::ordered_json(*speed.share_of_peak)
                                               : nlohmann::ordered_json()},
         {work_name, speed.work_per_token},
         {"peak_int8_gmac_per_second", gmacs},
         {"peak_read_gb_per_second", gbytes},
         {"probes", speed.probes},
         {"discarded", report.discarded},
         {"cache_type_k", flags.model.k_type},
         {"cache_type_v", flags.model.v_type},
         {"is_repacked", !flags.model.pack.is_not_repacked},
         {"repetitions", flags.speed.repeats},
         {"threads", loaded.runtime().threads()},
         {"threads_batch", loaded.runtime().batch_threads()},
         {"kernels", loaded.runtime().kernels().isa},
         {"version", SLM_VERSION}});
  };
  add("pp", flags.speed.prompt, report.prefill, "macs_per_token");
  add("tg", flags.speed.predict, report.decode, "bytes_per_token");
  if (flags.is_json) {
    // A file name may be no UTF-8.
    constexpr auto kReplace = nlohmann::json::error_handler_t::replace;
    std::printf("%s\n", list.dump(-1, ' ', false, kReplace).c_str());
    return;
  }
  std::printf("%-14s %12s %12s %12s %8s\n", "test", "tok/s", "worst", "best", "share");
  for (const auto& row : list) {
    const nlohmann::ordered_json& share = row.at("share_of_peak");
    std::printf("%-14s %12.1f %12.1f %12.1f %8s\n", row.at("test").get<std::string>().c_str(),
                row.at("tokens_per_second").get<double>(), row.at("worst").get<double>(),
                row.at("best").get<double>(),
                share.is_null() ? "-" : fmt::format("{:.0f}%", 100 * share.get<double>()).c_str());
  }
  if (report.discarded > 0)
    std::printf(
        "%d more repetitions were discarded: what this machine can do changed by a tenth "
        "meanwhile\n",
        report.discarded);
  const engine::Runtime& runtime = loaded.runtime();
  std::printf(
      "this machine: %.0f GMAC/s of int8 with %d threads and reads of %.1f GB/s with %d, %s "
      "kernels\n",
      gmacs, runtime.batch_threads(), gbytes, runtime.threads(),
      std::string(runtime.kernels().isa).c_str());
}

}  // namespace

Work DeclareBench(CLI::App* app) {
  auto flags = std::make_shared<Flags>();
  AddModelOptions(app, &flags->model);
  const auto count = CLI::Range(int64_t{0}, int64_t{1} << 20);
  app->add_option("-p,--n-prompt", flags->speed.prompt, "Tokens to prefill; 0: none")
      ->check(count)
      ->capture_default_str();
  app->add_option("-n,--n-gen", flags->speed.predict, "Tokens to decode; 0: none")
      ->check(count)
      ->capture_default_str();
  app->add_option("-d,--n-depth", flags->speed.depth, "Tokens in the context before")
      ->check(count)
      ->capture_default_str();
  app->add_option(
         "-r,--repetitions", flags->speed.repeats,
         "Repetitions after one to warm up; the median is printed. Those while the machine "
         "drifted are done again, each once at most")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  AddJson(app, &flags->is_json);
  return [flags] { Run(*flags); };
}

}  // namespace slm::cli
