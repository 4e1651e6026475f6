#include "cli/model_command.h"

#include <gtest/gtest.h>

#include "cli/program.h"
#include "tiny/tiny_model.h"

namespace slm::testing {

const std::string& Model() {
  static const std::string path = WriteTinyModel({.arch = "gemma3", .type = quant::Type::kQ8_0});
  return path;
}

nlohmann::json Json(std::vector<std::string> args, const std::string& input) {
  args.emplace_back("--json");
  const ProgramResult r = RunProgram(args, input);
  EXPECT_EQ(r.code, 0) << r.err;
  return nlohmann::json::parse(r.out);
}

}  // namespace slm::testing
