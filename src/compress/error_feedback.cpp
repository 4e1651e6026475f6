#include "compress/error_feedback.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "base/error.h"
#include "base/half.h"
#include "base/thread_pool.h"
#include "kernels/table.h"
#include "quant/packed.h"

namespace slm::compress {
namespace {

constexpr int64_t kGroup = 256;    // columns whose feedback from all before comes at once
constexpr int kLanes = 16;         // rows that go through a group's columns together
constexpr int64_t kTaskRows = 64;  // rows that a thread takes, a multiple of kLanes
constexpr int64_t kPieceElements = 1 << 22;

// The grid of one sub-block of one row: values are step * (code - zero) + offset, or of a table.
struct LaneGrids {
  float step[kLanes], inverse[kLanes], offset[kLanes];
  void Set(int lane, float step_value, float offset_value) {
    step[lane] = step_value;
    inverse[lane] = step_value != 0 ? 1 / step_value : 0;
    offset[lane] = offset_value;
  }
};

int NearestTableCode(float x) {
  int code = 0;
  while (code < 15 &&
         2 * x > static_cast<float>(quant::kIq4NlValues[code] + quant::kIq4NlValues[code + 1]))
    ++code;
  return code;
}

}  // namespace

// kTaskRows rows on their way through the columns.
class FeedbackEncoder::Task {
 public:
  Task(const FeedbackEncoder& encoder, const float* weights, int64_t rows, uint8_t* out)
      : encoder_(encoder),
        traits_(quant::Traits(encoder.type_)),
        grid_(quant::GridOf(encoder.type_)),
        k_(encoder.factor_.k),
        weights_(weights),
        rows_(rows),
        out_(out),
        row_bytes_(static_cast<size_t>(k_ / traits_.block_size) * traits_.block_bytes),
        errors_(static_cast<size_t>(kTaskRows * k_)) {}

  double Run() {
    for (int64_t begin = 0; begin < k_; begin += kGroup) {
      const int64_t end = std::min(k_, begin + kGroup);
      FillTargets(begin, end);
      for (int64_t lane0 = 0; lane0 < rows_; lane0 += kLanes) RunLanes(begin, end, lane0);
    }
    return loss_;
  }

 private:
  // targets_ [kTaskRows, kGroup]: the weights and the feedback of all columns before the group.
  void FillTargets(int64_t begin, int64_t end) {
    std::memset(targets_, 0, sizeof targets_);
    if (begin > 0) {
      const ops::Matrix& matrix = encoder_.matrices_[static_cast<size_t>(begin / kGroup)];
      for (int64_t panel = 0; panel < matrix.panels(); ++panel) {
        kernels::MatMulArgs args = {};
        matrix.SetPanels(panel, panel + 1, &args);
        args.act = reinterpret_cast<const uint8_t*>(errors_.data());
        args.act_stride = static_cast<size_t>(k_) * sizeof(float);
        args.cols = static_cast<int>(rows_);
        args.out = targets_ + panel * quant::kPanelRows;
        args.out_stride = kGroup;
        matrix.Run(args);
      }
    }
    for (int64_t r = 0; r < rows_; ++r)
      for (int64_t j = begin; j < end; ++j)
        targets_[r * kGroup + j - begin] += weights_[r * k_ + j];
  }

  void RunLanes(int64_t begin, int64_t end, int64_t lane0) {
    const int lanes = static_cast<int>(std::min<int64_t>(kLanes, rows_ - lane0));
    const float* ut = encoder_.factor_.ut.data();
    float errors[kGroup][kLanes] = {};  // of this group, lane by lane
    float target[quant::kSuperBlockSize][kLanes];
    for (int64_t b = begin; b < end; b += traits_.block_size) {
      const int64_t size = traits_.block_size;
      // What the columns of the group before this block add.
      for (int64_t j = 0; j < size; ++j) {
        for (int lane = 0; lane < kLanes; ++lane)
          target[j][lane] = lane < lanes ? targets_[(lane0 + lane) * kGroup + b - begin + j] : 0;
        const float* feedback = ut + (b + j) * k_ + begin;
        for (int64_t i = 0; i < b - begin; ++i)
          for (int lane = 0; lane < kLanes; ++lane)
            target[j][lane] += feedback[i] * errors[i][lane];
      }
      quant::IntegerBlock blocks[kLanes] = {};
      ChooseGrids(b, target, lanes, blocks);
      RoundBlock(b, begin, lane0, lanes, target, errors, blocks);
      for (int lane = 0; lane < lanes; ++lane)
        quant::FromIntegers(encoder_.type_, blocks[lane], BlockOf(lane0 + lane, b));
    }
    for (int64_t j = begin; j < end; ++j)
      for (int lane = 0; lane < lanes; ++lane)
        errors_[static_cast<size_t>((lane0 + lane) * k_ + j)] = errors[j - begin][lane];
  }

