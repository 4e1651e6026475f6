#include "cli/convert_adapter.h"

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/options.h"
#include "convert/peft_adapter.h"
#include "convert/peft_adapter_writer.h"
#include "model/lora_writer.h"

namespace slm::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig = "adapter_config.json";

void MakeFolder(const std::string& path) {
  if (fs::exists(path) && !fs::exists(fs::path(path) / kConfig) &&
      !(fs::is_directory(path) && fs::is_empty(path)))
    throw Error(Code::kUsage, "{}: expected a new or empty folder, or an adapter to replace", path);
  fs::create_directories(path);
}

}  // namespace

bool IsAdapter(const std::string& input, bool has_base) {
  if (fs::is_directory(input))
    return fs::exists(fs::path(input) / kConfig) &&
           (has_base || !fs::exists(fs::path(input) / "config.json"));
  return fs::is_regular_file(input) &&
         format::GgufFile::Open(input).metadata().FindString("general.type") == "adapter";
}

void ConvertAdapter(const std::string& input, const std::string& base, const std::string& output,
                    bool is_json) {
  const format::GgufFile file = format::GgufFile::Open(base);
  const model::Hparams hparams =
      ReadHparams(file, model::FindFamily(file.metadata().GetString("general.architecture"), base));
  const model::LoraTargets targets(file, hparams);
  const bool is_peft = fs::is_directory(input);
  model::Lora lora;
  if (is_peft) {
    lora = convert::ReadPeftLora(input, targets);
    CheckOutput(output, {base});
    model::WriteGgufLora(output, lora, file);
  } else {
    lora = model::ReadGgufLora(input, targets);
    MakeFolder(output);
    convert::WritePeftLora(output, lora, targets, {fs::path(base).filename().string()});
  }
  const nlohmann::ordered_json json = {
      {"path", output}, {"form", is_peft ? "gguf" : "peft"}, {"matrices", lora.matrices.size()}};
  if (is_json) std::printf("%s\n", json.dump().c_str());
}

}  // namespace slm::cli
