// The inputs that an observer sees are those of the products: with the weights of the file they
// give the numbers of the next stage, down to the logits.
#include "engine/input_observer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "engine/executor.h"
#include "kernels/table.h"
#include "model/tensor_table.h"
#include "tiny/tiny_model.h"

namespace slm::engine {
namespace {

using Floats = std::vector<float>;
using model::Slot;

struct Seen : InputObserver {
  void OnInput(int64_t layer, std::span<const Slot> readers, int64_t rows, int64_t k,
               const float* x) override {
    for (const Slot slot : readers) {
      const std::string name = TensorName(model::TensorTable()[static_cast<size_t>(slot)], layer);
      Floats& input = inputs[name];
      input.insert(input.end(), x, x + rows * k);
      widths[name] = k;
    }
  }
  std::map<std::string, Floats> inputs;  // of all calls, one after the other
  std::map<std::string, int64_t> widths;
};

const std::string kFamilies = "tests/golden/families/";

class InputObserverTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const std::string& name = GetParam();
    const bool is_made = name == "tiny";
    path_ = is_made ? testing::WriteTinyModel({.arch = "llama"}) : kFamilies + name + ".gguf";
    model_ = Model::Load(path_, &runtime_);
    executor_ = std::make_unique<Executor>(model_);
  }

  Floats Read(const std::string& name) const {
    const format::GgufTensor& tensor = model_->file().Get(name);
    Floats values(static_cast<size_t>(tensor.elements));
    quant::Traits(tensor.type).decode(tensor.data.data(), values.data(), tensor.elements);
    return values;
  }

  // Rows [first, first + count) of a matrix times `x`, in double.
  Floats Product(const std::string& name, const Floats& x, size_t first, size_t count) const {
    const Floats weights = Read(name);
    EXPECT_LE((first + count) * x.size(), weights.size()) << name;
    Floats out(count);
    for (size_t row = 0; row < count; ++row) {
      double sum = 0;
      for (size_t i = 0; i < x.size(); ++i)
        sum +=
            static_cast<double>(weights[(first + row) * x.size() + i]) * static_cast<double>(x[i]);
      out[row] = static_cast<float>(sum);
    }
    return out;
  }

  Floats Normed(const Floats& x, const std::string& name) const {
    const Floats w = Read(name);
    double squares = 0;
    for (const float value : x) squares += static_cast<double>(value) * static_cast<double>(value);
    const double scale = 1 / std::sqrt(squares / static_cast<double>(x.size()) +
                                       static_cast<double>(model_->hparams().eps));
    Floats out(x.size());
    for (size_t i = 0; i < x.size(); ++i)
      out[i] = static_cast<float>(static_cast<double>(x[i]) * scale * static_cast<double>(w[i]));
    return out;
  }

  // What is added to the residual stream after a product: normed first where the model does that.
  Floats PostNormed(const Floats& x, const std::string& name) const {
    return Has(name) ? Normed(x, name) : x;
  }

  double Activation(double x) const {
    if (model_->family().activation == ops::Activation::kSilu) return x / (1 + std::exp(-x));
    return 0.5 * x * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
  }

  bool Has(const std::string& name) const { return model_->file().Find(name) != nullptr; }

  std::string path_;
  Runtime runtime_{2, kernels::FindTable("ref")};
  std::shared_ptr<const Model> model_;
  std::unique_ptr<Executor> executor_;
};

void ExpectNear(const Floats& got, const Floats& expected, const std::string& what) {
  ASSERT_EQ(got.size(), expected.size()) << what;
  for (size_t i = 0; i < got.size(); ++i)
    ASSERT_NEAR(got[i], expected[i], 1e-4 * (1 + std::fabs(expected[i]))) << what << " " << i;
}

void Add(const Floats& from, Floats* to) {
  ASSERT_EQ(from.size(), to->size());
  for (size_t i = 0; i < from.size(); ++i) (*to)[i] += from[i];
}