  uint8_t* BlockOf(int64_t row, int64_t column) const {
    return out_ + static_cast<size_t>(row) * row_bytes_ +
           static_cast<size_t>(column / traits_.block_size) * traits_.block_bytes;
  }

  // Scales for what the block's columns would be without the feedback inside it; an error in column
  // j costs D_j. All lanes at once: the encoder works on 16 blocks.
  void ChooseGrids(int64_t b, const float target[][kLanes], int lanes,
                   quant::IntegerBlock* blocks) const {
    const int64_t size = traits_.block_size;
    float rows[kLanes * quant::kSuperBlockSize], importance[kLanes * quant::kSuperBlockSize];
    for (int lane = 0; lane < lanes; ++lane)
      for (int64_t j = 0; j < size; ++j) {
        rows[lane * size + j] = target[j][lane];
        importance[lane * size + j] = encoder_.factor_.d[static_cast<size_t>(b + j)];
      }
    uint8_t bytes[kLanes * sizeof(quant::BlockQ6_K)];  // the largest
    SLM_CHECK(traits_.block_bytes <= sizeof(quant::BlockQ6_K));
    encoder_.kernels_.encode[static_cast<size_t>(encoder_.type_)](rows, importance, bytes,
                                                                  lanes * size);
    for (int lane = 0; lane < lanes; ++lane)
      quant::ToIntegers(encoder_.type_, bytes + static_cast<size_t>(lane) * traits_.block_bytes,
                        &blocks[lane]);
  }

  LaneGrids GridsOf(int64_t j, int lanes, const quant::IntegerBlock* blocks) const {
    LaneGrids grids = {};
    for (int lane = 0; lane < lanes; ++lane) {
      const quant::IntegerBlock& x = blocks[lane];
      const float d = HalfToFloat(x.d), m = grid_.has_min ? HalfToFloat(x.m) : 0;
      if (grid_.has_scales()) {
        const auto s = j / grid_.sub_block;
        grids.Set(lane, d * static_cast<float>(x.scale[s]),
                  grid_.has_min ? -(m * static_cast<float>(x.min[s])) : 0);
      } else {
        grids.Set(lane, d, m);
      }
    }
    return grids;
  }

  void RoundBlock(int64_t b, int64_t begin, int64_t lane0, int lanes, const float target[][kLanes],
                  float errors[][kLanes], quant::IntegerBlock* blocks) {
    const float* ut = encoder_.factor_.ut.data();
    const int low = grid_.bits == 8 ? -127 : -grid_.zero;
    const int high = grid_.bits == 8 ? 127 : (1 << grid_.bits) - 1 - grid_.zero;
    LaneGrids grids = {};
    for (int64_t j = 0; j < traits_.block_size; ++j) {
      if (j % grid_.sub_block == 0) grids = GridsOf(j, lanes, blocks);
      float t[kLanes];
      for (int lane = 0; lane < kLanes; ++lane) t[lane] = target[j][lane];
      const float* feedback = ut + (b + j) * k_ + b;
      for (int64_t i = 0; i < j; ++i)
        for (int lane = 0; lane < kLanes; ++lane)
          t[lane] += feedback[i] * errors[b - begin + i][lane];
      const float weight = encoder_.factor_.d[static_cast<size_t>(b + j)];
      for (int lane = 0; lane < lanes; ++lane) {
        const float at = (t[lane] - grids.offset[lane]) * grids.inverse[lane];
        float value;
        int code;
        if (grid_.is_table) {
          code = NearestTableCode(at);
          value = grids.step[lane] * static_cast<float>(quant::kIq4NlValues[code]);
        } else {
          // Not clamp: what is not a number must not reach the cast.
          code = static_cast<int>(std::max(static_cast<float>(low),
                                           std::min(static_cast<float>(high), std::nearbyint(at))));
          value = grids.step[lane] * static_cast<float>(code) + grids.offset[lane];
          code += grid_.zero;
        }
        blocks[lane].code[j] = static_cast<uint8_t>(code);
        const float rest = t[lane] - value;
        loss_ += static_cast<double>(weight * rest * rest);
        // The error of the weight itself: the feedback is not part of it.
        errors[b - begin + j][lane] = weights_[(lane0 + lane) * k_ + b + j] - value;
      }
    }
  }

