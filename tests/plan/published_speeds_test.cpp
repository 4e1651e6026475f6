// Speeds that are planned for devices against those that were published of them.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "plan/facts.h"
#include "plan/serving_plan.h"

namespace slm::plan {
namespace {

using nlohmann::ordered_json;

struct Count {
  int all = 0, near = 0;
};

// Nothing where the model, its type or the device cannot be planned.
double Planned(const ordered_json& record, engine::Runtime* runtime) {
  try {
    const ModelSize size =
        SizeOf(FindCatalogModel(record.at("model")),
               compress::FindRecipe(record.at("quantization").get<std::string>()));
    const bool is_decode = record.at("what") == "decode";
    const int64_t prompt = record.value("prompt_tokens", int64_t{512});
    const int64_t before = record.value("context", int64_t{0});
    const Device device = FindDevice(record.at("device"), "");
    if (is_decode)
      return PlanServing(size, {before + record.value("generated_tokens", int64_t{128}) / 2},
                         {prompt, 1}, device, runtime)
          .speed.decode;
    // Behind other tokens: what those and the prompt take, without what they take alone.
    const auto seconds = [&](int64_t n) {
      return static_cast<double>(n) / PlanServing(size, {n}, {n, 1}, device, runtime).speed.prefill;
    };
    const double taken = seconds(before + prompt) - (before > 0 ? seconds(before) : 0);
    return std::isfinite(taken) ? static_cast<double>(prompt) / taken : 0;
  } catch (const Error&) {
    return 0;
  }
}

TEST(PublishedSpeeds, AreMostlyWithinAThird) {
  engine::Runtime runtime(1);
  std::map<std::string, Count> counts;
  for (const ordered_json& record : Records("measurements")) {
    const std::string what = record.at("what"), engine = record.at("engine");
    if ((what != "decode" && what != "prefill") || record.value("batch", 1) != 1 ||
        !engine.starts_with("llama.cpp") || !record.contains("quantization"))
      continue;
    const double planned = Planned(record, &runtime), published = record.at("value");
    if (planned == 0) continue;
    Count& count = counts[FindDevice(record.at("device"), "").kind + " " + what];
    ++count.all;
    if (std::abs(std::log(planned / published)) < std::log(1.3))
      ++count.near;
    else
      std::fprintf(stderr, "outlier: %s: planned %.1f, published %.1f\n",
                   record.at("id").get<std::string>().c_str(), planned, published);
  }
  // What docs/plan.md says of them.
  const std::map<std::string, Count> kKnown = {
      {"board decode", {16, 16}}, {"board prefill", {11, 10}}, {"gpu decode", {96, 91}},
      {"gpu prefill", {64, 49}},  {"mac decode", {91, 66}},    {"mac prefill", {81, 63}}};
  for (const auto& [kind, known] : kKnown) {
    std::fprintf(stderr, "%s: %d of %d within 30 %%\n", kind.c_str(), counts[kind].near,
                 counts[kind].all);
    EXPECT_EQ(counts[kind].all, known.all) << kind;
    EXPECT_EQ(counts[kind].near, known.near) << kind;
  }
}

}  // namespace
}  // namespace slm::plan
