#include "base/error.h"
#include "cli/commands.h"
#include "cli/convert_to_hf.h"
#include "cli/options.h"

namespace slm::cli {
namespace {

struct Flags {
  std::string input, output, to;
  ToHfFlags to_hf;
  int threads = 0;
  bool is_json = false;
};

void Run(const Flags& flags) {
  if (flags.to != "hf") throw Error(Code::kUsage, "--to \"{}\": expected hf", flags.to);
  ConvertToHf(ResolveModelPath(flags.input), flags.output, flags.to_hf, flags.threads,
              flags.is_json);
}

}  // namespace

void DeclareConvert(CLI::App* app) {
  auto flags = std::make_shared<Flags>();
  app->add_option("input", flags->input, "GGUF file")->required();
  app->add_option("-o,--output", flags->output, "Folder to write")->required();
  app->add_option("--to", flags->to, "hf: a folder for transformers and vLLM")->required();
  AddToHfFlags(app, &flags->to_hf);
  AddThreads(app, &flags->threads);
  AddJson(app, &flags->is_json);
  app->parse_complete_callback([flags] { Run(*flags); });
}

}  // namespace slm::cli
