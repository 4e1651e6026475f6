// The forward pass. Owns the activations, sized by the largest batch so far; one call at a time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/aligned_buffer.h"
#include "engine/dropout.h"
#include "engine/input_observer.h"
#include "engine/layer_trace.h"
#include "engine/session.h"

namespace slm::engine {

// Of a layer; those that are not wanted are nullptr.
struct LayerTraces {
  AttentionTrace* attention = nullptr;
  FeedForwardTrace* feed_forward = nullptr;
};

// Tokens that follow what a session holds. Logits are wanted of the last `logit_rows` of them.
struct BatchItem {
  Session* session = nullptr;
  std::span<const int32_t> tokens;
  int64_t logit_rows = 0;
};

// Of the matrices of gate, up and the output, those whose products can be served while others are
// computed in another precision: their kernels take activations of 8 bits.
std::vector<const ops::Matrix*> ServedInBytes(const model::Weights& weights);

class Executor {
 public:
  // Tokens of one Forward at most.
  static constexpr int64_t kMaxRows = KvCache::kReservedAtOnce;
  // Of a prompt, computed at once by Extend: fewer would read the weights too often, and the gate
  // and up rows of more (34 MB of 512 at 1B) leave the last cache. Measured: 256 beats 128 and 512.
  static constexpr int64_t kPromptRows = 256;
  // Logits that are computed at once, which bounds [rows, V].
  static constexpr int64_t kLogitRows = 32;

  // `item` and `row` (of those it wants) say whose logits, [V], these are; valid during the call
  // only.
  using LogitSink = std::function<void(size_t item, int64_t row, std::span<const float> logits)>;

  explicit Executor(std::shared_ptr<const Model> model);

  // At most kMaxRows tokens in all, each session once. Throws kBadInput, naming both numbers, when
  // a session's context would overflow, or a token is not in the vocabulary, and kFailed when its
  // row cannot be read from the file; then nothing has changed. `is_cancelled` is asked between
  // layers; false: it was, and nothing has changed.
  bool Forward(std::span<const BatchItem> batch, const LogitSink& sink,
               const std::function<bool()>& is_cancelled = {});

  // Makes `session` hold exactly `tokens` (not empty), computing what it does not know yet, and
  // returns the logits after the last one: [V], valid until the next call; empty when cancelled.
  std::span<const float> Extend(Session* session, std::span<const int32_t> tokens,
                                const std::function<bool()>& is_cancelled = {});

  // Shows it the inputs of all products from now on; nullptr: nobody watches. It must outlive its
  // use. Products of the output are seen of the rows that want logits.
  void set_observer(InputObserver* observer) { observer_ = observer; }

  // What products with the model's weights compute in from now on. `serves_gates_and_logits`: those
  // of gate, up and the output, which are most and whose inputs are normed, as they are served
  // where that takes activations of 8 bits (ServedInBytes).
  void set_precision(ops::Precision precision, bool serves_gates_and_logits = false) {
    precision_ = precision;
    serves_gates_and_logits_ = serves_gates_and_logits;
  }

  // Of what adapters read from now on, in RunLayer and its halves; nullptr: none. It must outlive
  // its use. Rows are those of a call, from 0 on; the precision is not kServed. In it are products
  // with what is left out (Dropout::RunRest), where W x is served, too.
  void set_dropout(Dropout* dropout) { dropout_ = dropout; }

  // Rows that RunLayer computes at a time, which bounds its memory; changes no bit.
  void set_rows_at_once(int64_t rows) { rows_at_once_ = rows; }
  int64_t rows_at_once() const { return rows_at_once_; }
  // Memory of the activations of so many rows at once, in this precision.
  uint64_t BytesFor(int64_t rows) const;

