// What slm plan found, as text, as JSON and as a page.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "plan/advice.h"
#include "plan/cost.h"
#include "plan/local_cards.h"
#include "plan/training_plan.h"

namespace slm::cli {

// Whatever was asked for.
struct PlanAnswer {
  plan::Device device;
  std::vector<plan::LocalCard> cards;  // where the device is this machine
  plan::ServingLoad load;
  std::string cache_flags;  // of the types of its cache, where they are not the usual ones
  plan::Call call;
  // Of one model:
  std::optional<plan::ModelSize> size;
  std::optional<plan::ServingPlan> serving;
  std::optional<plan::Verdict> verdict;
  std::optional<plan::TrainingJob> job;
  std::optional<plan::TrainingPlan> training;
  // Of the catalog:
  std::optional<plan::Task> task;
  std::optional<plan::Advice> advice;
  double call_seconds = 0;  // that a call may take; 0: any
  bool has_limits = false;  // of time or money
  // Prices to compare with, and costs of the model that was named or is the best.
  std::vector<plan::ApiPrice> prices;
  std::optional<plan::OwnCost> cost;
  plan::OwnCostOptions cost_options;
  double calls_a_month = 0;  // 0: not said
};

nlohmann::ordered_json ToJson(const plan::Device& device);
nlohmann::ordered_json ToJson(const PlanAnswer& answer);
void Print(const PlanAnswer& answer);
// Devices that --device takes, those of `file` first.
void ListDevices(const std::string& file, bool is_json);
// A page with charts of memory, of speed against quality and of costs. `answer` has advice.
std::string RenderHtml(const PlanAnswer& answer);

}  // namespace slm::cli
