#include "plan/device.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/nearest_names.h"
#include "format/json_lines.h"
#include "plan/facts.h"

namespace slm::plan {
namespace {

using nlohmann::ordered_json;

constexpr const char* kFile = "devices";
constexpr double kLargeMac = 32.0 * (1 << 30);

// What computes a type fastest, tensor units before shaders.
Figure FastestOf(const ordered_json& record, std::string_view dtype, const std::string& where) {
  Figure best;
  if (!record.contains("compute")) return best;
  for (const ordered_json& unit : record.at("compute")) {
    if (unit.value("dtype", "") != dtype) continue;
    const ordered_json wrapped = {{"compute", unit}};
    const Figure figure = ReadFigure(wrapped, "compute", "operations/s", where);
    if (figure.value > best.value) best = figure;
  }
  return best;
}

// Macs are sold with several sizes: the least of them.
Figure LeastMemory(const ordered_json& record, const std::string& where) {
  if (!record.contains("memory_options")) return ReadFigure(record, "memory_bytes", "bytes", where);
  ordered_json options = record.at("memory_options");
  const std::vector<double> sizes = options.at("values").get<std::vector<double>>();
  options["value"] = *std::min_element(sizes.begin(), sizes.end());
  return ReadFigure({{"memory_options", options}}, "memory_options", "bytes", where);
}

Device FromRecord(const ordered_json& record, const std::string& where) {
  const auto text = [&](const char* name) {
    const auto at = record.find(name);
    if (at == record.end() || !at->is_string())
      throw Error(Code::kBadInput, "{}: expected \"{}\": a text", where, name);
    return at->get<std::string>();
  };
  Device device;
  device.id = text("id");
  device.name = text("name");
  device.kind = text("kind");
  device.memory = LeastMemory(record, where);
  device.usable_fraction = ReadFigure(record, "usable_fraction", "fraction", where);
  if (device.usable_fraction.value > 1)
    throw Error(Code::kBadInput, "{}: usable_fraction: expected at most 1, got {}", where,
                device.usable_fraction.value);
  if (device.usable_fraction) {
    const ordered_json& fraction = record.at("usable_fraction");
    device.usable_reason = fraction.value("reason", "");
    if (device.memory.value > kLargeMac)
      device.usable_fraction.value =
          fraction.value("value_above_32gib", device.usable_fraction.value);
  }
  device.read_bandwidth = ReadFigure(record, "bandwidth_bytes_per_second", "bytes/s", where);
  device.int8_operations = FastestOf(record, "int8", where);
  device.half_operations = FastestOf(record, "f16", where);
  // Engines put layers on cards, one of which works at a time.
  device.cards = record.value("cards", 1);
  for (Figure* sum : {&device.read_bandwidth, &device.int8_operations, &device.half_operations})
    sum->value /= device.cards;
  device.watts = ReadFigure(record, "power_measured", "W", where);
  if (!device.watts) device.watts = ReadFigure(record, "power_watts", "W", where);
  device.price = ReadFigure(record, "price_usd", "USD", where);
  for (Figure* figure :
       {&device.memory, &device.usable_fraction, &device.read_bandwidth, &device.int8_operations,
        &device.half_operations, &device.watts, &device.price})
    figure->source = DescribeSource(kFile, figure->source);
  const ordered_json& measurements = Records("measurements");
  device.is_measured =
      std::any_of(measurements.begin(), measurements.end(), [&](const ordered_json& m) {
        const std::string what = m.at("what");
        return m.at("device") == device.id && (what == "decode" || what == "prefill");
      });
  return device;
}

}  // namespace

uint64_t Device::usable_bytes() const {
  return static_cast<uint64_t>(memory.value * (usable_fraction ? usable_fraction.value : 1));
}

Device FindDevice(const std::string& id, const std::string& file) {
  const std::string wanted = UpperCase(id);
  std::optional<Device> own;
  std::vector<std::string> ids;
  if (!file.empty())
    format::ForJsonObjects(file, [&](const ordered_json& record, size_t line) {
      Device device = FromRecord(record, fmt::format("{}:{}", file, line));
      ids.push_back(device.id);
      if (UpperCase(device.id) == wanted) own = std::move(device);
    });
  if (own) return *own;
  for (const ordered_json& record : Records(kFile)) {
    ids.push_back(record.at("id"));
    if (UpperCase(ids.back()) == wanted) return FromRecord(record, "catalog/devices.json");
  }
  constexpr size_t kSuggestions = 5;
  throw Error(Code::kUsage, "--device {}: no such device; near it: {}", id,
              fmt::join(NearestNames(id, ids, kSuggestions), ", "));
}

std::vector<Device> AllDevices() {
  std::vector<Device> devices;
  for (const ordered_json& record : Records(kFile))
    devices.push_back(FromRecord(record, "catalog/devices.json"));
  return devices;
}

}  // namespace slm::plan
