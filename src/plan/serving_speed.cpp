#include "plan/serving_speed.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/kv_cache.h"
#include "eval/token_work.h"
#include "plan/facts.h"

namespace slm::plan {
namespace {

using nlohmann::ordered_json;

// Multiply-adds of attention for a prompt of so many tokens: of scores and of values, of each pair
// that a layer sees.
double AttentionMacs(const model::Hparams& h, int64_t prompt) {
  const auto pairs = [](double n, double window) {
    return n <= window ? n * (n + 1) / 2 : window * (window + 1) / 2 + (n - window) * window;
  };
  const auto n = static_cast<double>(prompt);
  double sum = 0;
  for (int64_t layer = 0; layer < h.layers; ++layer)
    sum += pairs(n, h.IsWindowLayer(layer) ? static_cast<double>(h.window) : n);
  return 2 * sum * static_cast<double>(h.heads * h.head_dim);
}

Efficiency FromRecord(const ordered_json& record) {
  const auto number = [&](const char* name) {
    return record.contains(name) ? record.at(name).at("value").get<double>() : 0.0;
  };
  Efficiency efficiency;
  efficiency.record = &record;
  efficiency.id = record.at("id");
  efficiency.engine = record.at("engine");
  efficiency.bandwidth_share = number("bandwidth_share");
  efficiency.kv_share =
      record.contains("kv_share") ? number("kv_share") : efficiency.bandwidth_share;
  efficiency.seconds_per_layer = number("seconds_per_layer");
  efficiency.compute_share = number("compute_share");
  efficiency.attention_share = number("attention_share");
  efficiency.training_share = number("training_share");
  efficiency.training_engine = record.value("training_engine", efficiency.engine);
  efficiency.is_of_half = record.value("peak", "int8") == "f16";
  return efficiency;
}

// How near a record is to a device; 0: it is of others.
size_t Nearness(const ordered_json& record, const Device& device, std::string_view isa) {
  if (!device.efficiency.empty()) return record.at("id") == device.efficiency ? 1 : 0;
  if (record.at("kind") != device.kind) return 0;
  if (record.contains("kernels")) return record.at("kernels") == isa ? 2 : 1;
  if (!record.contains("devices")) return 1;
  size_t longest = 0;
  for (const std::string beginning : record.at("devices"))
    if (device.id.starts_with(beginning)) longest = std::max(longest, 1 + beginning.size());
  return longest;
}

// The program and its backend: "llama.cpp, CUDA, flash attention" is "llama.cpp, CUDA".
bool IsOfEngine(const std::string& measured, const std::string& engine) {
  const auto program = [](const std::string& text) { return text.substr(0, text.find(',')); };
  return program(measured).starts_with(program(engine));
}

}  // namespace

std::optional<Efficiency> EfficiencyFor(const Device& device, std::string_view isa) {
  const ordered_json* found = nullptr;
  size_t nearest = 0;
  for (const ordered_json& record : Records("efficiencies"))
    if (const size_t nearness = Nearness(record, device, isa); nearness > nearest) {
      found = &record;
      nearest = nearness;
    }
  return found ? std::optional(FromRecord(*found)) : std::nullopt;
}

double PeakMacs(const Device& device, const Efficiency& efficiency) {
  return (efficiency.is_of_half ? device.half_operations : device.int8_operations).value / 2;
}

ServingSpeed SpeedOf(const engine::Model& model, const ServingLoad& load, const Call& call,
                     const Device& device, const Efficiency& efficiency) {
  const model::Hparams& h = model.hparams();
  const eval::TokenWork work = eval::WorkOf(model, device.kind == "here");
  const double bandwidth = device.read_bandwidth.value * efficiency.bandwidth_share;
  const double of_layers = static_cast<double>(h.layers) * efficiency.seconds_per_layer;
  ServingSpeed speed;
  if (bandwidth > 0) {
    const auto decode = [&](int64_t context) {
      const auto kv =
          static_cast<double>(engine::KvCache::BytesRead(h, load.k_type, load.v_type, context));
      return 1 / (work.bytes / bandwidth +
                  kv / (device.read_bandwidth.value * efficiency.kv_share) + of_layers);
    };
    speed.decode = decode(load.context);
    speed.call_decode = decode(call.tokens_in + call.tokens_out / 2);
  }
  const double peak = PeakMacs(device, efficiency);
  if (peak > 0 && efficiency.compute_share > 0) {
    const auto n = static_cast<double>(call.tokens_in);
    const double computing = n * work.macs / (peak * efficiency.compute_share) +
                             AttentionMacs(h, call.tokens_in) / (peak * efficiency.attention_share);
    // A prompt of few tokens reads all weights, too.
    const double reading = bandwidth > 0 ? work.bytes / bandwidth : 0;
    speed.prefill = n / (std::max(computing, reading) + of_layers);
  }
  return speed;
}

bool IsMeasured(const Device& device) {
  const auto efficiency = EfficiencyFor(device, "");
  if (!efficiency) return false;
  const ordered_json& measurements = Records("measurements");
  return std::any_of(measurements.begin(), measurements.end(), [&](const ordered_json& m) {
    const std::string what = m.at("what");
    return m.at("device") == device.id && (what == "decode" || what == "prefill") &&
           IsOfEngine(m.at("engine"), efficiency->engine);
  });
}

std::string WhyNoSpeed(const Device& device, const ServingSpeed& speed) {
  const auto [of, needed] = speed.decode > 0    ? std::pair("prompts", "peak")
                            : speed.prefill > 0 ? std::pair("answers", "bandwidth")
                                                : std::pair("calls", "bandwidth and peak");
  return fmt::format("the speed of {}, for want of the device's {} or of an engine's share of it{}",
                     of, needed, device.kind == "here" ? "; slm bench measures it" : "");
}

}  // namespace slm::plan
