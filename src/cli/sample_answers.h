// What a model says to some samples without and with an adapter.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "cli/loaded_model.h"
#include "engine/lora.h"
#include "train/sample.h"
#include "train/training_report.h"

namespace slm::cli {

// Who answers: a model, or one with an adapter.
struct Speaker {
  LoadedModel* model = nullptr;
  std::vector<std::shared_ptr<const engine::Lora>> loras = {};
};

// Of at most `count` samples, always the same ones: greedy answers to what stands before the last
// answer that is trained; of a text, the continuation of its first half.
std::vector<train::SampleAnswer> AnswerSamples(const Speaker& before, const Speaker& after,
                                               std::span<const train::Sample> samples,
                                               size_t count);

}  // namespace slm::cli
