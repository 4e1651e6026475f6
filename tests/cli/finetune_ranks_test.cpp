// finetune on several processes, under Open MPI's launcher.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "cli/model_command.h"
#include "cli/program.h"
#include "support/data.h"
#include "support/temp_folder.h"

namespace slm::testing {
namespace {

#if defined(SLM_MPIRUN)
constexpr const char* kMpirun = SLM_MPIRUN;
#else
constexpr const char* kMpirun = nullptr;
#endif

void HasText(const std::string& text, const char* part) {
  EXPECT_NE(text.find(part), std::string::npos) << text;
}

// What Open MPI keeps to the end is not the program's leak.
constexpr const char* kOpenMpiLeaks = "ASAN_OPTIONS=detect_leaks=0";

class FinetuneRanks : public ::testing::Test {
 protected:
  FinetuneRanks() {
    std::string lines;
    for (int i = 0; i < 20; ++i)
      lines += "{\"prompt\":\"" + std::string(static_cast<size_t>(3 + i * 7 % 40), "abc"[i % 3]) +
               "\",\"completion\":\"" + std::to_string(i) + "\"}\n";
    WriteFile(folder_ / "data.jsonl", lines);
  }

  std::vector<std::string> Finetune(const std::string& name, int steps) const {
    return {"finetune",
            "-m",
            Model(),
            "-t",
            "1",
            "-d",
            folder_ / "data.jsonl",
            "-o",
            folder_ / name,
            "--eval-share",
            "0.2",
            "--steps",
            std::to_string(steps),
            "--batch",
            "5",
            "--lr",
            "0.01",
            "--save-every",
            "7"};
  }
  // This script, in whose words $mpirun runs finetune by "$0" "$@".
  static ProgramResult RunScript(const std::string& script, std::vector<std::string> args) {
    args.insert(args.begin(), {"/bin/sh", "-c",
                               "mpirun='" + std::string(kMpirun) +
                                   " --allow-run-as-root --oversubscribe --timeout 300'\n" + script,
                               SLM_PROGRAM});
    return RunCommand(args, "", {kOpenMpiLeaks});
  }
  void RunOn(int ranks, const std::vector<std::string>& args) const {
    const ProgramResult result =
        RunScript("$mpirun -n " + std::to_string(ranks) + " \"$0\" \"$@\"", args);
    ASSERT_EQ(result.code, 0) << result.err;
    HasText(result.err, "slm: wrote");
    if (ranks > 1) HasText(result.err, ("slm: " + std::to_string(ranks) + " ranks").c_str());
  }
  // As without a launcher.
  void ExpectSame(const std::string& name, const std::string& expected) const {
    for (const char* file : {"/adapter_model.safetensors", "/adapter_config.json", "/adapter.gguf"})
      EXPECT_TRUE(ReadFile(folder_ / (name + file)) == ReadFile(folder_ / (expected + file)))
          << name << file;
  }

  const TempFolder folder_;
};

TEST_F(FinetuneRanks, GiveTheBitsOfOneProcess) {
  if (!kMpirun) GTEST_SKIP() << "skipped: no MPI";
  const ProgramResult result = RunProgram(Finetune("alone", 9));
  ASSERT_EQ(result.code, 0) << result.err;
  for (const int ranks : {1, 2, 4}) {
    const std::string name = std::to_string(ranks);
    RunOn(ranks, Finetune(name, 9));
    ExpectSame(name, "alone");
  }
}

TEST_F(FinetuneRanks, GoOnWhenOneWasLost) {
  if (!kMpirun) GTEST_SKIP() << "skipped: no MPI";
  constexpr int kSteps = 80;
  const ProgramResult result = RunProgram(Finetune("alone", kSteps));
  ASSERT_EQ(result.code, 0) << result.err;
  // Kills a rank some steps after the run began or went on.
  const auto lose = [&](int ranks, int lost) {
    const std::string log = folder_ / "lost/log.jsonl", ids = folder_ / "id";
    const auto steps = [&] {
      const std::string lines = std::filesystem::exists(log) ? ReadFile(log) : "";
      return std::count(lines.begin(), lines.end(), '\n');
    };
    const auto before = steps();
    const ProgramResult killed =
        RunScript("$mpirun -n " + std::to_string(ranks) + " sh -c 'echo $$ >" + ids +
                      "$OMPI_COMM_WORLD_RANK; exec \"$0\" \"$@\"' \"$0\" \"$@\" & run=$!\n"
                      "for i in $(seq 6000); do [ $(cat " +
                      log + " 2>/dev/null | wc -l) -gt " + std::to_string(before + 12) +
                      " ] && break; sleep 0.01; done\n"
                      "begin=$(date +%s); kill -9 $(cat " +
                      ids + std::to_string(lost) +
                      ")\n"
                      "wait $run; code=$?; echo $(($(date +%s) - begin)); exit $code",
                  Finetune("lost", kSteps));
    EXPECT_EQ(killed.code, 137) << killed.err;
    EXPECT_LE(std::stoi(killed.out), 10);
    EXPECT_LT(steps(), kSteps);
    EXPECT_TRUE(std::filesystem::exists(folder_ / "lost/checkpoint.safetensors"));
    EXPECT_FALSE(std::filesystem::exists(folder_ / "lost/adapter_model.safetensors"));
  };
  lose(2, 1);
  lose(3, 0);
  RunOn(4, Finetune("lost", kSteps));
  ExpectSame("lost", "alone");
}

TEST_F(FinetuneRanks, EndTogetherWhenOneFails) {
  if (!kMpirun) GTEST_SKIP() << "skipped: no MPI";
  const ProgramResult result =
      RunScript("$mpirun -n 1 \"$0\" \"$@\" : -n 1 \"$0\" \"$@\" --seed 3", Finetune("adapter", 9));
  EXPECT_EQ(result.code, 3) << result.err;
  HasText(result.err, "slm: rank 1: the training data is not rank 0's");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "adapter/adapter_model.safetensors"));
}

TEST_F(FinetuneRanks, AreNotSoManyProcessesByThemselves) {
  const std::string alone = folder_ / "slm";
  std::filesystem::copy_file(SLM_PROGRAM, alone);
  std::vector<std::string> command = Finetune("adapter", 9);
  command.insert(command.begin(), alone);
  for (const char* sign : {"OMPI_COMM_WORLD_SIZE=2", "PMI_SIZE=2", "PMIX_RANK=0"}) {
    const ProgramResult result = RunCommand(command, "", {sign});
    EXPECT_EQ(result.code, 4) << result.err;
    HasText(result.err, "slm_mpi.so: cannot open");
    HasText(result.err, "Install libopenmpi-dev");
  }
  if (!kMpirun) GTEST_SKIP() << "skipped: no MPI";
  const ProgramResult result =
      RunProgram(Finetune("adapter", 9), "", {"PMI_SIZE=2", kOpenMpiLeaks});
  EXPECT_EQ(result.code, 4) << result.err;
  HasText(result.err, "the launcher says 2 processes and MPI 1");
}

}  // namespace
}  // namespace slm::testing