  // Forward in pieces, for who computes layer by layer: all sequences through one layer before the
  // next. `x` is [T, D], the residual rows of all items' tokens, one behind the other, each item's
  // from position 0 on. The sessions are scratch: empty before and after. Tables and weights may
  // differ from the model's own. Throws as Forward does.
  void Embed(std::span<const int32_t> tokens, float* x);
  void Embed(const ops::PlainRows& table, std::span<const int32_t> tokens, float* x);
  void RunLayer(std::span<const BatchItem> batch, int64_t layer, const model::LayerWeights& weights,
                float* x, const LayerTraces& traces = {});
  // The first half alone.
  void RunAttention(std::span<const BatchItem> batch, int64_t layer,
                    const model::LayerWeights& weights, float* x, AttentionTrace* trace);
  // The second half of any rows, at most rows_at_once(), of sessions that have the adapters of
  // `session`: as far as the trace wants it.
  void RunFeedForward(Session* session, int64_t rows, int64_t layer,
                      const model::LayerWeights& weights, const float* x, FeedForwardTrace* trace);
  // Logits of the last item.logit_rows rows, of at most kMaxRows. Without a sink only the observer
  // sees their input.
  void RunOutput(const BatchItem& item, const ops::Matrix& output, const float* x,
                 const LogitSink& sink);
  // Of any rows: [rows, D] to [rows, V], rows `stride` apart, without adapters
  // and before the final softcap.
  void RunLogits(const ops::Matrix& output, const float* x, int64_t rows, int64_t stride,
                 float* logits);

 private:
  // Rows that follow each other in the activations and in a session.
  struct Rows {
    Session* session = nullptr;
    int64_t position = 0, count = 0;
    int64_t first = 0;  // of the rows of the call
  };
  // Rows of traces from one on. `ends`: nobody asks for more than the trace.
  struct Tracing {
    AttentionTrace* attention = nullptr;
    FeedForwardTrace* feed_forward = nullptr;
    int64_t row = 0;
    bool ends = false;
  };

  void Check(std::span<const BatchItem> batch) const;
  void Resize(int64_t rows);
  // run(parts, first row, x): all items' rows, as many at a time as rows_at_once.
  template <class Run>
  void RunPieces(std::span<const BatchItem> batch, float* x, const Run& run);
  void RunAttention(std::span<const Rows> batch, int64_t layer, const model::LayerWeights& weights,
                    const Tracing& tracing);
  void RunFeedForward(std::span<const Rows> batch, int64_t layer,
                      const model::LayerWeights& weights, const Tracing& tracing);
  void RunHead(std::span<const BatchItem> batch, const ops::Matrix& output, const LogitSink& sink);
  void FillPositions(std::span<const Rows> batch);
  // Tells the observer of `input`, which those of `readers` read that the file has.
  void Observe(int64_t layer, std::initializer_list<model::Slot> readers, const ops::Input& input);
  // Adds what the sessions' adapters of a tensor make of `input` to the products that read it.
  void AddLoras(std::span<const Rows> batch, int64_t layer, model::Slot slot,
                const ops::Input& input, std::span<const ops::Product> products);
  ops::Input MakeInput(int64_t rows, int64_t k, std::initializer_list<const ops::Matrix*> readers,
                       bool may_be_served = false);

  std::shared_ptr<const Model> model_;
  ops::Backend* backend_;
  InputObserver* observer_ = nullptr;
  Dropout* dropout_ = nullptr;
  ops::Precision precision_ = ops::Precision::kServed;
  bool serves_gates_and_logits_ = false;
  int64_t rows_at_once_ = kMaxRows;
  int64_t rows_ = 0;           // of the batch in progress
  int64_t rows_capacity_ = 0;  // of the arena
  AlignedBuffer arena_;
  float* x_ = nullptr;                           // [T, D]: the residual stream
  float* input_ = nullptr;                       // [T, input_size_]
  int64_t input_size_ = 0;                       // max(D, H Dh, F)
  AlignedBuffer bf16_, act32_, act256_, words_;  // its other forms, once they are asked for
  float* wide_ = nullptr;                        // [T, wide_stride_]: an AttentionRow, or a GateRow
  int64_t wide_stride_ = 0;
  float* out_ = nullptr;  // [T, out_stride_]: what goes back into the residual stream
  int64_t out_stride_ = 0;
  float* cos_[2] = {};  // [T, rope_dim / 2]; second: of window layers
  float* sin_[2] = {};
  float* q_scale_ = nullptr;  // [T]
  std::vector<float> low_;    // [T, rank]: what an adapter's A makes of the input
  std::vector<float> logits_;
  std::vector<uint8_t> embedded_;  // rows of the embedding as they lie in the file
};

}  // namespace slm::engine
