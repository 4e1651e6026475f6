#include <nlohmann/json.hpp>

#include "cli/plan_answer.h"

namespace slm::cli {
namespace {

using nlohmann::ordered_json;

// A number, or null where it is not known: no answer has a 0 for what nobody knows.
ordered_json Known(double value) { return value > 0 ? ordered_json(value) : ordered_json(); }

ordered_json ToJson(const plan::Figure& figure) {
  if (!figure) return nullptr;
  return {{"value", figure.value}, {"source", figure.source}, {"date", figure.date}};
}

ordered_json ToJson(const plan::Device& device) {
  return {{"id", device.id},
          {"name", device.name},
          {"memory_bytes", ToJson(device.memory)},
          {"usable_bytes", device.usable_bytes()},
          {"usable_reason", device.usable_reason},
          {"is_measured", device.is_measured},
          {"read_bytes_per_second", ToJson(device.read_bandwidth)},
          {"int8_operations_per_second", ToJson(device.int8_operations)},
          {"f16_operations_per_second", ToJson(device.half_operations)},
          {"watts", ToJson(device.watts)},
          {"price_usd", ToJson(device.price)}};
}

ordered_json ToJson(const plan::ServingPlan& plan, const plan::Call& call) {
  const plan::ServingMemory& memory = plan.memory;
  return {{"weights_bytes", memory.weights},
          {"kv_bytes", memory.kv},
          {"activation_bytes", memory.activations},
          {"program_bytes", memory.program},
          {"total_bytes", memory.total()},
          {"available_bytes", plan.is_known() ? ordered_json(plan.available) : ordered_json()},
          {"fits", plan.is_known() ? ordered_json(plan.fits()) : ordered_json()},
          {"missing_bytes",
           plan.is_known() && !plan.fits() ? memory.total() - plan.available : uint64_t{0}},
          {"prefill_tokens_per_second", Known(plan.speed.prefill)},
          {"decode_tokens_per_second", Known(plan.speed.decode)},
          {"first_token_seconds", Known(plan.first_token_seconds(call))},
          {"call_seconds", Known(plan.call_seconds(call))},
          {"speed_from", plan.efficiency ? ordered_json(plan.efficiency->id) : ordered_json()}};
}

ordered_json ToJson(const plan::TrainingPlan& plan) {
  return {{"finetune_bytes", plan.total()},
          {"finetune_base_bytes", plan.base},
          {"finetune_adapter_bytes", plan.adapter},
          {"finetune_optimizer_bytes", plan.optimizer},
          {"finetune_activation_bytes", plan.activations},
          {"finetune_trained_numbers", plan.trained},
          {"finetune_fits",
           plan.available > 0 ? ordered_json(plan.total() <= plan.available) : ordered_json()},
          {"finetune_seconds", Known(plan.seconds)},
          {"finetune_kilowatt_hours", Known(plan.kilowatt_hours)},
          {"finetune_from", plan.seconds > 0 ? ordered_json(plan.engine) : ordered_json()}};
}

ordered_json ToJson(const plan::Rule& rule) {
  return {{"id", rule.id},     {"when", rule.when},     {"advice", rule.advice},
          {"from", rule.from}, {"source", rule.source}, {"confidence", rule.confidence}};
}

ordered_json ToJson(const plan::Choice& choice, const PlanAnswer& answer) {
  ordered_json json = {{"id", choice.model.id},
                       {"name", choice.model.name},
                       {"type", choice.type},
                       {"parameters", choice.model.parameters},
                       {"licence", choice.model.licence}};
  if (answer.task)
    json["score"] = choice.score ? ordered_json(choice.score->value) : ordered_json();
  json.update(ToJson(choice.plan, answer.call));
  json["reasons"] = choice.reasons;
  json["problems"] = choice.problems;
  json["unknowns"] = choice.unknowns;
  return json;
}

}  // namespace

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
  if (answer.serving) json.update(ToJson(*answer.serving, answer.call));
  if (answer.training) json.update(ToJson(*answer.training));
  if (answer.task)
    json["task"] = {{"id", answer.task->id},
                    {"name", answer.task->name},
                    {"benchmark", answer.task->benchmark},
                    {"because", answer.task->because}};
  if (answer.advice) {
    json["short_list"] = ordered_json::array();
    json["models"] = ordered_json::array();
    json["rules"] = ordered_json::array();
    for (const plan::Choice& choice : answer.advice->choices) {
      if (choice.problems.empty()) json["short_list"].push_back(choice.model.id);
      json["models"].push_back(ToJson(choice, answer));
    }
    for (const plan::Rule& rule : answer.advice->rules) json["rules"].push_back(ToJson(rule));
  }
  if (answer.cost) {
    json["kilowatt_hours_per_1000_calls"] = Known(answer.cost->kilowatt_hours);
    json["energy_usd_per_1000_calls"] = Known(answer.cost->usd_of_thousand);
    json["device_usd_per_month"] = Known(answer.cost->usd_a_month);
    json["most_calls_per_month"] = Known(answer.cost->calls_a_month);
    if (answer.calls_a_month > 0)
      json["usd_per_month"] = Known(answer.cost->usd_of_month(answer.calls_a_month));
  }
  json["apis"] = ordered_json::array();
  for (const plan::ApiPrice& price : answer.prices) {
    const double usd = price.usd_of_thousand(answer.call);
    const auto calls = answer.cost ? plan::BreakEvenCalls(*answer.cost, usd) : std::nullopt;
    json["apis"].push_back({{"id", price.id},
                            {"usd_per_1000_calls", usd},
                            {"usd_per_month", Known(usd * answer.calls_a_month / 1000)},
                            {"break_even_calls_per_month", Known(calls.value_or(0))},
                            {"source", price.source},
                            {"date", price.date}});
  }
  return json;
}

}  // namespace slm::cli
