#include "train/gradient_sum.h"

#include <algorithm>
#include <bit>

#include "base/error.h"

namespace slm::train {
namespace {

constexpr int64_t kMessage = int64_t{1} << 20;  // floats

}  // namespace

std::vector<float>& GradientSum::Place(size_t level, int64_t index) {
  const bool is_odd = index & 1;
  const auto i = is_odd ? level : static_cast<size_t>(std::popcount(static_cast<uint64_t>(index)));
  std::vector<std::vector<float>>& places = is_odd ? odd_ : even_;
  if (places.size() <= i) places.resize(i + 1);
  places[i].resize(static_cast<size_t>(size_));
  return places[i];
}

void GradientSum::Begin(std::vector<int> owners) {
  SLM_CHECK(!owners.empty() && owners[0] == 0 && std::is_sorted(owners.begin(), owners.end()));
  owners_ = std::move(owners);
}

void GradientSum::Add(int64_t index, int64_t at, std::span<float> values) {
  size_t level = 0;
  for (; index & 1; ++level, index >>= 1) {
    // The neighbour before is there if all of it is this rank's.
    if (!IsMine((index - 1) << level)) break;
    const float* before = &Place(level, index - 1)[static_cast<size_t>(at)];
    for (size_t i = 0; i < values.size(); ++i) values[i] = before[i] + values[i];
  }
  float* place = &Place(level, index)[static_cast<size_t>(at)];
  if (place != values.data()) std::copy(values.begin(), values.end(), place);
}

float* GradientSum::Find(int64_t index, int64_t at) {
  if (index & 1 && IsMine(index - 1)) return nullptr;
  return &Place(0, index)[static_cast<size_t>(at)];
}

GradientSum::Part GradientSum::Collect(size_t level, int64_t index) {
  const auto begin = static_cast<size_t>(index) << level, size = size_t{1} << level;
  const int rank = owners_[begin];
  if (begin + size <= owners_.size() && owners_[begin + size - 1] == rank)
    return {rank, rank == ranks_->rank() ? std::span(Place(level, index)) : std::span<float>()};
  const Part left = Collect(level - 1, 2 * index);
  if (begin + size / 2 >= owners_.size()) return left;
  Add(left, Collect(level - 1, 2 * index + 1));
  return left;
}

void GradientSum::Add(const Part& left, const Part& right) {
  const bool sends = left.sum.empty(), receives = right.sum.empty();
  if (sends && receives) return;
  for (int64_t at = 0; at < size_; at += kMessage) {
    const auto n = static_cast<size_t>(std::min(kMessage, size_ - at));
    const auto part = [&](std::span<float> of) { return of.subspan(static_cast<size_t>(at), n); };
    if (sends) {
      ranks_->Send(left.rank, BytesOf(part(right.sum)));
      continue;
    }
    received_.resize(receives ? n : 0);
    if (receives) ranks_->Receive(right.rank, BytesOf(std::span(received_)));
    const std::span<float> sum = part(left.sum), more = receives ? received_ : part(right.sum);
    for (size_t i = 0; i < n; ++i) sum[i] = sum[i] + more[i];
  }
}

uint64_t GradientSum::BytesFor(int64_t count) const {
  return static_cast<uint64_t>(std::bit_width(static_cast<uint64_t>(count + 1) / 2)) *
         static_cast<uint64_t>(size_) * sizeof(float);
}

std::span<float> GradientSum::Finish() {
  return Collect(static_cast<size_t>(std::bit_width(owners_.size() - 1)), 0).sum;
}

}  // namespace slm::train
