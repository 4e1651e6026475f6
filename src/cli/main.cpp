// slm: finds the command, maps errors to exit codes.
#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include "base/error.h"
#include "cli/commands.h"

namespace slm::cli {
namespace {

// llama.cpp's flags of several letters behind one dash, which CLI11 does not know.
std::string LongForm(const std::string& arg) {
  if (arg == "-ctk") return "--cache-type-k";
  if (arg == "-ctv") return "--cache-type-v";
  return arg;
}

int RunCommand(int argc, char** argv) {
  CLI::App app("slm: small language models on hardware that you own", "slm");
  app.set_version_flag("--version", std::string("slm ") + SLM_VERSION);
  app.require_subcommand(1);
  app.get_formatter()->column_width(34);
  app.footer("Exit codes: 0 ok, 1 failed, 2 usage, 3 bad input, 4 not supported, 130 interrupted");
  for (const Command& command : AllCommands()) {
    CLI::App* sub = app.add_subcommand(std::string(command.name), std::string(command.summary));
    command.declare(sub);
  }
  std::vector<std::string> args;
  for (int i = argc - 1; i > 0; --i)
    args.push_back(LongForm(argv[i]));  // CLI11 wants them reversed
  try {
    app.parse(args);
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
  return CheckOutput(RunCommand(argc, argv));
}

}  // namespace
}  // namespace slm::cli

int main(int argc, char** argv) { return slm::cli::Main(argc, argv); }
