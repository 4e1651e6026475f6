#include "engine/executor.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <map>
#include <numeric>

#include "base/error.h"
#include "kernels/activations.h"

namespace slm::engine {
namespace {

using model::Slot;

// Of the embedding, read at once.
constexpr size_t kEmbedRows = 16;

const float* OrNull(const model::Vector& v) { return v.empty() ? nullptr : v.data(); }

}  // namespace

Executor::Executor(std::shared_ptr<const Model> model)
    : model_(std::move(model)), backend_(model_->runtime()->backend()) {}

void Executor::Check(std::span<const BatchItem> batch) const {
  for (const BatchItem& item : batch) {
    const auto count = static_cast<int64_t>(item.tokens.size());
    const auto have = static_cast<int64_t>(item.session->tokens().size());
    if (have + count > item.session->context())
      throw Error(Code::kBadInput, "{} tokens do not fit the context of {}", have + count,
                  item.session->context());
    for (const int32_t id : item.tokens)
      if (id < 0 || id >= model_->hparams().vocab)
        throw Error(Code::kBadInput, "token {} is not in the vocabulary of {}", id,
                    model_->hparams().vocab);
    for (const BatchItem& other : batch)
      SLM_CHECK(&other == &item || other.session != item.session);
  }
}

void Executor::Resize(int64_t rows) {
  rows_ = rows;
  if (rows <= rows_capacity_) return;
  const model::Hparams& h = model_->hparams();
  input_size_ = std::max({h.d_model, h.heads * h.head_dim, h.ffn});
  wide_stride_ = std::max(AttentionRow(h).stride, GateRow(h).stride);
  out_stride_ = RowStride(h.d_model);
  const int64_t half_rope = h.rope_dim / 2;
  // Two passes over the same list: the first counts, the second places.
  size_t bytes = 0;
  for (uint8_t* base : {static_cast<uint8_t*>(nullptr), static_cast<uint8_t*>(nullptr)}) {
    const bool is_placing = bytes > 0;
    if (is_placing) {
      arena_ = AlignedBuffer(bytes);
      base = arena_.data();
    }
    size_t at = 0;
    const auto take = [&](auto** to, size_t row_bytes) {
      if (is_placing) *to = reinterpret_cast<std::remove_reference_t<decltype(*to)>>(base + at);
      at += (static_cast<size_t>(rows) * row_bytes + 63) / 64 * 64;
    };
    const auto floats = [](int64_t n) { return static_cast<size_t>(n) * sizeof(float); };
    take(&x_, floats(h.d_model));
    take(&input_, floats(input_size_));
    take(&wide_, floats(wide_stride_));
    take(&out_, floats(out_stride_));
    for (int i = 0; i < 2; ++i) {
      take(&cos_[i], floats(half_rope));
      take(&sin_[i], floats(half_rope));
    }
    take(&q_scale_, floats(1));
    bytes = at;
  }
  rows_capacity_ = rows;
}

std::vector<const ops::Matrix*> ServedInBytes(const model::Weights& weights) {
  std::vector<const ops::Matrix*> served;
  for (const model::LayerWeights& layer : weights.layers)
    if (layer.gate.takes_bytes() && layer.up.takes_bytes())
      served.insert(served.end(), {&layer.gate, &layer.up});
  if (weights.output.takes_bytes()) served.push_back(&weights.output);
  return served;
}

uint64_t Executor::BytesFor(int64_t rows) const {
  const model::Hparams& h = model_->hparams();
  const int64_t input = std::max({h.d_model, h.heads * h.head_dim, h.ffn});
  const int64_t wide = std::max(AttentionRow(h).stride, GateRow(h).stride);
  const int64_t floats = h.d_model + input + wide + RowStride(h.d_model) + 2 * h.rope_dim + 1;
  uint64_t bytes = static_cast<uint64_t>(floats) * sizeof(float);
  if (precision_ == ops::Precision::kWords) bytes += ActRowBytes(kernels::ActFormat::kWords, input);
  // Of each form the widest input that is read in it.
  std::map<kernels::ActFormat, int64_t> widths;
  const auto add = [&](const ops::Matrix& matrix) {
    int64_t& width = widths[matrix.format()];
    width = std::max(width, matrix.k());
  };
  if (precision_ == ops::Precision::kServed)
    for (const model::LayerWeights& w : model_->weights().layers)
      for (const ops::Matrix* m : {&w.q, &w.k, &w.v, &w.output, &w.gate, &w.up, &w.down}) add(*m);
  else if (serves_gates_and_logits_)
    for (const ops::Matrix* matrix : ServedInBytes(model_->weights())) add(*matrix);
  for (const auto& [format, width] : widths)
    if (format != kernels::ActFormat::kF32) bytes += ActRowBytes(format, width);
  return static_cast<uint64_t>(rows) * bytes;
}

ops::Input Executor::MakeInput(int64_t rows, int64_t k,
                               std::initializer_list<const ops::Matrix*> readers,
                               bool may_be_served) {
  const bool is_served = may_be_served && serves_gates_and_logits_ &&
                         std::all_of(readers.begin(), readers.end(),
                                     [](auto* matrix) { return matrix->takes_bytes(); });
  ops::Input input;
  input.rows = rows;
  input.k = k;
  input.f32 = input_;
  input.precision = is_served ? ops::Precision::kServed : precision_;
  input.forms.words = input.precision == ops::Precision::kWords && k % kernels::kWordBlock == 0;
  for (const ops::Matrix* reader : readers)
    if (input.precision == ops::Precision::kServed) input.forms.Add(*reader);
  const auto memory = [&](bool is_wanted, kernels::ActFormat format, AlignedBuffer* buffer) {
    const size_t bytes = static_cast<size_t>(rows_capacity_) * ActRowBytes(format, input_size_);
    if (is_wanted && buffer->size() < bytes) *buffer = AlignedBuffer(bytes);
    return buffer->data();
  };
  input.bf16 = memory(input.forms.bf16, kernels::ActFormat::kBf16, &bf16_);
  input.act32 = memory(input.forms.act32, kernels::ActFormat::kAct32, &act32_);
  input.act256 = memory(input.forms.act256, kernels::ActFormat::kAct256, &act256_);
  input.words = memory(input.forms.words, kernels::ActFormat::kWords, &words_);
  return input;
}

void Executor::Observe(int64_t layer, std::initializer_list<Slot> readers,
                       const ops::Input& input) {
  if (!observer_) return;
  std::vector<Slot> there;
  for (const Slot slot : readers)
    if (model_->file().Find(TensorName(model::TensorTable()[static_cast<size_t>(slot)], layer)))
      there.push_back(slot);
  observer_->OnInput(layer, there, input.rows, input.k, input.f32);
}

void Executor::AddLoras(std::span<const Rows> batch, int64_t layer, Slot slot,
                        const ops::Input& input, std::span<const ops::Product> products) {
  int64_t row = 0;
  for (const Rows& part : batch) {
    const int64_t rows = part.count;
    for (const auto& lora : part.session->loras_) {
      const LowRank* low = lora->Find(layer, slot);
      if (!low) continue;
      const int64_t rank = low->a.rows();
      low_.resize(std::max(low_.size(), static_cast<size_t>(rows * rank)));
      const ops::Product down = {&low->a, nullptr, low_.data(), rank};
      float* x = input.f32 + row * input.k;
      const Dropout::Rows read = {layer, slot, part.first, rows, input.k};
      backend_->MatMul({rows, input.k, {}, dropout_ ? dropout_->Apply(read, x) : x}, {&down, 1});
      std::vector<ops::Product> ups;
      // Of a tensor that holds up alone, the last of gate and up.
      const std::span<const ops::Product> of_part = products.last(low->parts.size());
      for (size_t i = 0; i < low->parts.size(); ++i)
        ups.push_back({&low->parts[i].b, nullptr, of_part[i].out + row * of_part[i].out_stride,
                       of_part[i].out_stride, true});
      // DoRA is of what dropout leaves, of W x too; the rest of W x stays as it is.
      std::vector<ops::Product> rests;
      if (dropout_ && !low->parts.front().factor.empty()) {
        std::vector<const ops::Matrix*> matrices;
        for (const ops::Product& product : of_part) matrices.push_back(product.matrix);
        rests = dropout_->RunRest(read, x, matrices, precision_);
      }
      const auto add_rests = [&](float sign) {
        for (size_t i = 0; i < rests.size(); ++i)
          for (int64_t t = 0; t < rows; ++t)
            for (int64_t j = 0; j < rests[i].matrix->rows(); ++j)
              ups[i].out[t * ups[i].out_stride + j] +=
                  sign * rests[i].out[t * rests[i].out_stride + j];
      };
      add_rests(-1);
      backend_->MatMul({rows, rank, {}, low_.data()}, ups);
      for (size_t i = 0; i < low->parts.size(); ++i) {
        const LowRank::Part& up = low->parts[i];
        if (!up.factor.empty())
          backend_->MultiplyAdd(up.factor.data(), up.offset.data(), rows, up.b.rows(),
                                ups[i].out_stride, ups[i].out);
      }
      add_rests(1);
    }
    row += rows;
  }
}

void Executor::FillPositions(std::span<const Rows> batch) {
  const model::Hparams& h = model_->hparams();
  int64_t row = 0;
  for (const Rows& part : batch) {
    const int64_t at = row * h.rope_dim / 2;
    part.session->rope_.Fill(part.position, part.count, cos_[0] + at, sin_[0] + at);
    if (h.window > 0)
      part.session->window_rope_.Fill(part.position, part.count, cos_[1] + at, sin_[1] + at);
    for (int64_t t = 0; t < part.count; ++t, ++row)
      q_scale_[row] = model::QueryScale(h, part.position + t);
  }
}

void Executor::RunAttention(std::span<const Rows> batch, int64_t layer,
                            const model::LayerWeights& w, const Tracing& tracing) {
  const model::Hparams& h = model_->hparams();
  const int64_t q_dim = h.heads * h.head_dim;
  const AttentionRow places(h);
  float* q = wide_ + places.q;
  float* k = wide_ + places.k;
  float* v = wide_ + places.v;

  const ops::Input input = MakeInput(rows_, h.d_model, {&w.q, &w.k, &w.v});
  backend_->Norm(x_, w.attn_norm.data(), h.eps, input);
  Observe(layer, {Slot::kAttnQ, Slot::kAttnK, Slot::kAttnV, Slot::kAttnQkv}, input);
  const ops::Product products[] = {{&w.q, OrNull(w.q_bias), q, wide_stride_},
                                   {&w.k, OrNull(w.k_bias), k, wide_stride_},
                                   {&w.v, OrNull(w.v_bias), v, wide_stride_}};
  backend_->MatMul(input, products);
  AddLoras(batch, layer, Slot::kAttnQ, input, {products, 1});
  AddLoras(batch, layer, Slot::kAttnK, input, {products + 1, 1});
  AddLoras(batch, layer, Slot::kAttnV, input, {products + 2, 1});
  AddLoras(batch, layer, Slot::kAttnQkv, input, products);
  if (tracing.attention) tracing.attention->qkv.Copy(wide_, wide_stride_, rows_, tracing.row);

  const bool has_window = h.IsWindowLayer(layer);
  int64_t row = 0;
  for (const Rows& part : batch) {
    KvCache& cache = part.session->cache_;
    const int64_t at = row * wide_stride_, angle = row * h.rope_dim / 2;
    ops::StoreArgs store;
    store.rows = part.count;
    store.q = q + at;
    store.k = k + at;
    store.v = v + at;
    store.stride = wide_stride_;
    store.heads = h.heads;
    store.q_norm = OrNull(w.q_norm);
    store.k_norm = OrNull(w.k_norm);
    store.eps = h.eps;
    store.rope = {cos_[has_window] + angle, sin_[has_window] + angle, h.rope_dim,
                  model_->family().rope_pairs == model::RopePairs::kInterleaved};
    store.q_scale = q_scale_ + row;
    store.layout = cache.layout();
    store.pages = cache.Pages(layer);
    store.position = part.position;
    backend_->Store(store);

    ops::AttentionOp op;
    op.rows = part.count;
    op.q = q + at;
    op.q_stride = wide_stride_;
    op.heads = h.heads;
    op.layout = cache.layout();
    op.pages = cache.Pages(layer);
    op.position = part.position;
    op.window = has_window ? h.window : 0;
    op.softcap = h.attn_softcap;
    op.out = input_ + row * q_dim;
    op.out_stride = q_dim;
    backend_->Attention(op);
    row += part.count;
  }

  const ops::Input attended = MakeInput(rows_, q_dim, {&w.output});
  backend_->Prepare(attended);
  Observe(layer, {Slot::kAttnOutput}, attended);
  const ops::Product output = {&w.output, nullptr, out_, out_stride_};
  backend_->MatMul(attended, {&output, 1});
  AddLoras(batch, layer, Slot::kAttnOutput, attended, {&output, 1});
  backend_->AddTo(out_, out_stride_, OrNull(w.post_attn_norm), h.eps, rows_, h.d_model, x_);
  if (tracing.attention) {
    tracing.attention->attended.Copy(input_, q_dim, rows_, tracing.row);
    tracing.attention->out.Copy(out_, out_stride_, rows_, tracing.row);
    tracing.attention->middle.Copy(x_, h.d_model, rows_, tracing.row);
  }
}

void Executor::RunFeedForward(std::span<const Rows> batch, int64_t layer,
                              const model::LayerWeights& w, const Tracing& tracing) {
  const model::Hparams& h = model_->hparams();
  const GateRow places(h);
  FeedForwardTrace* trace = tracing.feed_forward;
  const int64_t stride = trace ? trace->gate_up.stride() : wide_stride_;
  float* gate = (trace ? trace->gate_up.data() + tracing.row * stride : wide_) + places.gate;
  float* up = gate - places.gate + places.up;
  const ops::Input input = MakeInput(rows_, h.d_model, {&w.gate, &w.up}, true);
  backend_->Norm(x_, w.ffn_norm.data(), h.eps, input);
  Observe(layer, {Slot::kFfnGate, Slot::kFfnUp}, input);
  const ops::Product products[] = {{&w.gate, nullptr, gate, stride}, {&w.up, nullptr, up, stride}};
  backend_->MatMul(input, products);
  AddLoras(batch, layer, Slot::kFfnGate, input, {products, 1});
  AddLoras(batch, layer, Slot::kFfnUp, input, products);
  if (tracing.ends && trace->out.empty()) return;
  const ops::Input gated = MakeInput(rows_, h.ffn, {&w.down});
  backend_->Gate(model_->family().activation, gate, up, stride, gated);
  Observe(layer, {Slot::kFfnDown}, gated);
  const ops::Product down = {&w.down, nullptr, out_, out_stride_};
  backend_->MatMul(gated, {&down, 1});
  AddLoras(batch, layer, Slot::kFfnDown, gated, {&down, 1});
  if (trace) trace->out.Copy(out_, out_stride_, rows_, tracing.row);
  if (tracing.ends) return;
  backend_->AddTo(out_, out_stride_, OrNull(w.post_ffn_norm), h.eps, rows_, h.d_model, x_);
}

void Executor::RunHead(std::span<const BatchItem> batch, const ops::Matrix& output,
                       const LogitSink& sink) {
  const model::Hparams& h = model_->hparams();
  const int64_t stride = RowStride(h.vocab);
  const bool is_tied = model_->file().Find("output.weight") == nullptr;
  // The rows that are wanted go to the front, where nobody needs the others any more: the weights
  // are read once for those of many items.
  struct Wanted {
    size_t item;
    int64_t row;
  };
  std::vector<Wanted> wanted;
  int64_t row = 0;
  for (size_t i = 0; i < batch.size(); ++i) {
    const auto count = static_cast<int64_t>(batch[i].tokens.size());
    const int64_t rows = std::min(batch[i].logit_rows, count);
    std::memmove(x_ + static_cast<int64_t>(wanted.size()) * h.d_model,
                 x_ + (row + count - rows) * h.d_model,
                 static_cast<size_t>(rows * h.d_model) * sizeof(float));
    for (int64_t r = 0; r < rows; ++r) wanted.push_back({i, r});
    row += count;
  }
  const auto total = static_cast<int64_t>(wanted.size());
  for (int64_t done = 0; done < total; done += kLogitRows) {
    const int64_t rows = std::min(kLogitRows, total - done);
    logits_.resize(std::max(static_cast<size_t>(rows * stride), logits_.size()));
    const ops::Input input = MakeInput(rows, h.d_model, {&output}, true);
    backend_->Norm(x_ + done * h.d_model, model_->weights().output_norm.data(), h.eps, input);
    Observe(0, {is_tied ? Slot::kTokenEmbd : Slot::kOutput}, input);
    if (!sink) continue;
    const ops::Product product = {&output, nullptr, logits_.data(), stride};
    backend_->MatMul(input, {&product, 1});
    std::vector<Rows> parts;
    const auto now =
        std::span(wanted).subspan(static_cast<size_t>(done), static_cast<size_t>(rows));
    for (const Wanted& each : now) {
      Session* session = batch[each.item].session;
      if (parts.empty() || parts.back().session != session) parts.push_back({session, 0, 0});
      ++parts.back().count;
    }
    AddLoras(parts, 0, Slot::kOutput, input, {&product, 1});
    for (int64_t r = 0; r < rows; ++r) {
      float* logits = logits_.data() + r * stride;
      if (h.final_softcap > 0) backend_->Softcap(h.final_softcap, h.vocab, logits);
      const Wanted& each = now[static_cast<size_t>(r)];
      sink(each.item, each.row, {logits, static_cast<size_t>(h.vocab)});
    }
  }
}

bool Executor::Forward(std::span<const BatchItem> batch, const LogitSink& sink,
                       const std::function<bool()>& is_cancelled) {
  Check(batch);
  int64_t rows = 0;
  std::vector<Rows> parts;
  for (const BatchItem& item : batch) {
    const auto count = static_cast<int64_t>(item.tokens.size());
    parts.push_back({item.session, item.session->cache_.length(), count});
    rows += count;
  }
  SLM_CHECK(rows > 0 && rows <= kMaxRows);
  for (const Rows& part : parts) part.session->cache_.Reserve(part.count);
  Resize(rows);
  model_->runtime()->PrepareFor(rows);
  const model::Hparams& h = model_->hparams();
  int64_t row = 0;
  for (const BatchItem& item : batch) {
    Embed(item.tokens, x_ + row * h.d_model);
    row += static_cast<int64_t>(item.tokens.size());
  }
  FillPositions(parts);
  for (int64_t layer = 0; layer < h.layers; ++layer) {
    if (is_cancelled && is_cancelled()) return false;
    const model::LayerWeights& weights = model_->weights().layers[static_cast<size_t>(layer)];
    RunAttention(parts, layer, weights, {});
    RunFeedForward(parts, layer, weights, {});
  }
  for (const BatchItem& item : batch) {
    item.session->cache_.Advance(static_cast<int64_t>(item.tokens.size()));
    item.session->tokens_.insert(item.session->tokens_.end(), item.tokens.begin(),
                                 item.tokens.end());
  }
  RunHead(batch, model_->weights().output, sink);
  return true;
}

void Executor::Embed(std::span<const int32_t> tokens, float* x) {
  const format::GgufFile& file = model_->file();
  const format::GgufTensor& tensor = file.Get("token_embd.weight");
  ops::PlainRows table = model_->weights().token_embd;
  const size_t row_bytes = table.row_bytes();
  std::array<int32_t, kEmbedRows> rows;
  std::iota(rows.begin(), rows.end(), 0);
  embedded_.resize(kEmbedRows * row_bytes);
  for (size_t first = 0; first < tokens.size(); first += kEmbedRows) {
    const size_t count = std::min(kEmbedRows, tokens.size() - first);
    for (size_t i = 0; i < count; ++i)
      file.Read(tensor,
                tensor.data.subspan(static_cast<size_t>(tokens[first + i]) * row_bytes, row_bytes),
                embedded_.data() + i * row_bytes);
    table.data = embedded_.data();
    Embed(table, std::span(rows).first(count), x + static_cast<int64_t>(first) * table.k);
  }
}

void Executor::Embed(const ops::PlainRows& table, std::span<const int32_t> tokens, float* x) {
  backend_->Embed(table, tokens, model::EmbeddingScale(model_->family(), model_->hparams()), x);
}

template <class Run>
void Executor::RunPieces(std::span<const BatchItem> batch, float* x, const Run& run_piece) {
  Check(batch);
  // As many rows at a time as the activations hold.
  std::vector<Rows> parts;
  int64_t rows = 0, row = 0;
  const auto run = [&] {
    Resize(rows);
    model_->runtime()->PrepareFor(rows);
    const int64_t n = rows * model_->hparams().d_model;
    std::copy_n(x, n, x_);
    FillPositions(parts);
    run_piece(parts, row);
    std::copy_n(x_, n, x);
    x += n;
    row += rows;
    rows = 0;
    parts.clear();
  };
  for (const BatchItem& item : batch) {
    SLM_CHECK(item.session->tokens().empty());
    const auto size = static_cast<int64_t>(item.tokens.size());
    item.session->cache_.Reserve(size);
    for (int64_t done = 0; done < size;) {
      const int64_t count = std::min(size - done, rows_at_once_ - rows);
      parts.push_back({item.session, done, count, row + rows});
      rows += count;
      done += count;
      if (rows == rows_at_once_) run();
    }
  }
  if (rows > 0) run();
}

void Executor::RunLayer(std::span<const BatchItem> batch, int64_t layer,
                        const model::LayerWeights& weights, float* x, const LayerTraces& traces) {
  RunPieces(batch, x, [&](std::span<const Rows> parts, int64_t row) {
    RunAttention(parts, layer, weights, {traces.attention, nullptr, row});
    RunFeedForward(parts, layer, weights, {nullptr, traces.feed_forward, row});
  });
}

void Executor::RunAttention(std::span<const BatchItem> batch, int64_t layer,
                            const model::LayerWeights& weights, float* x, AttentionTrace* trace) {
  RunPieces(batch, x, [&](std::span<const Rows> parts, int64_t row) {
    RunAttention(parts, layer, weights, {trace, nullptr, row});
  });
}

void Executor::RunFeedForward(Session* session, int64_t rows, int64_t layer,
                              const model::LayerWeights& weights, const float* x,
                              FeedForwardTrace* trace) {
  SLM_CHECK(rows > 0 && rows <= rows_at_once_);
  Resize(rows);
  model_->runtime()->PrepareFor(rows);
  std::copy_n(x, rows * model_->hparams().d_model, x_);
  const Rows part = {session, 0, rows};
  RunFeedForward({&part, 1}, layer, weights, {nullptr, trace, 0, true});
}

void Executor::RunOutput(const BatchItem& item, const ops::Matrix& output, const float* x,
                         const LogitSink& sink) {
  const auto rows = static_cast<int64_t>(item.tokens.size());
  Check({&item, 1});
  SLM_CHECK(rows > 0 && rows <= kMaxRows);
  Resize(rows);
  model_->runtime()->PrepareFor(rows);
  std::memcpy(x_, x, static_cast<size_t>(rows * model_->hparams().d_model) * sizeof(float));
  RunHead({&item, 1}, output, sink);
}

void Executor::RunLogits(const ops::Matrix& output, const float* x, int64_t rows, int64_t stride,
                         float* logits) {
  SLM_CHECK(rows > 0);
  Resize(rows);
  model_->runtime()->PrepareFor(rows);
  const model::Hparams& h = model_->hparams();
  const ops::Input input = MakeInput(rows, h.d_model, {&output}, true);
  backend_->Norm(x, model_->weights().output_norm.data(), h.eps, input);
  const ops::Product product = {&output, nullptr, logits, stride};
  backend_->MatMul(input, {&product, 1});
}

std::span<const float> Executor::Extend(Session* session, std::span<const int32_t> tokens,
                                        const std::function<bool()>& is_cancelled) {
  SLM_CHECK(!tokens.empty());
  const auto size = static_cast<int64_t>(tokens.size());
  if (size > session->context())
    throw Error(Code::kBadInput, "{} tokens do not fit the context of {}", size,
                session->context());
  // The last token is computed even when it is known: its logits are not kept.
  int64_t at = session->KeepPrefix(tokens, size - 1);
  std::span<const float> result;
  while (at < size) {
    const int64_t count = std::min(kPromptRows, size - at);
    const BatchItem item = {session,
                            tokens.subspan(static_cast<size_t>(at), static_cast<size_t>(count)),
                            at + count == size ? 1 : 0};
    const auto keep = [&](size_t, int64_t, std::span<const float> logits) { result = logits; };
    if (!Forward({&item, 1}, keep, is_cancelled)) return {};
    at += count;
  }
  return result;
}

}  // namespace slm::engine