TEST_P(InputObserverTest, SeesEveryMatrixOnceARow) {
  Seen seen;
  executor_->set_observer(&seen);
  Session session(model_, {16, kernels::KvType::kF32, kernels::KvType::kF32});
  const std::vector<int32_t> ids = {1, 2, 3, 4, 5};
  const BatchItem item = {&session, ids, 2};
  executor_->Forward({&item, 1}, [](size_t, int64_t, std::span<const float>) {});
  const bool is_tied = !Has("output.weight");
  std::set<std::string> expected, got;
  for (const format::GgufTensor& tensor : model_->file().tensors()) {
    if (tensor.num_dims != 2 || (tensor.name == "token_embd.weight" && !is_tied)) continue;
    expected.insert(tensor.name);
    if (!seen.inputs.contains(tensor.name)) continue;
    EXPECT_EQ(seen.widths[tensor.name], tensor.dims[0]) << tensor.name;
    const bool is_output = tensor.name == "output.weight" || tensor.name == "token_embd.weight";
    EXPECT_EQ(seen.inputs[tensor.name].size(),
              static_cast<size_t>(tensor.dims[0]) * (is_output ? 2 : ids.size()))
        << tensor.name;
  }
  for (const auto& [name, input] : seen.inputs) got.insert(name);
  EXPECT_EQ(got, expected);

  // Once it is taken off, nothing more is seen.
  executor_->set_observer(nullptr);
  seen.inputs.clear();
  const int32_t next = 6;
  const BatchItem more = {&session, {&next, 1}, 1};
  executor_->Forward({&more, 1}, [](size_t, int64_t, std::span<const float>) {});
  EXPECT_TRUE(seen.inputs.empty());
}

// One token attends to itself alone: its attention output is its values, head by head.
TEST_P(InputObserverTest, InputsReproduceTheForwardPass) {
  Seen seen;
  executor_->set_observer(&seen);
  Session session(model_, {16, kernels::KvType::kF32, kernels::KvType::kF32});
  const std::vector<int32_t> ids = {7};
  const std::span<const float> view = executor_->Extend(&session, ids);
  const Floats logits(view.begin(), view.end());

  const model::Hparams& h = model_->hparams();
  const auto size = [](int64_t n) { return static_cast<size_t>(n); };
  const size_t d = size(h.d_model), ffn = size(h.ffn), head = size(h.head_dim);
  const size_t q_rows = size(h.heads) * head, kv_rows = size(h.kv_heads) * head;
  const Floats embedding = Read("token_embd.weight");
  Floats x(embedding.begin() + static_cast<ptrdiff_t>(7 * d),
           embedding.begin() + static_cast<ptrdiff_t>(8 * d));
  if (model_->family().scales_embedding)
    for (float& value : x) value *= std::sqrt(static_cast<float>(d));
  for (int64_t layer = 0; layer < h.layers; ++layer) {
    const std::string at = "blk." + std::to_string(layer) + ".";
    const bool is_fused = Has(at + "attn_qkv.weight");
    const std::string values = at + (is_fused ? "attn_qkv.weight" : "attn_v.weight");
    const Floats& input = seen.inputs[values];
    ExpectNear(input, Normed(x, at + "attn_norm.weight"), values);
    Floats v = Product(values, input, is_fused ? q_rows + kv_rows : 0, kv_rows);
    if (Has(at + "attn_v.bias")) Add(Read(at + "attn_v.bias"), &v);
    Floats attended;
    for (size_t i = 0; i < size(h.heads); ++i) {
      const auto from =
          v.begin() + static_cast<ptrdiff_t>(i / (size(h.heads) / size(h.kv_heads)) * head);
      attended.insert(attended.end(), from, from + static_cast<ptrdiff_t>(head));
    }
    const std::string output = at + "attn_output.weight";
    ExpectNear(seen.inputs[output], attended, output);
    Add(PostNormed(Product(output, seen.inputs[output], 0, d), at + "post_attention_norm.weight"),
        &x);

    const std::string up = at + "ffn_up.weight", down = at + "ffn_down.weight";
    const bool is_up_fused = !Has(at + "ffn_gate.weight");
    const Floats& normed = seen.inputs[up];
    ExpectNear(normed, Normed(x, at + "ffn_norm.weight"), up);
    Floats gated = Product(is_up_fused ? up : at + "ffn_gate.weight", normed, 0, ffn);
    const Floats raised = Product(up, normed, is_up_fused ? ffn : 0, ffn);
    for (size_t i = 0; i < ffn; ++i)
      gated[i] = static_cast<float>(Activation(static_cast<double>(gated[i]))) * raised[i];
    ExpectNear(seen.inputs[down], gated, down);
    Add(PostNormed(Product(down, seen.inputs[down], 0, d), at + "post_ffw_norm.weight"), &x);
  }
  const std::string output = Has("output.weight") ? "output.weight" : "token_embd.weight";
  ExpectNear(seen.inputs[output], Normed(x, "output_norm.weight"), output);
  ExpectNear(logits, Product(output, seen.inputs[output], 0, size(h.vocab)), "logits");
}

INSTANTIATE_TEST_SUITE_P(Families, InputObserverTest,
                         ::testing::Values("tiny", "llama", "qwen2", "phi4", "phi4mini", "gemma3"),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace slm::engine