  const FeedbackEncoder& encoder_;
  const quant::TypeTraits& traits_;
  quant::Grid grid_;
  int64_t k_;
  const float* weights_;
  int64_t rows_;
  uint8_t* out_;
  size_t row_bytes_;
  std::vector<float> errors_;  // [kTaskRows, k]: weight minus what was written
  float targets_[kTaskRows * kGroup];
  double loss_ = 0;
};

FeedbackEncoder::FeedbackEncoder(const FeedbackFactor& factor, quant::Type type,
                                 const kernels::KernelTable& kernels, ThreadPool* pool)
    : factor_(factor), type_(type), kernels_(kernels), pool_(pool) {
  SLM_CHECK(quant::GridOf(type).bits > 0 && factor.k % quant::Traits(type).block_size == 0);
  for (int64_t begin = 0; begin < factor.k; begin += kGroup) {
    if (begin == 0) {
      matrices_.emplace_back();
      continue;
    }
    const int64_t count = std::min(kGroup, factor.k - begin);
    std::vector<float> rows(static_cast<size_t>(count * begin));
    for (int64_t j = 0; j < count; ++j)
      std::copy_n(factor.ut.data() + (begin + j) * factor.k, begin, rows.data() + j * begin);
    matrices_.emplace_back(
        ops::PlainRows{quant::Type::kF32, reinterpret_cast<const uint8_t*>(rows.data()), count,
                       begin},
        kernels, pool);
    if (!matrices_.back().is_packed()) rows_.push_back(std::move(rows));
  }
}

double FeedbackEncoder::Encode(const format::TensorSource& source,
                               const std::function<void(std::span<const uint8_t>)>& sink) {
  const int64_t k = factor_.k;
  SLM_CHECK(source.dims[0] == k);
  const int64_t all_rows = source.rows();
  const quant::TypeTraits& traits = quant::Traits(type_);
  const size_t row_bytes = static_cast<size_t>(k / traits.block_size) * traits.block_bytes;
  const int64_t per_piece = std::max<int64_t>(1, kPieceElements / (kTaskRows * k)) * kTaskRows;
  std::vector<uint8_t> piece;
  double loss = 0;
  for (int64_t first = 0; first < all_rows; first += per_piece) {
    const int64_t count = std::min(per_piece, all_rows - first);
    const int64_t tasks = (count + kTaskRows - 1) / kTaskRows;
    piece.resize(static_cast<size_t>(count) * row_bytes);
    std::vector<double> losses(static_cast<size_t>(tasks));
    pool_->ParallelFor(tasks, [&](int64_t task, int) {
      thread_local std::vector<float> weights;
      const int64_t begin = task * kTaskRows, rows = std::min(kTaskRows, count - begin);
      weights.resize(static_cast<size_t>(rows * k));
      source.read(first + begin, rows, weights.data());
      const auto work = std::make_unique<Task>(
          *this, weights.data(), rows, piece.data() + static_cast<size_t>(begin) * row_bytes);
      losses[static_cast<size_t>(task)] = work->Run();
      format::CheckHeld(source, type_, weights.data(), rows * k,
                        piece.data() + static_cast<size_t>(begin) * row_bytes);
    });
    for (const double part : losses) loss += part;
    sink(piece);
  }
  return loss;
}

}  // namespace slm::compress
