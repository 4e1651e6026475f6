#include "cli/convert_to_hf.h"

#include <fmt/core.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/progress.h"
#include "convert/hf_export.h"

namespace slm::cli {

void AddToHfFlags(CLI::App* app, ToHfFlags* flags) {
  app->add_option("--bits", flags->bits,
                  "With --to hf: 32 (float32), 16 (bfloat16) or 4 (compressed-tensors); default: "
                  "32 for a file in float32, else 16")
      ->check(CLI::IsMember({32, 16, 4}))
      ->needs(app->get_option("--to"));
  app->add_option("--group-size", flags->group_size,
                  "With --bits 4: weights that share a scale, 32 or 128")
      ->check(CLI::IsMember({32, 128}))
      ->needs(app->get_option("--bits"))
      ->capture_default_str();
}

void ConvertToHf(const std::string& input, const std::string& folder, const ToHfFlags& flags,
                 int threads, bool allows_non_finite, bool is_json) {
  ProgressBar progress;
  convert::HfExportOptions options;
  options.input = input;
  options.folder = folder;
  options.bits = flags.bits;
  options.group_size = flags.group_size;
  options.threads = threads;
  options.allows_non_finite = allows_non_finite;
  options.progress = &progress;
  options.notice = [&](const std::string& text) {
    progress.Clear();
    std::fprintf(stderr, "slm: %s\n", text.c_str());
  };
  const convert::HfExportResult result = convert::ExportHf(options);
  if (result.rounded > 0)
    options.notice(
        fmt::format("{} matrices rounded to 4 bits in groups of {}, {} carried over exactly",
                    result.rounded, flags.group_size, result.exact));
  if (is_json) {
    const nlohmann::ordered_json json = {
        {"path", folder},        {"bits", result.bits},   {"tensors", result.tensors},
        {"bytes", result.bytes}, {"exact", result.exact}, {"rounded", result.rounded}};
    std::printf("%s\n", json.dump().c_str());
    return;
  }
  std::printf("%s: %d bits, %lld tensors, %s\n", folder.c_str(), result.bits,
              static_cast<long long>(result.tensors), FormatBytes(result.bytes).c_str());
}

}  // namespace slm::cli
