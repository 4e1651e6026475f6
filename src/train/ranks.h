// The processes, or ranks, that train together: each computes some samples of a step, and rank 0
// has the optimizer, decides and writes the files. This class is a process by itself.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <span>

namespace slm::train {

class Ranks {
 public:
  virtual ~Ranks() = default;

  virtual int rank() const { return 0; }
  virtual int size() const { return 1; }
  bool is_first() const { return rank() == 0; }

  // Each is met by a Receive of as many bytes, in their order, and waits for it or not.
  virtual void Send(int /*to*/, std::span<const uint8_t> /*bytes*/) {}
  virtual void Receive(int /*from*/, std::span<uint8_t> /*bytes*/) {}
  // All get those of rank 0.
  virtual void Broadcast(std::span<uint8_t> /*bytes*/) {}

  // After the last exchange: the others are waited for, and each is a process by itself then.
  virtual void Finish() {}
  // Where this rank cannot go on: ends all of them with this exit code.
  [[noreturn]] virtual void Abort(int code) { std::exit(code); }

  // What rank 0 says.
  bool Agree(bool value) {
    uint8_t byte = value;
    Broadcast({&byte, 1});
    return byte != 0;
  }
};

template <class T>
std::span<uint8_t> BytesOf(std::span<T> values) {
  return {reinterpret_cast<uint8_t*>(values.data()), values.size_bytes()};
}

}  // namespace slm::train
