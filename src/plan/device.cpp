#include "plan/device.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/nearest_names.h"
#include "base/printable.h"
#include "format/json_lines.h"
#include "plan/facts.h"

namespace slm::plan {
namespace {

using nlohmann::ordered_json;

constexpr const char* kFile = "devices";
constexpr double kLargeMemory = 32.0 * (1 << 30);

// What computes each type fastest, tensor units before shaders.
void ReadCompute(const ordered_json& record, const std::string& where, Device* device) {
  if (!record.contains("compute")) return;
  for (const ordered_json& unit : record.at("compute")) {
    const Figure figure = ReadFigure({{"compute", unit}}, "compute", "operations/s", where);
    const std::string dtype = unit.value("dtype", "");
    if (dtype != "int8" && dtype != "f16" && dtype != "f32")
      throw Error(Code::kBadInput, "{}: compute: expected \"dtype\": int8, f16 or f32, got \"{}\"",
                  where, dtype);
    if (dtype == "f32") continue;  // nothing is planned by it
    Figure* best = dtype == "int8" ? &device->int8_operations : &device->half_operations;
    if (figure.value > best->value) *best = figure;
  }
}

// Engines put layers on cards, one of which works at a time.
int ReadCards(const ordered_json& record, const std::string& where) {
  const auto at = record.find("cards");
  if (at == record.end()) return 1;
  constexpr int64_t kMost = 64;
  if (!at->is_number_integer() || *at < 1 || *at > kMost)
    throw Error(Code::kBadInput, "{}: cards: expected 1 to {}, got {}", where, kMost, at->dump());
  return *at;
}

// Macs are sold with several sizes: the least that the record names.
Figure LeastMemory(const ordered_json& record, const std::string& where) {
  if (!record.contains("memory_options")) return ReadFigure(record, "memory_bytes", "bytes", where);
  ordered_json options = record.at("memory_options");
  const std::vector<double> sizes = options.at("values").get<std::vector<double>>();
  if (sizes.empty()) throw Error(Code::kBadInput, "{}: memory_options: no values", where);
  options["value"] = *std::min_element(sizes.begin(), sizes.end());
  return ReadFigure({{"memory_options", options}}, "memory_options", "bytes", where);
}

const std::set<std::string> kMembers = {"id",
                                        "name",
                                        "kind",
                                        "efficiency",
                                        "usable_fraction",
                                        "compute",
                                        "memory_bytes",
                                        "memory_options",
                                        "power_watts",
                                        "power_measured",
                                        "price_usd",
                                        "cards",
                                        "released",
                                        "chip",
                                        "os",
                                        "notes",
                                        "brief",
                                        "bandwidth_measured",
                                        "bandwidth_bytes_per_second"};

Device FromRecord(const ordered_json& record, const std::string& where) {
  CheckMembers(record, kMembers, where);
  const auto text = [&](const char* name) {
    const auto at = record.find(name);
    if (at == record.end() || !at->is_string())
      throw Error(Code::kBadInput, "{}: expected \"{}\": a text", where, name);
    return Printable(at->get<std::string>());
  };
  Device device;
  device.id = text("id");
  device.name = text("name");
  device.kind = text("kind");
  static const std::set<std::string> kKinds = {"gpu", "mac", "phone", "board", "cpu"};
  if (!kKinds.contains(device.kind))
    throw Error(Code::kBadInput, "{}: kind: expected one of {}, got \"{}\"", where,
                fmt::join(kKinds, ", "), device.kind);
  if (record.contains("efficiency")) {
    device.efficiency = text("efficiency");
    try {
      FindRecord("efficiencies", device.efficiency);
    } catch (const Error& error) {
      throw Error(Code::kBadInput, "{}: efficiency: {}", where, error.what());
    }
  }
  device.memory = LeastMemory(record, where);
  device.usable_fraction = ReadFigure(record, "usable_fraction", "fraction", where);
  if (device.usable_fraction.value > 1)
    throw Error(Code::kBadInput, "{}: usable_fraction: expected at most 1, got {}", where,
                device.usable_fraction.value);
  if (device.usable_fraction) {
    const ordered_json& fraction = record.at("usable_fraction");
    device.usable_reason = Printable(fraction.value("reason", ""));
    device.large_fraction = fraction.value("value_above_32gib", 0.0);
    if (!(device.large_fraction >= 0 && device.large_fraction <= 1))
      throw Error(Code::kBadInput,
                  "{}: usable_fraction: value_above_32gib: expected at most 1, got {}", where,
                  device.large_fraction);
  }
  device.read_bandwidth = ReadFigure(record, "bandwidth_bytes_per_second", "bytes/s", where);
  ReadFigure(record, "bandwidth_measured", "bytes/s", where);  // checked; nothing is planned by it
  ReadCompute(record, where, &device);
  device.watts = ReadFigure(record, "power_measured", "W", where);
  if (!device.watts) device.watts = ReadFigure(record, "power_watts", "W", where);
  device.cards = ReadCards(record, where);
  for (Figure* sum :
       {&device.read_bandwidth, &device.int8_operations, &device.half_operations, &device.watts})
    sum->value /= device.cards;
  device.price = ReadFigure(record, "price_usd", "USD", where);
  for (Figure* figure :
       {&device.memory, &device.usable_fraction, &device.read_bandwidth, &device.int8_operations,
        &device.half_operations, &device.watts, &device.price})
    figure->source = DescribeSource(kFile, figure->source);
  return device;
}

// What is no text, number or list where there should be one, too.
Device ReadDevice(const ordered_json& record, const std::string& where) {
  try {
    return FromRecord(record, where);
  } catch (const ordered_json::exception& error) {
    throw Error(Code::kBadInput, "{}: {}", where, error.what());
  }
}

}  // namespace

std::optional<uint64_t> Device::usable_bytes() const {
  if (free_bytes) return free_bytes;
  if (!memory) return std::nullopt;
  const double fraction = memory.value > kLargeMemory && large_fraction > 0 ? large_fraction
                          : usable_fraction                                 ? usable_fraction.value
                                                                            : 1;
  return static_cast<uint64_t>(memory.value * fraction);
}

std::vector<Device> AllDevices(const std::string& file) {
  std::vector<Device> devices;
  std::set<std::string> ids;
  if (!file.empty())
    format::ForJsonObjects(file, [&](const ordered_json& record, size_t line) {
      devices.push_back(ReadDevice(record, fmt::format("{}:{}", file, line)));
      if (!ids.insert(UpperCase(devices.back().id)).second)
        throw Error(Code::kBadInput, "{}:{}: a second \"{}\"", file, line, devices.back().id);
    });
  for (const ordered_json& record : Records(kFile))
    devices.push_back(ReadDevice(record, "catalog/devices.json"));
  return devices;
}

Device FindDevice(const std::string& id, const std::string& file) {
  // "RTX 4090" is rtx-4090.
  const auto plain = [](const std::string& name) {
    std::string text = UpperCase(name);
    std::replace(text.begin(), text.end(), ' ', '-');
    return text;
  };
  const std::string wanted = plain(id);
  std::vector<std::string> ids;
  for (const Device& device : AllDevices(file)) {
    if (plain(device.id) == wanted || plain(device.name) == wanted) return device;
    ids.push_back(device.id);
  }
  constexpr size_t kSuggestions = 5;
  std::vector<std::string> near;
  for (const std::string& known : ids)
    if (plain(known).find(wanted) != std::string::npos) near.push_back(known);
  if (near.empty()) near = NearestNames(id, ids, kSuggestions);
  if (near.size() > kSuggestions) near.resize(kSuggestions);
  throw Error(Code::kUsage, "--device {}: no such device; near it: {}", id, fmt::join(near, ", "));
}

}  // namespace slm::plan
