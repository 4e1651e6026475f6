#include "plan/advice.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>

#include "base/error.h"
#include "base/progress.h"
#include "plan/facts.h"

namespace slm::plan {
namespace {

using nlohmann::ordered_json;

constexpr const char* kFineType = "Q8_0";   // what small models lose least in, where there is room
constexpr uint64_t kSmall = 2'000'000'000;  // parameters
constexpr int64_t kLongContext = 8192;
constexpr double kNear = 1.25;  // what planned and taken times differ by, docs/plan.md

Rule RuleOf(const std::string& id) {
  const ordered_json& record = FindRecord("rules", id);
  return {record.at("id"),         record.at("when"),
          record.at("advice"),     record.at("from"),
          record.at("confidence"), DescribeSource("rules", record.at("source")),
          record.value("note", "")};
}

double Threshold(const char* rule, const char* name) {
  return FindRecord("rules", rule).at("threshold").at(name);
}

std::string PullName(const CatalogModel& model, const std::string& type) {
  const ordered_json& record = *model.record;
  const auto name = [&](const std::string& repo) { return fmt::format("hf:{}:{}", repo, type); };
  if (record.contains("files"))
    for (const ordered_json& file : record.at("files"))
      if (file.at("quantization") == type) return name(file.at("repo"));
  if (!record.contains("hub") || !record.at("hub").contains("gguf")) return "";
  const ordered_json& repos = record.at("hub").at("gguf");
  return repos.empty() ? "" : name(repos[0]);
}

bool IsTooSlow(const Wish& wish, const ServingPlan& plan, const Call& call) {
  return wish.call_seconds > 0 && plan.least_call_seconds(call) > wish.call_seconds;
}

void JudgeMemory(const ServingPlan& plan, Verdict* verdict) {
  const uint64_t total = plan.memory.total();
  if (!plan.available)
    verdict->unknowns.push_back("how much memory the device has for it");
  else if (plan.fits())
    verdict->reasons.push_back(
        fmt::format("takes {} of {}", FormatBytes(total), FormatBytes(*plan.available)));
  else
    verdict->problems.push_back(fmt::format("{} too large", FormatBytes(total - *plan.available)));
}

void JudgeSpeed(const Wish& wish, const Call& call, const Device& device, const ServingPlan& plan,
                Verdict* verdict) {
  const double seconds = plan.call_seconds(call), least = plan.least_call_seconds(call);
  if (IsTooSlow(wish, plan, call)) {
    verdict->problems.push_back(
        fmt::format("{} takes {}", seconds > 0 ? "a call" : "a part of a call", Seconds(least)));
    verdict->is_near = least <= wish.call_seconds * kNear;
  } else if (seconds > 0)
    verdict->reasons.push_back(fmt::format("a call takes {}, the first token comes after {}",
                                           Seconds(seconds),
                                           Seconds(plan.first_token_seconds(call))));
  else
    verdict->unknowns.push_back(
        fmt::format("{}{}", wish.call_seconds > 0 ? "whether it is quick enough, and " : "",
                    WhyNoSpeed(device, plan.speed)));
}

void JudgeCost(const Wish& wish, const OwnCost& cost, Verdict* verdict) {
  if (wish.calls_a_month > 0 && cost.calls_a_month > 0 && wish.calls_a_month > cost.calls_a_month)
    verdict->problems.push_back(
        fmt::format("answers at most {:.0f} calls a month, one at a time", cost.calls_a_month));
  if (wish.usd_a_month == 0) return;
  const double least = cost.least_usd_of_month(wish.calls_a_month);
  const std::string usd = fmt::format("{:.2f} USD a month", least);
  if (least > wish.usd_a_month)
    verdict->problems.push_back(cost.missing.empty() ? usd : "at least " + usd);
  else if (cost.missing.empty())
    verdict->reasons.push_back(usd);
  else
    verdict->unknowns.push_back(
        fmt::format("what a month of it costs, for want of {}", fmt::join(cost.missing, ", ")));
}

void JudgeModel(const Wish& wish, const ServingLoad& load, Choice* choice) {
  const CatalogModel& model = choice->model;
  Verdict& verdict = choice->verdict;
  if (model.context > 0 && load.context > model.context)
    verdict.problems.push_back(MadeFor(model.context));
  if (wish.task && choice->score)
    verdict.reasons.push_back(
        fmt::format("{} {:.1f}{}", wish.task->benchmark, choice->score->value,
                    choice->score->mark.empty() ? "" : " (" + choice->score->mark + ")"));
  else if (wish.task)
    verdict.unknowns.push_back(
        fmt::format("where it would rank: the catalog has no {} of it", wish.task->benchmark));
  if (model.commercial == "no") verdict.reasons.push_back("licence: not for commercial use");
  if (model.commercial == "conditions")
    verdict.reasons.push_back("licence with conditions: " + model.licence);
  if (!wish.language.empty() && model.languages.empty())
    verdict.unknowns.push_back(fmt::format("whether {} is among the {} languages that are claimed",
                                           wish.language, model.claimed_languages));
  if (wish.input == "image")
    verdict.unknowns.push_back(
        "what its encoder of images and their tokens take beside this; slm "
        "itself reads text alone");
  if (!model.is_run) verdict.unknowns.push_back("not yet run by slm");
}

Choice Consider(const Wish& wish, const CatalogModel& model, const std::string& type,
                const ServingLoad& load, const Call& call, const Device& device,
                engine::Runtime* runtime) {
  Choice choice;
  choice.model = model;
  choice.type = type;
  choice.pull = PullName(model, type);
  choice.plan = PlanServing(SizeOf(model, compress::FindRecipe(type)), load, call, device, runtime);
  choice.cost = CostOf(choice.plan, call, device, wish.cost);
  choice.verdict = Judge(wish, call, device, choice.plan);
  const double rate = choice.plan.speed.call_decode;
  choice.is_slow = wish.call_seconds == 0 && rate > 0 &&
                   rate < Threshold("speed-reading", "tokens_per_second_below");
  return choice;
}

// In the usual type; in the fine one where the model is small, and there is room and time.
Choice Choose(const Wish& wish, const CatalogModel& model, const ServingLoad& load,
              const Call& call, const Device& device, engine::Runtime* runtime) {
  const auto in = [&](const std::string& type) {
    return Consider(wish, model, type, load, call, device, runtime);
  };
  Choice choice = in(wish.type.empty() ? kUsualType : compress::FindRecipe(wish.type).name);
  if (wish.type.empty() && model.parameters < kSmall) {
    Choice fine = in(kFineType);
    if (fine.verdict.problems.empty() && (!fine.is_slow || choice.is_slow)) {
      choice = std::move(fine);
      choice.verdict.reasons.push_back(
          "in 8 bits, as small models lose more in 4 (rules q-loss-1b, q-loss-3b: by plain "
          "rounding)");
    }
  }
  if (wish.task) choice.score = BestScore(model, wish.task->benchmark);
  if (choice.verdict.problems.empty() && choice.is_slow)
    choice.verdict.reasons.push_back("answers more slowly than people read (rule speed-reading)");
  JudgeModel(wish, load, &choice);
  choice.verdict.is_near &= choice.verdict.problems.size() == 1;
  return choice;
}

std::vector<CatalogModel> ModelsFor(const Wish& wish) {
  std::vector<CatalogModel> models = FindModels({.has_all = wish.has_successors,
                                                 .is_commercial = wish.is_commercial,
                                                 .language = wish.language,
                                                 .input = wish.input});
  std::erase_if(models, [](const CatalogModel& model) { return !IsPlannable(model); });
  if (models.empty())
    throw Error(Code::kUsage, "no model of the catalog has all of:{}{}{}",
                wish.language.empty() ? "" : " --language " + wish.language,
                wish.input.empty() ? "" : " --input " + wish.input,
                wish.is_commercial ? " --commercial" : "");
  return models;
}

std::vector<Rule> RulesFor(const Wish& wish, const ServingLoad& load) {
  std::vector<Rule> rules;
  const auto add = [&](const std::string& id) {
    if (std::none_of(rules.begin(), rules.end(), [&](const Rule& rule) { return rule.id == id; }))
      rules.push_back(RuleOf(id));
  };
  if (wish.task)
    for (const Rule& rule : wish.task->rules) rules.push_back(rule);
  if (wish.call_seconds > 0 &&
      wish.call_seconds <= Threshold("use-latency", "latency_ms_below") / 1000)
    add("use-latency");
  if (wish.is_private) add("use-privacy");
  if (wish.is_offline) add("use-offline");
  if (wish.calls_a_month > 0) add("use-volume");
  if (load.context > kLongContext) add("fail-long-context");
  return rules;
}

}  // namespace

bool IsPlannable(const CatalogModel& model) {
  return model.role != "reference" && model.record->contains("shape") &&
         model.record->at("shape").contains("architecture");
}

std::string Rule::origin() const {
  return fmt::format("{}, confidence {}{}{}",
                     from == "brief" ? "rule of thumb" : fmt::format("{}: {}", from, source),
                     confidence, note.empty() ? "" : "; ", note);
}

Task FindTask(const std::string& id) {
  const ordered_json& record = FindRecord("tasks", id);
  Task task = {
      record.at("id"), record.at("name"), record.at("benchmark"), record.at("because"), {}};
  for (const ordered_json& rule : record.at("rules")) task.rules.push_back(RuleOf(rule));
  return task;
}

std::string Seconds(double seconds) {
  constexpr double kMillisecond = 1e-3;
  return seconds < kMillisecond ? fmt::format("{:.2g} ms", 1000 * seconds)
         : seconds < 1          ? fmt::format("{:.0f} ms", 1000 * seconds)
                                : fmt::format("{:.1f} s", seconds);
}

std::string MadeFor(int64_t context) {
  return fmt::format("made for {} tokens of context", context);
}

Verdict Judge(const Wish& wish, const Call& call, const Device& device, const ServingPlan& plan) {
  Verdict verdict;
  JudgeMemory(plan, &verdict);
  JudgeSpeed(wish, call, device, plan, &verdict);
  if (!plan.is_too_large()) JudgeCost(wish, CostOf(plan, call, device, wish.cost), &verdict);
  return verdict;
}

size_t Advice::fitting() const {
  return static_cast<size_t>(std::count_if(
      choices.begin(), choices.end(), [](const Choice& c) { return c.verdict.problems.empty(); }));
}

Advice Advise(const Wish& wish, const ServingLoad& load, const Call& call, const Device& device,
              engine::Runtime* runtime) {
  Advice advice;
  advice.rules = RulesFor(wish, load);
  const std::vector<CatalogModel> models = ModelsFor(wish);
  for (const CatalogModel& model : models)
    advice.choices.push_back(Choose(wish, model, load, call, device, runtime));
  for (const CatalogModel& model : FindModels({.has_all = wish.has_successors}))
    if (IsPlannable(model) &&
        std::none_of(models.begin(), models.end(),
                     [&](const CatalogModel& taken) { return taken.id == model.id; }))
      advice.left_out.push_back(model.id);
  // Without a task the largest are taken for the best.
  const auto quality = [&](const Choice& choice) {
    return wish.task ? (choice.score ? choice.score->value : -1)
                     : static_cast<double>(choice.model.parameters);
  };
  const auto rank = [&](const Choice& choice) {
    return std::tuple(choice.verdict.problems.empty(), !choice.is_slow, quality(choice));
  };
  std::stable_sort(advice.choices.begin(), advice.choices.end(),
                   [&](const Choice& a, const Choice& b) { return rank(a) > rank(b); });
  if (std::any_of(advice.choices.begin(), advice.choices.end(), [](const Choice& choice) {
        return choice.verdict.problems.empty() && choice.is_slow;
      }))
    advice.rules.push_back(RuleOf("speed-reading"));
  return advice;
}

}  // namespace slm::plan
