// Compares a model with logits and greedy tokens that another implementation gave.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "engine/executor.h"
#include "kernels/table.h"
#include "support/data.h"

namespace slm::engine {

// A model on one of the kernel tables that this machine can run.
struct LogitsParam {
  std::string model, isa;
};

inline void PrintTo(const LogitsParam& param, std::ostream* out) {
  *out << param.model << " on " << param.isa;
}

inline auto LogitsParams(std::initializer_list<const char*> models) {
  std::vector<LogitsParam> params;
  for (const char* model : models)
    for (const kernels::KernelTable* table : kernels::AvailableTables())
      params.push_back({model, std::string(table->isa)});
  return ::testing::ValuesIn(params);
}

inline std::string LogitsParamName(const ::testing::TestParamInfo<LogitsParam>& test) {
  return test.param.model + "_" + test.param.isa;
}

// `model_path`: a GGUF file in float32. `truth_path`: JSON with a member per input, each {"ids",
// "logits" of the last id, "greedy" tokens that follow}; "about" is not one. The cache is float32.
// The reference sums in float32 as the other side does; the other tables quantize nothing here, but
// their exp, cos and reciprocal square root are approximations.
inline void ExpectLogits(const std::string& model_path, const std::string& truth_path,
                         const std::string& isa) {
  const float tolerance = isa == "ref" ? 1e-4f : 3e-3f;
  const auto truth = nlohmann::json::parse(testing::ReadFile(truth_path));
  Runtime runtime(2, kernels::FindTable(isa));
  const auto model = Model::Load(model_path, &runtime);
  Executor executor(model);
  int inputs = 0;
  for (const auto& [name, expected] : truth.items()) {
    if (name == "about") continue;
    ++inputs;
    std::vector<int32_t> ids = expected.at("ids");
    const std::vector<float> logits = expected.at("logits");
    // Long rope takes its factors by the context: that of the long input passes the original one,
    // that of the short input does not.
    const auto context = static_cast<int64_t>(ids.size()) + 16;
    Session session(model, {context, kernels::KvType::kF32, kernels::KvType::kF32});
    std::span<const float> got = executor.Extend(&session, ids);
    ASSERT_EQ(got.size(), logits.size()) << name;
    float worst = 0;
    for (size_t i = 0; i < logits.size(); ++i) {
      const float error = std::fabs(got[i] - logits[i]);
      if (!(error <= worst)) worst = error;  // so that a NaN stays
    }
    EXPECT_LE(worst, tolerance) << name;
    for (const int32_t next : expected.at("greedy")) {
      const auto best = std::max_element(got.begin(), got.end()) - got.begin();
      ASSERT_EQ(best, next) << name << ", position " << ids.size();
      ids.push_back(next);
      got = executor.Extend(&session, ids);
    }
  }
  EXPECT_EQ(inputs, 2);
}

}  // namespace slm::engine
