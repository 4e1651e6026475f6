// What a training did, as one HTML page that asks for nothing from outside and runs nothing.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "train/training_log.h"

namespace slm::train {

// A prompt, and what the model says to it without and with the adapter.
struct SampleAnswer {
  std::string prompt, expected, before, after;
};

using Facts = std::vector<std::pair<std::string, std::string>>;  // names and values

struct TrainingReport {
  std::string title;
  Facts facts;
  std::string answers_from;  // which samples they are
  std::vector<SampleAnswer> answers;
  std::string trained = "with the adapter";  // what gave the answers after
};

// Whatever the texts hold, they are shown as texts.
std::string RenderReport(const TrainingReport& report, const TrainingHistory& history);

}  // namespace slm::train
