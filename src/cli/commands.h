// Every command of the program: one row here, one cmd_<name>.cpp.
#pragma once

#include <span>
#include <string_view>

namespace CLI {
class App;
}

namespace slm::cli {

struct Command {
  std::string_view name;
  std::string_view summary;
  // Declares flags on `app` and sets its callback, which does the work.
  void (*declare)(CLI::App* app);
};

std::span<const Command> AllCommands();

void DeclareBench(CLI::App* app);
void DeclareChat(CLI::App* app);
void DeclareConvert(CLI::App* app);
void DeclareDetokenize(CLI::App* app);
void DeclareDoctor(CLI::App* app);
void DeclareInspect(CLI::App* app);
void DeclareLogits(CLI::App* app);
void DeclareModels(CLI::App* app);
void DeclarePerplexity(CLI::App* app);
void DeclarePull(CLI::App* app);
void DeclareRun(CLI::App* app);
void DeclareServe(CLI::App* app);
void DeclareTemplate(CLI::App* app);
void DeclareTokenize(CLI::App* app);

}  // namespace slm::cli
