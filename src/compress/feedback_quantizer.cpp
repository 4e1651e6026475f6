#include "compress/feedback_quantizer.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/progress.h"
#include "compress/calibration.h"
#include "compress/encode_tensor.h"
#include "compress/error_feedback.h"
#include "format/gguf_writer.h"
#include "model/tensor_table.h"

namespace slm::compress {
namespace {

// Of the mean square of the inputs: what the gram matrix of a few thousand tokens does not know.
constexpr float kDamping = 0.01f;

using Bytes = std::vector<uint8_t>;

std::string NameOf(model::Slot slot, int64_t layer) {
  return model::TensorName(model::TensorTable()[static_cast<size_t>(slot)], layer);
}

class FeedbackQuantizer {
 public:
  FeedbackQuantizer(std::shared_ptr<const engine::Model> model, const QuantizeOptions& options,
                    std::vector<std::vector<int32_t>> sequences)
      : model_(std::move(model)),
        runtime_(*model_->runtime()),
        options_(options),
        calibration_(model_, std::move(sequences)) {}

  void Run(std::span<const TensorPlan> plan, const std::string& path, Progress* progress) {
    const int64_t layers = model_->hparams().layers;
    // The embedding first: the layers work on what it gives.
    std::vector<const TensorPlan*> embedding, rest;
    std::vector<std::vector<const TensorPlan*>> of_layer(static_cast<size_t>(layers));
    for (const TensorPlan& entry : plan) {
      const int64_t layer = LayerOfTensor(entry.tensor->name);
      const bool is_embedding = entry.tensor->name == NameOf(model::Slot::kTokenEmbd, 0);
      (is_embedding ? embedding
       : layer < 0  ? rest
                    : of_layer[static_cast<size_t>(layer)])
          .push_back(&entry);
    }
    format::GgufWriter writer(path, model_->file().alignment());
    SetQuantizedMetadata(model_->file(), options_, &writer);
    const auto declare = [&](const TensorPlan* entry) { DeclareTensor(*entry, &writer); };
    std::for_each(embedding.begin(), embedding.end(), declare);
    for (const auto& entries : of_layer) std::for_each(entries.begin(), entries.end(), declare);
    std::for_each(rest.begin(), rest.end(), declare);

    if (progress)
      progress->Start("quantizing", ProgressUnit::kCount, 0, static_cast<uint64_t>(layers + 1));
    for (const TensorPlan* entry : embedding) RunEmbedding(*entry, &writer);
    for (int64_t layer = 0; layer < layers; ++layer) {
      RunLayer(layer, of_layer[static_cast<size_t>(layer)], &writer);
      if (progress) progress->Update(static_cast<uint64_t>(layer + 1));
    }
    RunRest(rest, &writer);
    if (progress) progress->Finish();
    writer.Finish();
  }

 private:
  // Rounded by itself even where it is the output, too: feedback would disturb single rows, and
  // those are looked up.
  void RunEmbedding(const TensorPlan& entry, format::GgufWriter* writer) {
    std::map<std::string, Bytes> encoded;
    Bytes& bytes = encoded[entry.tensor->name];
    EncodePlain(entry, options_, runtime_.kernels(), runtime_.pool(),
                [&](std::span<const uint8_t> piece) {
                  bytes.insert(bytes.end(), piece.begin(), piece.end());
                });
    calibration_.Embed({entry.type, bytes.data(), entry.tensor->dims[1], entry.tensor->dims[0]});
    Append(entry, &encoded, writer);
  }

