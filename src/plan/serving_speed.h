// How fast a model answers one request on a device: bytes over bandwidth and operations over peak,
// with the shares of both that an engine was measured to reach.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "engine/model.h"
#include "plan/device.h"
#include "plan/serving_memory.h"

namespace slm::plan {

// What one request is made of.
struct Call {
  int64_t tokens_in = 512, tokens_out = 64;
};

// Of catalog/efficiencies.json: what an engine reaches on a kind of device.
struct Efficiency {
  std::string id, engine;
  const nlohmann::ordered_json* record = nullptr;  // with sources, dates and confidence
  double bandwidth_share = 0;                      // decode: of the bandwidth
  double seconds_per_layer = 0;                    // and beside reading
  double compute_share = 0;  // prefill: of the peak of `operations`; 0: not known
  std::map<quant::Type, double> compute_shares;  // the same where the type of the weights matters
  double attention_share = 0;                    // of attention's own operations
  // Fine-tuning by its precisions, of the same peak; 0: not known.
  double training_int8 = 0, training_int16 = 0, training_f32 = 0;
  std::string training_engine;  // that reached it
  bool is_of_half = false;      // the peak is that of float16, not of int8
};

// The one that the device names or whose `devices` begin its id with the longest text; else that of
// its kind: for this machine by its kernels, or where those were not measured by others, which the
// engine's name says then. Nothing where none was measured.
std::optional<Efficiency> EfficiencyFor(const Device& device, std::string_view isa);

// The peak that shares are of, in multiply-adds a second; 0: not known.
double PeakMacs(const Device& device, const Efficiency& efficiency);

// Tokens per second; 0: not known.
struct ServingSpeed {
  double prefill = 0;      // of the call's prompt
  double decode = 0;       // behind a full context
  double call_decode = 0;  // in the middle of the call's answer
};

ServingSpeed SpeedOf(const engine::Model& model, const ServingLoad& load, const Call& call,
                     const Device& device, const Efficiency& efficiency);

// Whether the speed of a model on the device was published, by the engine of its efficiency where
// it has one.
bool IsMeasured(const Device& device);

// Which of the speeds are not known, and for want of what, in words.
std::string WhyNoSpeed(const Device& device, const ServingSpeed& speed);

}  // namespace slm::plan
