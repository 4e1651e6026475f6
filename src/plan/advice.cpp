#include "plan/advice.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/progress.h"
#include "plan/facts.h"

namespace slm::plan {
namespace {

using nlohmann::ordered_json;

// What a file is mostly made in, and what small models lose least in, where there is room.
constexpr const char* kUsualType = "Q4_K_M";
constexpr const char* kFineType = "Q8_0";
constexpr uint64_t kSmall = 2'000'000'000;  // parameters
constexpr int64_t kLongContext = 8192;

Rule RuleOf(const std::string& id) {
  const ordered_json& record = FindRecord("rules", id);
  return {record.at("id"),   record.at("when"),       record.at("advice"),
          record.at("from"), record.at("confidence"), record.at("source")};
}

std::string Seconds(double seconds) {
  return seconds < 1 ? fmt::format("{:.0f} ms", 1000 * seconds) : fmt::format("{:.1f} s", seconds);
}

std::string PullName(const CatalogModel& model, const std::string& type) {
  if (!model.record->contains("hub") || !model.record->at("hub").contains("gguf")) return "";
  const ordered_json& names = model.record->at("hub").at("gguf");
  return names.empty() ? "" : fmt::format("hf:{}:{}", names[0].get<std::string>(), type);
}

bool IsQuickEnough(const Wish& wish, const ServingPlan& plan, const Call& call) {
  const double seconds = plan.call_seconds(call);
  return wish.call_seconds == 0 || (seconds > 0 && seconds <= wish.call_seconds);
}

void ExplainMemory(Choice* choice) {
  const ServingPlan& plan = choice->plan;
  const uint64_t total = plan.memory.total();
  if (!plan.is_known())
    choice->unknowns.push_back("how much memory the device has for it");
  else if (plan.fits())
    choice->reasons.push_back(
        fmt::format("takes {} of {}", FormatBytes(total), FormatBytes(plan.available)));
  else
    choice->problems.push_back(fmt::format("{} too large", FormatBytes(total - plan.available)));
}

void ExplainSpeed(const Wish& wish, const Call& call, const Device& device, Choice* choice) {
  const ServingPlan& plan = choice->plan;
  const double seconds = plan.call_seconds(call);
  if (seconds == 0)
    choice->unknowns.push_back(fmt::format(
        "its speed{}: {}", wish.call_seconds > 0 ? ", and so whether it is quick enough" : "",
        WhyNoSpeed(device)));
  else if (IsQuickEnough(wish, plan, call))
    choice->reasons.push_back(fmt::format("a call takes {}, the first token comes after {}",
                                          Seconds(seconds),
                                          Seconds(plan.first_token_seconds(call))));
  else
    choice->problems.push_back(fmt::format("a call takes {}", Seconds(seconds)));
}

void ExplainBudget(const Wish& wish, const Call& call, const Device& device, Choice* choice) {
  const OwnCost cost = CostOf(choice->plan, call, device, wish.cost);
  if (wish.calls_a_month > 0 && cost.calls_a_month > 0 && wish.calls_a_month > cost.calls_a_month)
    choice->problems.push_back(
        fmt::format("answers at most {:.0f} calls a month, one at a time", cost.calls_a_month));
  if (wish.usd_a_month == 0) return;
  if (cost.usd_a_month == 0) choice->unknowns.push_back("what the device costs");
  if (wish.calls_a_month > 0 && cost.usd_of_thousand == 0)
    choice->unknowns.push_back("what its energy costs");
  const double month = cost.usd_of_month(wish.calls_a_month);
  if (month > wish.usd_a_month)
    choice->problems.push_back(fmt::format("{:.2f} USD a month", month));
  else if (month > 0)
    choice->reasons.push_back(fmt::format("{:.2f} USD a month", month));
}

void ExplainModel(const Wish& wish, const ServingLoad& load, Choice* choice) {
  const CatalogModel& model = choice->model;
  if (model.context > 0 && load.context > model.context)
    choice->problems.push_back(fmt::format("made for {} tokens of context", model.context));
  if (wish.task) {
    const auto& score = choice->score;
    if (score)
      choice->reasons.push_back(fmt::format("{} {:.1f}{}", wish.task->benchmark, score->value,
                                            score->mark.empty() ? "" : " (" + score->mark + ")"));
    else
      choice->unknowns.push_back("no " + wish.task->benchmark + " is published");
  }
  if (model.commercial == "no") choice->reasons.push_back("licence: not for commercial use");
  if (model.commercial == "conditions")
    choice->reasons.push_back("licence with conditions: " + model.licence);
  if (!model.is_run) choice->unknowns.push_back("not yet run by slm");
}

// In the usual type; in the fine one where the model is small, and there is room and time.
Choice Choose(const Wish& wish, const CatalogModel& model, const ServingLoad& load,
              const Call& call, const Device& device, engine::Runtime* runtime) {
  Choice choice;
  choice.model = model;
  const auto plan = [&](const char* type) {
    return PlanServing(SizeOf(model, compress::FindRecipe(type)), load, call, device, runtime);
  };
  choice.type = kUsualType;
  choice.plan = plan(kUsualType);
  if (model.parameters < kSmall) {
    const ServingPlan fine = plan(kFineType);
    if (fine.fits() && IsQuickEnough(wish, fine, call)) {
      choice.type = kFineType;
      choice.plan = fine;
      choice.reasons.push_back("in 8 bits, as small models lose more by 4");
    }
  }
  choice.pull = PullName(model, choice.type);
  if (wish.task) choice.score = BestScore(model, wish.task->benchmark);
  ExplainMemory(&choice);
  ExplainSpeed(wish, call, device, &choice);
  ExplainBudget(wish, call, device, &choice);
  ExplainModel(wish, load, &choice);
  return choice;
}

std::vector<Rule> RulesFor(const Wish& wish, const ServingLoad& load) {
  std::vector<Rule> rules;
  const auto add = [&](const std::string& id) {
    if (std::none_of(rules.begin(), rules.end(), [&](const Rule& rule) { return rule.id == id; }))
      rules.push_back(RuleOf(id));
  };
  if (wish.task)
    for (const Rule& rule : wish.task->rules) rules.push_back(rule);
  if (wish.call_seconds > 0) add("use-latency");
  if (wish.is_private) add("use-privacy");
  if (wish.is_offline) add("use-offline");
  if (wish.calls_a_month > 0) add("use-volume");
  if (load.context > kLongContext) add("fail-long-context");
  return rules;
}

}  // namespace

std::string Rule::origin() const {
  return fmt::format("{}, confidence {}", from == "brief" ? "rule of thumb" : from, confidence);
}

Task FindTask(const std::string& id) {
  const ordered_json& record = FindRecord("tasks", id);
  Task task = {
      record.at("id"), record.at("name"), record.at("benchmark"), record.at("because"), {}};
  for (const ordered_json& rule : record.at("rules")) task.rules.push_back(RuleOf(rule));
  return task;
}

size_t Advice::fitting() const {
  return static_cast<size_t>(std::count_if(choices.begin(), choices.end(),
                                           [](const Choice& c) { return c.problems.empty(); }));
}

Advice Advise(const Wish& wish, const ServingLoad& load, const Call& call, const Device& device,
              engine::Runtime* runtime) {
  Advice advice;
  advice.rules = RulesFor(wish, load);
  const std::vector<CatalogModel> models = FindModels({.has_all = wish.has_successors,
                                                       .is_commercial = wish.is_commercial,
                                                       .language = wish.language,
                                                       .input = wish.input});
  for (const CatalogModel& model : models)
    if (model.role != "reference" && model.record->contains("shape") &&
        model.record->at("shape").contains("architecture"))
      advice.choices.push_back(Choose(wish, model, load, call, device, runtime));
  // Without a task the largest are taken for the best.
  const auto quality = [&](const Choice& choice) {
    return wish.task ? (choice.score ? choice.score->value : -1)
                     : static_cast<double>(choice.model.parameters);
  };
  std::stable_sort(advice.choices.begin(), advice.choices.end(),
                   [&](const Choice& a, const Choice& b) {
                     if (a.problems.empty() != b.problems.empty()) return a.problems.empty();
                     return quality(a) > quality(b);
                   });
  return advice;
}

}  // namespace slm::plan
