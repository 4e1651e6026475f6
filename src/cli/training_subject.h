// What slm finetune trains: an adapter, or all weights.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "cli/finetune_flags.h"
#include "train/trained_lora.h"
#include "train/trained_weights.h"
#include "train/training_report.h"

namespace slm::cli {

struct TrainingSubject {
  std::shared_ptr<const engine::Model> model;
  std::shared_ptr<train::TrainedWeights> weights;
  // Gradients, by the names of whoever has such weights, into a file of this name and folder.
  std::function<void(std::span<const float> gradient, const std::string& folder)> write_gradients;
  const char* gradients_file;
  std::function<void()> write;  // the result
  train::Facts facts;           // for the report

  // Throws kUsage when the folder that is needed for a moment, beside `path`, is there already.
  void DumpGradients(std::span<const float> gradient, const std::string& path) const;
};

// The adapter that is begun with: new, or --init-adapter. Throws as train::NewLora and
// convert::ReadPeftLora do.
model::Lora FirstLora(const FinetuneFlags& flags, const engine::Model& model);

TrainingSubject AdapterSubject(const FinetuneFlags& flags,
                               const std::shared_ptr<const engine::Model>& model,
                               const std::shared_ptr<train::TrainedLora>& adapter);

// The file that --full writes.
std::string ModelOutput(const FinetuneFlags& flags);

TrainingSubject ModelSubject(const FinetuneFlags& flags,
                             const std::shared_ptr<engine::FloatModel>& model);

}  // namespace slm::cli
