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

// Multiply-adds of attention, of scores and of values: for each layer those of the pairs of tokens
// that `pairs` counts among n, of which a token sees at most `window`.
template <class Pairs>
double AttentionMacs(const model::Hparams& h, int64_t tokens, const Pairs& pairs) {
  const auto n = static_cast<double>(tokens);
  double sum = 0;
  for (int64_t layer = 0; layer < h.layers; ++layer)
    sum += pairs(n, h.IsWindowLayer(layer) ? static_cast<double>(h.window) : n);
  return 2 * sum * static_cast<double>(h.heads * h.head_dim);
}

double PairsOfPrompt(double n, double window) {
  return n <= window ? n * (n + 1) / 2 : window * (window + 1) / 2 + (n - window) * window;
}

double PairsOfToken(double n, double window) { return std::min(n, window); }

Efficiency FromRecord(const ordered_json& record) {
  const auto number = [&](const char* name) {
    return record.contains(name) ? record.at(name).at("value").get<double>() : 0.0;
  };
  Efficiency efficiency;
  efficiency.record = &record;
  efficiency.id = record.at("id");
  efficiency.engine = record.at("engine");
  efficiency.bandwidth_share = number("bandwidth_share");
  efficiency.seconds_per_layer = number("seconds_per_layer");
  efficiency.compute_share = number("compute_share");
  efficiency.attention_share = number("attention_share");
  if (record.contains("compute_shares"))
    for (const auto& [name, figure] : record.at("compute_shares").items())
      efficiency.compute_shares[quant::FindTypeByName(name)->type] = figure.at("value");
  const double training = number("training_share");
  efficiency.training_int16 = training;
  efficiency.training_int8 =
      record.contains("training_share_int8") ? number("training_share_int8") : training;
  efficiency.training_f32 =
      record.contains("training_share_f32") ? number("training_share_f32") : training;
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

// By the same program, on whatever backend: "llama.cpp, Vulkan" is of "llama.cpp, CUDA".
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
  if (!found) return std::nullopt;
  Efficiency efficiency = FromRecord(*found);
  if (device.efficiency.empty() && found->contains("kernels") && found->at("kernels") != isa)
    for (std::string* engine : {&efficiency.engine, &efficiency.training_engine})
      *engine += fmt::format(" (its {} kernels were not measured)", isa);
  return efficiency;
}

double PeakMacs(const Device& device, const Efficiency& efficiency) {
  return (efficiency.is_of_half ? device.half_operations : device.int8_operations).value / 2;
}

ServingSpeed SpeedOf(const engine::Model& model, const ServingLoad& load, const Call& call,
                     const Device& device, const Efficiency& efficiency) {
  const model::Hparams& h = model.hparams();
  const eval::TokenWork work = eval::WorkOf(model, device.kind == "here");
  const double bandwidth = device.read_bandwidth.value * efficiency.bandwidth_share;
  const double peak = PeakMacs(device, efficiency);
  const double of_layers = static_cast<double>(h.layers) * efficiency.seconds_per_layer;
  const auto attention = [&](int64_t tokens, const auto& pairs) {
    const double rate = peak * efficiency.attention_share;
    return rate > 0 ? AttentionMacs(h, tokens, pairs) / rate : 0;
  };
  ServingSpeed speed;
  if (bandwidth > 0) {
    const auto decode = [&](int64_t context) {
      const auto kv =
          static_cast<double>(engine::KvCache::BytesRead(h, load.k_type, load.v_type, context));
      return 1 / ((work.bytes + kv) / bandwidth + attention(context, PairsOfToken) + of_layers);
    };
    speed.decode = decode(load.context);
    speed.call_decode = decode(call.tokens_in + call.tokens_out / 2);
  }
  if (peak > 0 && efficiency.compute_share > 0) {
    const auto n = static_cast<double>(call.tokens_in);
    double computing = attention(call.tokens_in, PairsOfPrompt);
    for (const auto& [type, macs] : work.macs_of) {
      const auto own = efficiency.compute_shares.find(type);
      computing += n * macs /
                   (peak * (own != efficiency.compute_shares.end() ? own->second
                                                                   : efficiency.compute_share));
    }
    // A prompt of few tokens reads all weights, too.
    const double reading = bandwidth > 0 ? work.bytes / bandwidth : 0;
    speed.prefill = n / (std::max(computing, reading) + of_layers);
  }
  return speed;
}

bool IsMeasured(const Device& device) {
  const auto efficiency = EfficiencyFor(device, "");
  const ordered_json& measurements = Records("measurements");
  return std::any_of(measurements.begin(), measurements.end(), [&](const ordered_json& m) {
    const std::string what = m.at("what");
    return m.at("device") == device.id && (what == "decode" || what == "prefill") &&
           (!efficiency || IsOfEngine(m.at("engine"), efficiency->engine));
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
