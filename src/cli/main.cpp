// slm: finds the command, maps errors to exit codes.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/mapped_file.h"
#include "cli/commands.h"

namespace slm::cli {
namespace {

// llama.cpp's flags of several letters behind one dash, which CLI11 does not know.
std::string LongForm(const std::string& arg) {
  if (arg == "-tb") return "--threads-batch";
  if (arg == "-ctk") return "--cache-type-k";
  if (arg == "-ctv") return "--cache-type-v";
  return arg;
}

bool IsLetter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }
bool IsDigit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }

// What CLI11 would take for something else: it reads "-ngl 99" as -n with the value "gl". Only
// numbers follow a flag of one letter without a space.
void CheckNames(const CLI::App& app, const std::vector<std::string>& args) {
  if (args.empty() || args[0].starts_with('-')) return;
  const auto found =
      app.get_subcommands([&](const CLI::App* command) { return command->get_name() == args[0]; });
  if (found.empty())
    throw Error(Code::kUsage, "there is no command {}; `slm --help` lists them", args[0]);
  for (size_t i = 1; i < args.size() && args[i] != "--"; ++i) {
    const std::string& arg = args[i];
    const CLI::Option* before = found[0]->get_option_no_throw(args[i - 1]);
    if (before && before->get_items_expected_min() > 0) {  // its value
      // The name of a file or a type is never empty, but a variable of a script may be.
      if (arg.empty() && !before->check_name("--prompt") && !before->check_name("--system"))
        throw Error(Code::kUsage, "{}: expected a value, got an empty text", args[i - 1]);
      continue;
    }
    if (arg.size() < 3 || arg[0] != '-' || !IsLetter(arg[1])) continue;
    if (!IsDigit(arg[2]) && !(arg[2] == '-' && IsDigit(arg[3])))
      throw Error(Code::kUsage, "{} has no flag {}; `slm {} --help` lists them", args[0], arg,
                  args[0]);
  }
}

int RunCommand(int argc, char** argv) {
  CLI::App app("slm: small language models on hardware that you own", "slm");
  app.set_version_flag("--version", std::string("slm ") + SLM_VERSION);
  app.require_subcommand(1);
  app.get_formatter()->column_width(34);
  app.footer("Exit codes: 0 ok, 1 failed, 2 usage, 3 bad input, 4 not supported, 130 interrupted");
  Work work;
  for (const Command& command : AllCommands()) {
    CLI::App* sub = app.add_subcommand(std::string(command.name), std::string(command.summary));
    // With a callback here a command reads only its own part of the environment.
    sub->parse_complete_callback([&work, does = command.declare(sub)] { work = does; });
  }
  std::vector<std::string> args;
  for (int i = 1; i < argc; ++i) args.push_back(LongForm(argv[i]));
  try {
    CheckNames(app, args);
    std::reverse(args.begin(), args.end());  // as CLI11 wants them
    app.parse(args);
    if (work) work();
    return 0;
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : static_cast<int>(Code::kUsage);
  } catch (const Error& error) {
    std::fprintf(stderr, "slm: %s\n", error.what());
    return static_cast<int>(error.code());
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "slm: out of memory\n");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "slm: %s\n", error.what());
  }
  return static_cast<int>(Code::kFailed);
}

// A result that could not be written is no success. Of a reader that has left (`| head`) nothing
// needs to be said.
int CheckOutput(int code) {
  errno = 0;
  if (std::fflush(stdout) == 0 && std::ferror(stdout)) {
    // The reason of an earlier failure is forgotten. A full disk or a closed pipe is still one.
    if (std::fputc('\n', stdout) != EOF) std::fflush(stdout);
  }
  const int problem = errno;
  if (!std::ferror(stdout)) return code;
  if (problem != EPIPE)
    std::fprintf(stderr, "slm: cannot write the result: %s\n",
                 std::strerror(problem ? problem : EIO));
  return code == 0 ? static_cast<int>(Code::kFailed) : code;
}

int Main(int argc, char** argv) {
  // A closed pipe or a full disk is an error of the call that met it, not the end of the program.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  ExplainLostFiles();
  return CheckOutput(RunCommand(argc, argv));
}

}  // namespace
}  // namespace slm::cli

int main(int argc, char** argv) { return slm::cli::Main(argc, argv); }
