// The sums of the project's brief, reproduced or corrected; docs/plan.md has the reasons. And what
// of it stands in the catalog.
#include <gtest/gtest.h>

#include "plan/serving_plan.h"

namespace slm::plan {
namespace {

ModelSize Size(const char* id, const char* type) {
  return SizeOf(FindCatalogModel(id), compress::FindRecipe(type));
}

bool Fits(const char* id, const char* type, int64_t context, const char* device) {
  engine::Runtime runtime(1);
  return PlanServing(Size(id, type), {context}, {}, FindDevice(device, ""), &runtime).fits();
}

TEST(Brief, FourteenBillionInBf16AreMoreThan28GB) {
  // 14,659,507,200 parameters x 2 bytes = 29.3 GB; 28 is 14.0 billion x 2.
  EXPECT_NEAR(static_cast<double>(Size("phi-4", "bf16").tensor_bytes()), 29.3e9, 0.05e9);
}

TEST(Brief, WhatFitsWhere) {
  EXPECT_TRUE(Fits("phi-4", "q4_k_m", 8192, "rtx-4090"));  // 14B INT4 in 24 GB
  EXPECT_TRUE(Fits("qwen2.5-7b", "q4_k_m", 8192, "rtx-4060-ti-16gb"));
  EXPECT_TRUE(Fits("llama-3.2-3b", "bf16", 8192, "rtx-4060-ti-16gb"));
  EXPECT_TRUE(Fits("phi-4", "bf16", 8192, "rtx-4090-x2"));  // 14B bf16 in 48 GB
  EXPECT_FALSE(Fits("phi-4", "bf16", 8192, "rtx-4090"));
  EXPECT_FALSE(Fits("phi-4", "q4_k_m", 8192, "rtx-4060-ti-8gb"));
}

TEST(Brief, OneBillionInInt4IsMoreThan650MB) {
  // 1.24 billion x 4 bits are 0.62 GB; Q4_K_M has 4.5 bits and more, and 6.6 in the embedding.
  EXPECT_NEAR(static_cast<double>(Size("llama-3.2-1b", "q4_k_m").tensor_bytes()), 0.80e9, 0.01e9);
}

}  // namespace
}  // namespace slm::plan
