#include "train/mpi_ranks.h"

#include <cstdlib>
#include <string>

#include "base/cpu.h"
#include "base/error.h"
#include "base/shared_object.h"
#include "mpi/slm_mpi.h"

namespace slm::train {
namespace {

// Variables of Open MPI's launcher, MPICH's and Slurm's: one that says they started this process,
// and how many there are.
struct Launcher {
  const char *mark, *size;
};
constexpr Launcher kLaunchers[] = {{"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_SIZE"},
                                   {"PMI_SIZE", "PMI_SIZE"},
                                   {"PMIX_RANK", "SLURM_STEP_NUM_TASKS"}};

const SlmMpi* Load() {
  const std::string program = ExecutablePath();
  const std::string path = program.substr(0, program.rfind('/') + 1) + "slm_mpi.so";
  try {
    return reinterpret_cast<decltype(&slm_mpi_1)>(LoadSymbol(path, "slm_mpi_1"))();
  } catch (const Error& error) {
    throw Error(error.code(),
                "an MPI launcher started this process, and MPI cannot be loaded: {}. Install "
                "libopenmpi-dev and openmpi-bin and build slm anew, or start it without a launcher",
                error.what());
  }
}

class MpiRanks : public Ranks {
 public:
  explicit MpiRanks(const SlmMpi* mpi) : mpi_(mpi) { mpi_->start(&rank_, &size_); }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void Send(int to, std::span<const uint8_t> bytes) override {
    mpi_->send(to, bytes.data(), bytes.size());
  }
  void Receive(int from, std::span<uint8_t> bytes) override {
    mpi_->receive(from, bytes.data(), bytes.size());
  }
  void Broadcast(std::span<uint8_t> bytes) override { mpi_->broadcast(bytes.data(), bytes.size()); }
  void Finish() override {
    mpi_->finish();
    size_ = 1;
  }
  void Abort(int code) override {
    mpi_->abort(code);
    std::exit(code);
  }

 private:
  const SlmMpi* mpi_;
  int rank_ = 0, size_ = 1;
};

}  // namespace

std::shared_ptr<Ranks> StartRanks() {
  for (const Launcher& launcher : kLaunchers) {
    if (!std::getenv(launcher.mark)) continue;
    auto ranks = std::make_shared<MpiRanks>(Load());
    const char* size = std::getenv(launcher.size);
    if (size && size != std::to_string(ranks->size()))
      throw Error(Code::kUnsupported,
                  "the launcher says {} processes and MPI {}: start slm with the mpirun of the MPI "
                  "that it was built with",
                  size, ranks->size());
    return ranks;
  }
  return std::make_shared<Ranks>();
}

}  // namespace slm::train
