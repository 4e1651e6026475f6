#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/plan_answer.h"
#include "plan/facts.h"

namespace slm::cli {
namespace {

using nlohmann::ordered_json;

// A number, or null where it is not known: no answer has a 0 for what nobody knows.
ordered_json Known(double value) { return value > 0 ? ordered_json(value) : ordered_json(); }

template <class T>
ordered_json Known(const std::optional<T>& value) {
  return value ? ordered_json(*value) : ordered_json();
}

ordered_json ToJson(const plan::Figure& figure) {
  if (!figure) return nullptr;
  return {{"value", figure.value}, {"source", figure.source}, {"date", figure.date}};
}

// In place of their keys.
void NameSources(ordered_json* json) {
  if (json->is_object() && json->contains("source"))
    json->at("source") = plan::DescribeSource("efficiencies", json->at("source"));
  if (json->is_structured())
    for (ordered_json& each : *json) NameSources(&each);
}

// What the planned speed is computed with.
ordered_json ToJson(const std::optional<plan::Efficiency>& efficiency) {
  if (!efficiency) return nullptr;
  ordered_json json = *efficiency->record;
  json["engine"] = efficiency->engine;
  NameSources(&json);
  return json;
}

ordered_json ToJson(const plan::ServingPlan& plan, const PlanAnswer& answer) {
  const plan::ServingMemory& memory = plan.memory;
  const uint64_t total = memory.total();
  ordered_json json = {{"weights_bytes", memory.weights},
                       {"kv_bytes", memory.kv},
                       {"activation_bytes", memory.activations},
                       {"program_bytes", memory.program},
                       {"total_bytes", total},
                       {"available_bytes", Known(plan.available)}};
  json["fits"] = plan.available ? ordered_json(plan.fits()) : ordered_json();
  json["missing_bytes"] =
      plan.available ? ordered_json(total - std::min(total, *plan.available)) : ordered_json();
  const double seconds = plan.call_seconds(answer.call);
  json["prefill_tokens_per_second"] = Known(plan.speed.prefill);
  json["decode_tokens_per_second"] = Known(plan.speed.decode);
  json["call_decode_tokens_per_second"] = Known(plan.speed.call_decode);
  json["first_token_seconds"] = Known(plan.first_token_seconds(answer.call));
  json["call_seconds"] = Known(seconds);
  if (answer.call_seconds > 0) {
    const bool is_too_slow = plan.least_call_seconds(answer.call) > answer.call_seconds;
    json["latency_met"] = is_too_slow || seconds > 0 ? ordered_json(!is_too_slow) : ordered_json();
  }
  return json;
}

ordered_json ToJson(const plan::Verdict& verdict) {
  return {
      {"reasons", verdict.reasons}, {"problems", verdict.problems}, {"unknowns", verdict.unknowns}};
}

ordered_json ToJson(const plan::OwnCost& cost, double calls) {
  ordered_json json = {{"kilowatt_hours_per_1000_calls", Known(cost.kilowatt_hours)},
                       {"energy_usd_per_1000_calls", Known(cost.usd_of_thousand)},
                       {"device_usd_per_month", Known(cost.usd_a_month)},
                       {"most_calls_per_month", Known(cost.calls_a_month)},
                       {"cost_unknown_for_want_of", cost.missing}};
  if (calls > 0) json["usd_per_month"] = Known(cost.usd_of_month(calls));
  return json;
}

ordered_json ToJson(const plan::TrainingPlan& plan) {
  return {{"finetune_bytes", plan.total()},
          {"finetune_base_bytes", plan.base},
          {"finetune_adapter_bytes", plan.adapter},
          {"finetune_optimizer_bytes", plan.optimizer},
          {"finetune_activation_bytes", plan.activations},
          {"finetune_trained_numbers", plan.trained},
          {"finetune_fits",
           plan.available ? ordered_json(plan.total() <= *plan.available) : ordered_json()},
          {"finetune_seconds", Known(plan.seconds)},
          {"finetune_kilowatt_hours", Known(plan.kilowatt_hours)},
          {"finetune_from", plan.seconds > 0 ? ordered_json(plan.engine) : ordered_json()}};
}

ordered_json ToJson(const plan::Rule& rule) {
  return {{"id", rule.id},
          {"when", rule.when},
          {"advice", rule.advice},
          {"from", rule.from},
          {"source", rule.source},
          {"confidence", rule.confidence},
          {"note", rule.note.empty() ? ordered_json() : ordered_json(rule.note)}};
}

ordered_json ToJson(const plan::Choice& choice, const PlanAnswer& answer) {
  ordered_json json = {{"id", choice.model.id},
                       {"name", choice.model.name},
                       {"type", choice.type},
                       {"parameters", choice.model.parameters},
                       {"licence", choice.model.licence}};
  if (answer.task) {
    json["score"] = choice.score ? ordered_json(choice.score->value) : ordered_json();
    if (choice.score)
      json.update({{"score_mark", choice.score->mark},
                   {"score_source", choice.score->source},
                   {"score_date", choice.score->date}});
  }
  json.update(ToJson(choice.plan, answer));
  json.update(ToJson(choice.cost, answer.calls_a_month));
  json.update(ToJson(choice.verdict));
  return json;
}

}  // namespace

ordered_json ToJson(const plan::Device& device) {
  return {{"id", device.id},
          {"name", device.name},
          {"kind", device.kind},
          {"cards", device.cards},
          {"memory_bytes", ToJson(device.memory)},
          {"usable_bytes", Known(device.usable_bytes())},
          {"usable_reason", device.usable_reason},
          {"is_measured", device.kind == "here" || plan::IsMeasured(device)},
          {"read_bytes_per_second", ToJson(device.read_bandwidth)},
          {"int8_operations_per_second", ToJson(device.int8_operations)},
          {"f16_operations_per_second", ToJson(device.half_operations)},
          {"watts", ToJson(device.watts)},
          {"price_usd", ToJson(device.price)}};
}

ordered_json ToJson(const PlanAnswer& answer) {
  ordered_json json;
  if (answer.size)
    json = {{"model", answer.size->name},
            {"type", answer.size->type},
            {"parameters", answer.size->parameters()},
            {"file_bytes", answer.size->file_bytes}};
  json["device"] = ToJson(answer.device);
  json["cards"] = ordered_json::array();
  for (const plan::LocalCard& card : answer.cards)
    json["cards"].push_back(
        {{"name", card.gpu.name},
         {"memory_bytes", card.gpu.memory_bytes},
         {"read_bytes_per_second", Known(card.gpu.bytes_per_second)},
         {"device", card.device.empty() ? ordered_json() : ordered_json(card.device)}});
  json["context"] = answer.load.context;
  json["parallel"] = answer.load.parallel;
  json["tokens_in"] = answer.call.tokens_in;
  json["tokens_out"] = answer.call.tokens_out;
  if (answer.load.parallel > 1) json["parallel_speed"] = "not yet checked";
  if (answer.serving) {
    json.update(ToJson(*answer.serving, answer));
    if (answer.verdict) json.update(ToJson(*answer.verdict));
    json["efficiency"] = ToJson(answer.serving->efficiency);
  }
  if (answer.training) json.update(ToJson(*answer.training));
  if (answer.task)
    json["task"] = {{"id", answer.task->id},
                    {"name", answer.task->name},
                    {"benchmark", answer.task->benchmark},
                    {"because", answer.task->because}};
  if (answer.advice) {
    json["short_list"] = ordered_json::array();
    json["efficiency"] = answer.advice->choices.empty()
                             ? ordered_json()
                             : ToJson(answer.advice->choices.front().plan.efficiency);
    json["models"] = ordered_json::array();
    json["left_out"] = answer.advice->left_out;
    json["rules"] = ordered_json::array();
    for (const plan::Choice& choice : answer.advice->choices) {
      if (choice.verdict.problems.empty()) json["short_list"].push_back(choice.model.id);
      json["models"].push_back(ToJson(choice, answer));
    }
    for (const plan::Rule& rule : answer.advice->rules) json["rules"].push_back(ToJson(rule));
  }
  if (answer.cost) json.update(ToJson(*answer.cost, answer.calls_a_month));
  json["apis"] = ordered_json::array();
  for (const plan::ApiPrice& price : answer.prices) {
    const double usd = price.usd_of_thousand(answer.call);
    const auto even = answer.cost ? plan::BreakEvenOf(*answer.cost, usd) : plan::BreakEven{};
    json["apis"].push_back(
        {{"id", price.id},
         {"usd_per_1000_calls", usd},
         {"usd_per_month", answer.calls_a_month > 0
                               ? ordered_json(usd * answer.calls_a_month / 1000)
                               : ordered_json()},
         {"break_even_calls_per_month", Known(even.calls)},
         {"device_is_ever_cheaper", even.is_known ? ordered_json(even.calls > 0) : ordered_json()},
         {"source", price.source},
         {"date", price.date}});
  }
  return json;
}

}  // namespace slm::cli
