// What calls cost: of an API, by its prices, and on a device of one's own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "plan/device.h"
#include "plan/serving_plan.h"

namespace slm::plan {

inline constexpr double kJoulesOfKilowattHour = 3.6e6;

struct ApiPrice {
  std::string id, provider, model;
  double input = 0, output = 0;  // USD for a million tokens
  std::string source, date, confidence;
  bool is_usual = true;

  double usd_of_thousand(const Call& call) const;  // calls
};

// Those of a user's file, JSON objects in the form of catalog/api-prices.json, then the catalog's,
// which are usual ones only without a file. Throws kBadInput with file and line for a price that is
// not one of USD per million, is negative, or has no source or date. Empty `file`: none.
std::vector<ApiPrice> ApiPrices(const std::string& file);
// Those to compare with where none is named.
std::vector<ApiPrice> UsualPrices(const std::vector<ApiPrice>& prices);

// The one with this id. Throws kUsage with the nearest.
ApiPrice FindPrice(const std::vector<ApiPrice>& prices, const std::string& id);

// Of a device, one call at a time.
struct OwnCost {
  double kilowatt_hours = 0;  // of a thousand calls; 0: its watts or its speed are not known
  std::optional<double> usd_of_thousand;  // the same in USD; nothing: not known
  double usd_a_month = 0;            // of the device, over its years; 0: its price is not known
  double calls_a_month = 0;          // that it can do
  std::vector<std::string> missing;  // to know all of it, in words: "--price"

  // With so many calls; nothing: not known.
  std::optional<double> usd_of_month(double calls) const;
  double least_usd_of_month(double calls) const;  // what is known of that
};

struct OwnCostOptions {
  std::optional<double> usd_per_kilowatt_hour;
  double years = 3;  // in which the device is paid for
};

// All of it unknown where the model is too large for the device.
OwnCost CostOf(const ServingPlan& plan, const Call& call, const Device& device,
               const OwnCostOptions& options);

// From how many calls a month on the device is cheaper than an API.
struct BreakEven {
  bool is_known = false;
  double calls = 0;  // 0: it never is: its energy costs more, or it cannot do so many
};

// Not known where the price of the device, that of its energy or its speed is not.
BreakEven BreakEvenOf(const OwnCost& own, double api_usd_of_thousand);

}  // namespace slm::plan
