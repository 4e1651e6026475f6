// Memory and speed of serving by shapes alone; docs/plan.md works the sums out by hand.
#include "plan/serving_plan.h"

#include <gtest/gtest.h>

#include <numeric>

#include "engine/kv_cache.h"
#include "plan/advice.h"
#include "plan/shape_model.h"

namespace slm::plan {
namespace {

using kernels::KvType;

ModelSize Size(const char* id, const char* type = "q4_k_m") {
  return SizeOf(FindCatalogModel(id), compress::FindRecipe(type));
}

TEST(ServingPlan, CachesAreWhatTheConfigurationsGive) {
  struct Known {
    const char* id;
    int64_t context;
    KvType type;
    uint64_t bytes;
  };
  // Layers x tokens x heads of keys x head x 2, keys and values, x 2 bytes; q8_0: 34 bytes of 32.
  for (const auto& [id, context, type, bytes] :
       {Known{"llama-3.2-1b", 8192, KvType::kF16, 16ull * 8192 * 8 * 64 * 2 * 2},
        Known{"llama-3.2-1b", 8192, KvType::kQ8_0, 16ull * 8192 * 8 * 64 * 2 * 34 / 32},
        Known{"llama-3.2-3b", 8192, KvType::kF16, 28ull * 8192 * 8 * 128 * 2 * 2},
        Known{"qwen2.5-0.5b", 8192, KvType::kF16, 24ull * 8192 * 2 * 64 * 2 * 2},
        Known{"qwen2.5-7b", 8192, KvType::kF16, 28ull * 8192 * 4 * 128 * 2 * 2},
        Known{"phi-4", 2048, KvType::kF16, 40ull * 2048 * 10 * 128 * 2 * 2},
        Known{"phi-4-mini", 8192, KvType::kF32, 32ull * 8192 * 8 * 128 * 2 * 4},
        // Within the window of 512 all layers are alike.
        Known{"gemma-3-1b", 512, KvType::kF16, 26ull * 512 * 1 * 256 * 2 * 2},
        // Beyond it 22 of 26 layers keep no more than that.
        Known{"gemma-3-1b", 8192, KvType::kF16, (4ull * 8192 + 22 * 512) * 1 * 256 * 2 * 2}}) {
    engine::Runtime runtime(1);
    const ShapeModel shape(Size(id), &runtime);
    EXPECT_EQ(MemoryElsewhere(shape.model(), {context, 1, type, type}).kv, bytes) << id;
    EXPECT_EQ(MemoryElsewhere(shape.model(), {context, 3, type, type}).kv, 3 * bytes) << id;
  }
}

TEST(ServingPlan, WeightsAreAllOfThem) {
  engine::Runtime runtime(1);
  for (const char* id : {"llama-3.2-1b", "qwen2.5-7b", "phi-4-mini", "gemma-3-4b"}) {
    const ModelSize size = Size(id, "f16");
    const ShapeModel shape(size, &runtime);
    EXPECT_EQ(MemoryElsewhere(shape.model(), {512}).weights, size.tensor_bytes()) << id;
    // As panels, all of them but a table of its own for the embedding.
    const auto share = static_cast<double>(MemoryHere(shape.model(), {512}).weights) /
                       static_cast<double>(size.tensor_bytes());
    EXPECT_LT(share, 1.02) << id;
    EXPECT_GT(share, 0.85) << id;
  }
}

TEST(ServingPlan, SaysWhatIsMissing) {
  engine::Runtime runtime(1);
  const Device phone = FindDevice("iphone-12", "");
  const ServingPlan small = PlanServing(Size("llama-3.2-1b"), {2048}, {}, phone, &runtime);
  EXPECT_TRUE(small.fits());
  const ServingPlan large = PlanServing(Size("phi-4"), {2048}, {}, phone, &runtime);
  EXPECT_FALSE(large.fits());
  EXPECT_GT(large.memory.total(), large.available.value());
}

TEST(ServingPlan, SpeedIsBytesOverBandwidthAndOperationsOverPeak) {
  engine::Runtime runtime(1);
  const ShapeModel shape(Size("llama-3.2-1b", "f16"), &runtime);
  Device device;
  device.kind = "gpu";
  device.read_bandwidth.value = 1e12;
  device.half_operations.value = 1e14;
  Efficiency efficiency;
  efficiency.bandwidth_share = 0.5;
  efficiency.seconds_per_layer = 1e-4;
  efficiency.compute_share = 0.25;
  efficiency.attention_share = 0.125;
  efficiency.is_of_half = true;
  const ServingSpeed speed = SpeedOf(*shape.model(), {8192}, {512, 64}, device, efficiency);
  // A token reads every weight, 2 bytes each, and all keys and values, which 32 heads of 64
  // multiply, too.
  const double weights = 2 * 1'235'746'816.0, kv = 268'435'456.0;
  const auto decode = [&](double context) {
    return 1 /
           ((weights + kv * context / 8192) / 0.5e12 + 2 * 16 * context * 2048 / 6.25e12 + 16e-4);
  };
  EXPECT_NEAR(speed.decode, decode(8192), 0.002 * speed.decode);  // pages have heads
  // A prompt multiplies by all but the output; each pair of tokens twice by 32 heads of 64.
  const double macs = 512 * (1'235'746'816.0 - 128'256.0 * 2048);
  const double attention = 2 * 16 * 512 * 513 / 2.0 * 2048;
  EXPECT_NEAR(speed.prefill, 512 / (macs / 12.5e12 + attention / 6.25e12 + 16e-4),
              0.001 * speed.prefill);
  EXPECT_NEAR(speed.call_decode, decode(544), 0.002 * speed.call_decode);
  // Weights of a type that is slower to multiply with.
  Efficiency slower = efficiency;
  slower.compute_shares[quant::Type::kF16] = 0.125;
  EXPECT_NEAR(SpeedOf(*shape.model(), {8192}, {512, 64}, device, slower).prefill,
              512 / (macs / 6.25e12 + attention / 6.25e12 + 16e-4), 0.001 * speed.prefill);
  // One token takes as long as any other.
  const ServingSpeed one = SpeedOf(*shape.model(), {8192}, {1, 1}, device, efficiency);
  EXPECT_NEAR(one.prefill, one.call_decode, 0.002 * one.prefill);
  EXPECT_EQ(SpeedOf(*shape.model(), {8192}, {512, 64}, Device{}, efficiency).decode, 0);
}

TEST(ServingPlan, APartOfACallMayBeTooMuch) {
  ServingPlan plan;
  plan.speed.call_decode = 2;
  EXPECT_EQ(plan.call_seconds({512, 64}), 0);  // its prompt is not known
  EXPECT_EQ(plan.least_call_seconds({512, 64}), 31.5);
  Wish wish;
  wish.call_seconds = 30;
  EXPECT_EQ(Judge(wish, {512, 64}, Device{}, plan).problems.size(), 1);
  wish.call_seconds = 40;
  EXPECT_TRUE(Judge(wish, {512, 64}, Device{}, plan).problems.empty());
}

TEST(ServingPlan, EfficienciesAreOfTheDeviceThenOfItsKind) {
  const auto id = [](const char* device) {
    const auto found = EfficiencyFor(FindDevice(device, ""), "");
    return found ? found->id : "";
  };
  EXPECT_EQ(id("rtx-4090"), "cuda");
  EXPECT_EQ(id("a100-sxm-80gb"), "cuda-server");
  EXPECT_EQ(id("raspberry-pi-5-8gb"), "board");
  EXPECT_EQ(id("jetson-orin-nano-8gb"), "jetson");
  Device own;
  own.id = "my-box";
  own.kind = "gpu";
  EXPECT_FALSE(EfficiencyFor(own, "").has_value());  // of whatever maker
  own.efficiency = "cuda";
  EXPECT_EQ(EfficiencyFor(own, "").value().id, "cuda");
  // This machine's are those of its kernels; where none were measured, others', which is said.
  Device here;
  here.kind = "here";
  const std::string engine = EfficiencyFor(here, "avx2").value().engine;
  EXPECT_EQ(engine.find("not measured"), std::string::npos) << engine;
  const std::string other = EfficiencyFor(here, "neon").value().engine;
  EXPECT_EQ(other, engine + " (its neon kernels were not measured)");
  own.efficiency = "slm-avx2";
  EXPECT_EQ(EfficiencyFor(own, "neon").value().engine, engine);
}

}  // namespace
}  // namespace slm::plan