  void RunLayer(int64_t layer, std::span<const TensorPlan* const> entries,
                format::GgufWriter* writer) {
    const auto bind = [&](const model::TensorLookup& replaced) {
      return model::BindLayer(model_->file(), model_->hparams(), model_->family(),
                              runtime_.backend(), layer, replaced);
    };
    std::map<std::string, Bytes> encoded;
    {
      LayerGrams grams = calibration_.Measure(layer, bind({}));
      for (GroupGram& group : grams) {
        std::map<std::string, const TensorPlan*> readers;
        for (const model::Slot slot : group.readers)
          for (const TensorPlan* entry : entries)
            if (entry->tensor->name == NameOf(slot, layer)) readers[entry->tensor->name] = entry;
        EncodeGroup(std::move(group.gram), readers, &encoded);
      }
    }
    std::map<std::string, format::GgufTensor> tensors;
    for (const TensorPlan* entry : entries) {
      auto found = encoded.find(entry->tensor->name);
      if (found == encoded.end()) continue;
      format::GgufTensor tensor = *entry->tensor;
      tensor.type = entry->type;
      tensor.data = found->second;
      tensors[tensor.name] = tensor;
    }
    calibration_.Advance(layer, bind([&](const std::string& name) {
                           const auto found = tensors.find(name);
                           return found == tensors.end() ? nullptr : &found->second;
                         }));
    for (const TensorPlan* entry : entries) Append(*entry, &encoded, writer);
  }

  void RunRest(std::span<const TensorPlan* const> entries, format::GgufWriter* writer) {
    const std::string output = NameOf(model::Slot::kOutput, 0);
    std::map<std::string, Bytes> encoded;
    for (const TensorPlan* entry : entries)
      if (entry->tensor->name == output && IsEncodedWithFeedback(*entry))
        EncodeGroup(calibration_.MeasureOutput(), {{output, entry}}, &encoded);
    for (const TensorPlan* entry : entries) Append(*entry, &encoded, writer);
  }

  static bool IsEncodedWithFeedback(const TensorPlan& entry) {
    return entry.type != entry.tensor->type && quant::Traits(entry.type).block_size > 1;
  }

  void EncodeGroup(Gram gram, const std::map<std::string, const TensorPlan*>& readers,
                   std::map<std::string, Bytes>* encoded) {
    if (std::none_of(readers.begin(), readers.end(),
                     [](const auto& reader) { return IsEncodedWithFeedback(*reader.second); }))
      return;
    const FeedbackFactor factor =
        MakeFeedbackFactor(std::move(gram), kDamping, runtime_.kernels(), runtime_.pool());
    std::map<quant::Type, FeedbackEncoder> encoders;
    for (const auto& [name, entry] : readers) {
      if (!IsEncodedWithFeedback(*entry)) continue;
      FeedbackEncoder& encoder =
          encoders
              .try_emplace(entry->type, factor, entry->type, runtime_.kernels(), runtime_.pool())
              .first->second;
      Bytes& bytes = (*encoded)[name];
      bytes.reserve(entry->bytes());
      encoder.Encode(RowsOf(*entry->tensor, options_), [&](std::span<const uint8_t> piece) {
        bytes.insert(bytes.end(), piece.begin(), piece.end());
      });
    }
  }

  void Append(const TensorPlan& entry, std::map<std::string, Bytes>* encoded,
              format::GgufWriter* writer) {
    const auto found = encoded->find(entry.tensor->name);
    if (found == encoded->end()) {
      EncodePlain(entry, options_, runtime_.kernels(), runtime_.pool(),
                  [&](std::span<const uint8_t> piece) { writer->Append(piece); });
    } else {
      writer->Append(found->second);
      encoded->erase(found);
    }
    model_->file().Release(*entry.tensor);
  }

  std::shared_ptr<const engine::Model> model_;
  engine::Runtime& runtime_;
  const QuantizeOptions& options_;
  Calibration calibration_;
};

}  // namespace

void QuantizeWithFeedback(const std::shared_ptr<const engine::Model>& model,
                          std::span<const TensorPlan> plan, const QuantizeOptions& options,
                          std::vector<std::vector<int32_t>> sequences, const std::string& path,
                          Progress* progress) {
  if (model->file().Reads(path))
    throw Error(Code::kUsage, "{} is what is read; name another file for the result", path);
  FeedbackQuantizer(model, options, std::move(sequences)).Run(plan, path, progress);
}

}  // namespace slm::compress
