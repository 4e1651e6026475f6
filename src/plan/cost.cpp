#include "plan/cost.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/nearest_names.h"
#include "base/printable.h"
#include "format/json_lines.h"
#include "plan/facts.h"
#include "plan/figure.h"

namespace slm::plan {
namespace {

using nlohmann::ordered_json;

constexpr double kSecondsOfMonth = 365.25 / 12 * 24 * 3600;

const std::set<std::string> kMembers = {"id",
                                        "provider",
                                        "model",
                                        "catalog_model",
                                        "input_usd_per_million",
                                        "output_usd_per_million",
                                        "cached_input_usd_per_million",
                                        "batch_input_usd_per_million",
                                        "batch_output_usd_per_million",
                                        "source",
                                        "date",
                                        "confidence",
                                        "is_usual",
                                        "note",
                                        "ends",
                                        "ended",
                                        "disagrees",
                                        "cross_check",
                                        "publisher_page"};

ApiPrice FromRecord(const ordered_json& record, bool is_usual, const std::string& where) {
  CheckMembers(record, kMembers, where);
  const auto fail = [&](const std::string& what) {
    throw Error(Code::kBadInput, "{}: {}", where, what);
  };
  const auto text = [&](const char* name) {
    const auto at = record.find(name);
    if (at == record.end() || !at->is_string() || at->get<std::string>().empty())
      fail(fmt::format("expected \"{}\": a text", name));
    return Printable(at->get<std::string>());
  };
  const auto date = [&] {
    const std::string value = record.contains("date") ? text("date") : "";
    if (!IsDate(value)) fail(R"(expected "date": "2026-11" or "2026-11-28")");
    return value;
  };
  const auto flag = [&](const char* name, bool otherwise) {
    if (!record.contains(name)) return otherwise;
    if (!record.at(name).is_boolean()) fail(fmt::format("{}: expected true or false", name));
    return record.at(name).get<bool>();
  };
  const auto price = [&](const char* name) {
    const auto at = record.find(name);
    if (at == record.end() || !at->is_number())
      fail(fmt::format("expected \"{}\": USD for a million tokens", name));
    const double value = *at;
    constexpr double kMost = 1e9;
    if (!(value >= 0 && value <= kMost))
      fail(fmt::format("{}: expected a price, got {}", name, at->dump()));
    return value;
  };
  return {text("id"),
          text("provider"),
          text("model"),
          price("input_usd_per_million"),
          price("output_usd_per_million"),
          DescribeSource("api-prices", text("source")),
          date(),
          record.contains("confidence") ? text("confidence") : "",
          flag("is_usual", is_usual)};
}

}  // namespace

double ApiPrice::usd_of_thousand(const Call& call) const {
  return (static_cast<double>(call.tokens_in) * input +
          static_cast<double>(call.tokens_out) * output) /
         1000;
}

std::vector<ApiPrice> ApiPrices(const std::string& file) {
  std::vector<ApiPrice> prices;
  std::set<std::string> ids;
  if (!file.empty())
    format::ForJsonObjects(file, [&](const ordered_json& record, size_t line) {
      prices.push_back(FromRecord(record, true, fmt::format("{}:{}", file, line)));
      if (!ids.insert(UpperCase(prices.back().id)).second)
        throw Error(Code::kBadInput, "{}:{}: a second \"{}\"", file, line, prices.back().id);
    });
  for (const ordered_json& record : Records("api-prices")) {
    ApiPrice price = FromRecord(record, false, "catalog/api-prices.json");
    if (!file.empty()) price.is_usual = false;
    prices.push_back(std::move(price));
  }
  return prices;
}

std::vector<ApiPrice> UsualPrices(const std::vector<ApiPrice>& prices) {
  std::vector<ApiPrice> usual;
  std::copy_if(prices.begin(), prices.end(), std::back_inserter(usual),
               [](const ApiPrice& price) { return price.is_usual; });
  return usual;
}

ApiPrice FindPrice(const std::vector<ApiPrice>& prices, const std::string& id) {
  std::vector<std::string> ids;
  for (const ApiPrice& price : prices) {
    if (UpperCase(price.id) == UpperCase(id)) return price;
    ids.push_back(price.id);
  }
  constexpr size_t kSuggestions = 5;
  throw Error(Code::kUsage, "--api {}: no such price; near it: {}", id,
              fmt::join(NearestNames(id, ids, kSuggestions), ", "));
}

OwnCost CostOf(const ServingPlan& plan, const Call& call, const Device& device,
               const OwnCostOptions& options) {
  OwnCost cost;
  if (plan.is_too_large()) {
    cost.missing = {"room for the model"};
    return cost;
  }
  const double seconds = plan.call_seconds(call);
  if (seconds > 0) cost.calls_a_month = kSecondsOfMonth / seconds;
  if (seconds > 0 && device.watts) {
    cost.kilowatt_hours = 1000 * seconds * device.watts.value / kJoulesOfKilowattHour;
    if (options.usd_per_kilowatt_hour)
      cost.usd_of_thousand = cost.kilowatt_hours * *options.usd_per_kilowatt_hour;
  }
  if (device.price) cost.usd_a_month = device.price.value / (12 * options.years);
  if (seconds == 0) cost.missing.emplace_back("the speed");
  if (!device.price) cost.missing.emplace_back("--price");
  if (!device.watts) cost.missing.emplace_back("--watts");
  if (!options.usd_per_kilowatt_hour) cost.missing.emplace_back("--electricity");
  return cost;
}

double OwnCost::least_usd_of_month(double calls) const {
  return usd_a_month + calls / 1000 * usd_of_thousand.value_or(0);
}

std::optional<double> OwnCost::usd_of_month(double calls) const {
  if (usd_a_month == 0 || !usd_of_thousand) return std::nullopt;
  return least_usd_of_month(calls);
}

BreakEven BreakEvenOf(const OwnCost& own, double api_usd_of_thousand) {
  if (own.usd_a_month == 0 || !own.usd_of_thousand || own.calls_a_month == 0) return {};
  const double gain = (api_usd_of_thousand - *own.usd_of_thousand) / 1000;  // of a call
  if (gain <= 0) return {true, 0};
  const double calls = own.usd_a_month / gain;
  return {true, calls <= own.calls_a_month ? calls : 0};
}

}  // namespace slm::plan
