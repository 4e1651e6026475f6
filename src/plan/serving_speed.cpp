#include "plan/serving_speed.h"

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
int Nearness(const ordered_json& record, const Device& device, std::string_view isa) {
  if (record.at("kind") != device.kind) return 0;
  if (record.contains("kernels")) return record.at("kernels") == isa ? 2 : 1;
  if (!record.contains("devices")) return 1;
  const ordered_json& devices = record.at("devices");  // how their names begin
  const auto is_of = [&](const ordered_json& id) {
    return device.id.starts_with(id.get<std::string>());
  };
  return std::any_of(devices.begin(), devices.end(), is_of) ? 2 : 0;
}

}  // namespace

std::optional<Efficiency> EfficiencyFor(const Device& device, std::string_view isa) {
  const ordered_json* found = nullptr;
  int nearest = 0;
  for (const ordered_json& record : Records("efficiencies"))
    if (const int nearness = Nearness(record, device, isa); nearness > nearest) {
      found = &record;
      nearest = nearness;
    }
  return found ? std::optional(FromRecord(*found)) : std::nullopt;
}

double PeakMacs(const Device& device, const Efficiency& efficiency) {
  return (efficiency.is_of_half ? device.half_operations : device.int8_operations).value / 2;
}

ServingSpeed SpeedOf(const engine::Model& model, const ServingLoad& load, int64_t prompt,
                     const Device& device, const Efficiency& efficiency) {
  const model::Hparams& h = model.hparams();
  const eval::TokenWork work = eval::WorkOf(model, device.kind == "here");
  ServingSpeed speed;
  if (device.read_bandwidth && efficiency.bandwidth_share > 0) {
    const auto kv =
        static_cast<double>(engine::KvCache::BytesRead(h, load.k_type, load.v_type, load.context));
    speed.decode = 1 / ((work.bytes / efficiency.bandwidth_share + kv / efficiency.kv_share) /
                            device.read_bandwidth.value +
                        static_cast<double>(h.layers) * efficiency.seconds_per_layer);
  }
  const double macs_per_second = PeakMacs(device, efficiency);
  if (macs_per_second > 0 && efficiency.compute_share > 0) {
    const auto n = static_cast<double>(prompt);
    speed.prefill = n / (n * work.macs / (macs_per_second * efficiency.compute_share) +
                         AttentionMacs(h, prompt) / (macs_per_second * efficiency.attention_share));
  }
  return speed;
}

std::string WhyNoSpeed(const Device& device) {
  return device.kind == "here" ? "no efficiency was fitted for this machine; slm bench measures it"
                               : "nobody measured such a device";
}

}  // namespace slm::plan
