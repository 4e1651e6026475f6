// Ranks over MPI.
#pragma once

#include <memory>

#include "train/ranks.h"

namespace slm::train {

// Where a launcher of MPI started this program, its processes: they are waited for. Otherwise a
// process by itself. Throws kUnsupported where slm_mpi.so, beside the program, cannot be loaded or
// is of another MPI than the launcher, which would train as many times as there are processes.
std::shared_ptr<Ranks> StartRanks();

}  // namespace slm::train
