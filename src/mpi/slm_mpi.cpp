#include "mpi/slm_mpi.h"

#include <mpi.h>

#include <algorithm>

namespace {

// Counts of MPI are ints.
template <class Byte, class F>
void ForPieces(Byte* bytes, size_t size, const F& f) {
  constexpr size_t kPiece = size_t{1} << 30;
  for (; size > kPiece; bytes += kPiece, size -= kPiece) f(bytes, static_cast<int>(kPiece));
  f(bytes, static_cast<int>(size));
}

void Start(int* rank, int* size) {
  int provided = 0;
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
  MPI_Comm_rank(MPI_COMM_WORLD, rank);
  MPI_Comm_size(MPI_COMM_WORLD, size);
}

void Send(int to, const void* bytes, size_t size) {
  ForPieces(static_cast<const char*>(bytes), size, [&](const char* piece, int count) {
    MPI_Send(piece, count, MPI_BYTE, to, 0, MPI_COMM_WORLD);
  });
}

void Receive(int from, void* bytes, size_t size) {
  ForPieces(static_cast<char*>(bytes), size, [&](char* piece, int count) {
    MPI_Recv(piece, count, MPI_BYTE, from, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  });
}

void Broadcast(void* bytes, size_t size) {
  ForPieces(static_cast<char*>(bytes), size,
            [&](char* piece, int count) { MPI_Bcast(piece, count, MPI_BYTE, 0, MPI_COMM_WORLD); });
}

void Finish() { MPI_Finalize(); }

void Abort(int code) { MPI_Abort(MPI_COMM_WORLD, code); }

constexpr SlmMpi kTable = {Start, Send, Receive, Broadcast, Finish, Abort};

}  // namespace

const SlmMpi* slm_mpi_1() { return &kTable; }
