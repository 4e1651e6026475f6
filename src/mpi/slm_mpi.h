// What a training on several processes asks of MPI: slm_mpi.so offers it, which is loaded where a
// launcher of MPI started the program, and which the program does not link. An error inside MPI
// ends all processes. One thread calls.
#pragma once

#include <cstddef>

struct SlmMpi {
  // The others are waited for.
  void (*start)(int* rank, int* size);
  // Each is met by a receive() of as many bytes, in their order.
  void (*send)(int to, const void* bytes, size_t size);
  void (*receive)(int from, void* bytes, size_t size);
  void (*broadcast)(void* bytes, size_t size);  // from rank 0
  // The others are waited for; nothing can follow.
  void (*finish)();
  // Ends all processes with this exit code.
  void (*abort)(int code);
};

// Another table gets another name.
extern "C" const SlmMpi* slm_mpi_1();
