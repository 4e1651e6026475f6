// Every command of the program: one row here, one cmd_<name>.cpp.
#pragma once

#include <functional>
#include <span>
#include <string_view>

namespace CLI {
class App;
}

namespace slm::cli {

using Work = std::function<void()>;

struct Command {
  std::string_view name;
  std::string_view summary;
  // Declares flags on `app`; gives what is to be done when all of the command line was understood.
  Work (*declare)(CLI::App* app);
};

std::span<const Command> AllCommands();

Work DeclareBench(CLI::App* app);
Work DeclareCatalog(CLI::App* app);
Work DeclarePlan(CLI::App* app);
Work DeclareChat(CLI::App* app);
Work DeclareCompare(CLI::App* app);
Work DeclareConvert(CLI::App* app);
Work DeclareDetokenize(CLI::App* app);
Work DeclareDoctor(CLI::App* app);
Work DeclareEval(CLI::App* app);
Work DeclareFinetune(CLI::App* app);
Work DeclareImatrix(CLI::App* app);
Work DeclareInspect(CLI::App* app);
Work DeclareLogits(CLI::App* app);
Work DeclareMerge(CLI::App* app);
Work DeclareModels(CLI::App* app);
Work DeclarePerplexity(CLI::App* app);
Work DeclarePull(CLI::App* app);
Work DeclareQuantize(CLI::App* app);
Work DeclareRun(CLI::App* app);
Work DeclareServe(CLI::App* app);
Work DeclareTemplate(CLI::App* app);
Work DeclareTokenize(CLI::App* app);

}  // namespace slm::cli
