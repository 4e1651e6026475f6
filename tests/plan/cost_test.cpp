// Costs of calls, worked out by hand.
#include "plan/cost.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "support/temp_folder.h"

namespace slm::plan {
namespace {

TEST(Cost, OfAnApiIsItsPriceForTheTokens) {
  const ApiPrice price = FindPrice(ApiPrices(""), "openai-gpt-4o-mini");
  // 1000 calls: a million tokens in at 0.15 USD, 200,000 out at 0.60 a million.
  EXPECT_DOUBLE_EQ(price.usd_of_thousand({1000, 200}), 0.15 + 0.12);
  EXPECT_THROW(FindPrice(ApiPrices(""), "openai-gpt-4o-minni"), Error);
}

TEST(Cost, OfADeviceIsItsEnergyAndItsPrice) {
  ServingPlan plan;
  plan.speed = {1000, 60, 63};
  const Call call = {1000, 64};  // one second, and one more
  Device device;
  device.watts.value = 360;
  device.price.value = 1800;
  const OwnCost cost = CostOf(plan, call, device, {0.30, 3});
  EXPECT_DOUBLE_EQ(cost.kilowatt_hours, 0.2);  // 2000 s of 360 W
  EXPECT_DOUBLE_EQ(cost.usd_of_thousand.value(), 0.06);
  EXPECT_DOUBLE_EQ(cost.usd_a_month, 50);
  EXPECT_NEAR(cost.calls_a_month, 1.315e6, 1e3);
  EXPECT_DOUBLE_EQ(cost.usd_of_month(1000).value(), 50.06);
  // A call is 0.50 cents dearer at the API: 10,000 of them pay for the device.
  EXPECT_NEAR(BreakEvenOf(cost, 5.06).calls, 10'000, 1e-6);
  EXPECT_TRUE(BreakEvenOf(cost, 0.05).is_known);  // the API is below the energy
  EXPECT_EQ(BreakEvenOf(cost, 0.05).calls, 0);
  EXPECT_EQ(BreakEvenOf(cost, 0.07).calls, 0);  // 5 million calls a month
  // Without the watts, or a price of energy, nobody knows.
  EXPECT_FALSE(BreakEvenOf(CostOf(plan, call, device, {{}, 3}), 5).is_known);
  EXPECT_EQ(CostOf(plan, call, device, {{}, 3}).missing, std::vector<std::string>{"--electricity"});
  device.watts.value = 0;
  EXPECT_FALSE(CostOf(plan, call, device, {0.30, 3}).usd_of_thousand.has_value());
  EXPECT_FALSE(BreakEvenOf(CostOf(plan, call, device, {0.30, 3}), 5).is_known);
}

TEST(Cost, PricesOfAFileAreChecked) {
  const testing::TempFolder folder;
  const auto message = [&](const std::string& line) -> std::string {
    testing::WriteFile(folder / "prices.jsonl", "\n" + line + "\n");
    try {
      ApiPrices(folder / "prices.jsonl");
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  const std::string good =
      R"({"id": "a", "provider": "b", "model": "c", "input_usd_per_million": 1, )"
      R"("output_usd_per_million": 2, "source": "s", "date": "2026-11-01"})";
  EXPECT_EQ(message(good), "");
  const auto without = [&](const std::string& part, const std::string& by = "") {
    std::string line = good;
    const size_t at = line.find(part);
    return message(line.replace(at, part.size(), by));
  };
  EXPECT_NE(without(R"(, "date": "2026-11-01")").find("prices.jsonl:2: expected \"date\""),
            std::string::npos);
  EXPECT_NE(without("output_usd_per_million", "output_usd_per_thousand")
                .find("unknown member \"output_usd_per_thousand\"; known: "),
            std::string::npos);
  EXPECT_NE(without(R"("output_usd_per_million": 2, )").find("USD for a million"),
            std::string::npos);
  EXPECT_NE(without(": 1,", ": -1,").find("expected a price, got -1"), std::string::npos);
  EXPECT_NE(without("\"id\"", R"("is_usual": "yes", "id")").find("expected true or false"),
            std::string::npos);
  EXPECT_NE(message(good + "\n" + good).find("prices.jsonl:3: a second \"a\""), std::string::npos);
  // They are what is compared with, beside what is named of the catalog's.
  EXPECT_EQ(message(good), "");
  const std::vector<ApiPrice> prices = ApiPrices(folder / "prices.jsonl");
  ASSERT_EQ(UsualPrices(prices).size(), 1u);
  EXPECT_EQ(UsualPrices(prices)[0].id, "a");
  EXPECT_EQ(FindPrice(prices, "openai-gpt-4o-mini").input, 0.15);
}

TEST(Cost, OfWhatDoesNotFitIsNotKnown) {
  ServingPlan plan;
  plan.speed = {1000, 60, 63};
  plan.memory.weights = 10;
  plan.available = 9;
  Device device;
  device.watts.value = 360;
  device.price.value = 1800;
  const OwnCost cost = CostOf(plan, {1000, 64}, device, {0.30, 3});
  EXPECT_EQ(cost.missing, std::vector<std::string>{"room for the model"});
  EXPECT_FALSE(BreakEvenOf(cost, 5).is_known);
  EXPECT_EQ(cost.usd_a_month, 0);
}

}  // namespace
}  // namespace slm::plan
