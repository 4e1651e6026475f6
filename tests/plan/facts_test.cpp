// The files of catalog/ as the program has them.
#include "plan/facts.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "plan/device.h"
#include "plan/local_cards.h"
#include "plan/serving_speed.h"
#include "support/data.h"
#include "support/temp_folder.h"

namespace slm::plan {
namespace {

using nlohmann::ordered_json;

std::string MessageOf(const auto& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

// Every object that says where it is from says it by a key of its file, with a date.
void CheckOrigins(const std::string& file, const std::string& id, const ordered_json& value) {
  if (!value.is_structured()) return;
  if (value.is_object() && value.contains("source")) {
    const std::string key = value.at("source");
    EXPECT_TRUE(Facts(file).at("sources").contains(key)) << file << ", " << id << ": " << key;
  }
  if (value.is_object() && (value.contains("value") || value.contains("benchmark"))) {
    EXPECT_TRUE(value.contains("source") && value.contains("date") && value.contains("confidence"))
        << file << ", " << id << ": " << value.dump();
  }
  for (const ordered_json& each : value) CheckOrigins(file, id, each);
}

TEST(Facts, HaveAnOriginAndNamesOfTheirOwn) {
  for (const FactsFile& file : FactsFiles()) {
    std::set<std::string> ids;
    for (const ordered_json& record : Records(file.name)) {
      const std::string id = record.at("id");
      EXPECT_TRUE(ids.insert(id).second) << id;
      CheckOrigins(std::string(file.name), id, record);
    }
    EXPECT_EQ(ids.size(), Facts(file.name).at("count").get<size_t>()) << file.name;
  }
}

TEST(Facts, NameEachOther) {
  for (const ordered_json& record : Records("measurements")) {
    FindRecord("models", record.at("model"));
    FindRecord("devices", record.at("device"));
    EXPECT_TRUE(record.contains("source") && record.contains("date")) << record.at("id");
    EXPECT_GT(record.at("value").get<double>(), 0) << record.at("id");
  }
  for (const ordered_json& record : Records("api-prices"))
    EXPECT_GE(record.at("input_usd_per_million").get<double>(), 0) << record.at("id");
}

TEST(Facts, AreFoundByTheirIds) {
  EXPECT_EQ(FindRecord("models", "PHI-4").at("id"), "phi-4");
  const std::string message = MessageOf([] { FindRecord("models", "lama-3.2-1b"); });
  EXPECT_NE(message.find("llama-3.2-1b"), std::string::npos) << message;
}

TEST(Devices, AllHaveTheirUnits) {
  const std::vector<Device> devices = AllDevices();
  EXPECT_GT(devices.size(), 100u);
  const Device pi = FindDevice("Raspberry-Pi-5-8GB", "");
  EXPECT_EQ(pi.memory.value, 8.0 * (1 << 30));
  EXPECT_EQ(pi.read_bandwidth.value, 17e9);
  EXPECT_LT(pi.usable_bytes(), 8ull << 30);
  EXPECT_EQ(pi.half_operations.value, 307e9);
  const Device card = FindDevice("rtx-4090", "");
  EXPECT_EQ(card.half_operations.value, 165.2e12);  // of tensor units
  EXPECT_NE(MessageOf([] { FindDevice("rtx-4091", ""); }).find("rtx-4090"), std::string::npos);
  EXPECT_EQ(FindDevice("RTX 4090", "").id, "rtx-4090");
  // Of which there are several.
  EXPECT_NE(MessageOf([] { FindDevice("RTX 4060 Ti", ""); }).find("rtx-4060-ti-16gb"),
            std::string::npos);
}

TEST(Devices, OfAFileComeFirst) {
  const testing::TempFolder folder;
  const std::string path = folder / "devices.jsonl";
  const auto write = [&](const std::string& memory) {
    testing::WriteFile(path,
                       R"({"id": "My box", "name": "O", "kind": "cpu"})"
                       "\n"
                       R"({"id": "RTX-4090", "name": "Mine", "kind": "gpu", "memory_bytes": )" +
                           memory + "}\n");
  };
  write(R"({"value": 5e9, "unit": "bytes", "source": "me", "date": "2026-11"})");
  EXPECT_EQ(FindDevice("rtx-4090", path).name, "Mine");
  EXPECT_EQ(FindDevice("rtx-4090", path).memory.value, 5e9);
  EXPECT_EQ(FindDevice("rtx-4080", path).kind, "gpu");
  EXPECT_EQ(FindDevice("my box", path).name, "O");
  const auto says = [&](const char* memory, const std::string& words) {
    write(memory);
    const std::string message = MessageOf([&] { FindDevice("rtx-4090", path); });
    EXPECT_NE(message.find(path + ":2: memory_bytes: " + words), std::string::npos) << message;
  };
  says(R"({"value": 5, "unit": "GB", "source": "me", "date": "2026-11"})", "expected \"unit\"");
  says(R"({"value": 16, "unit": "bytes", "source": "me", "date": "2026-11"})",
       "16 bytes are too few");
  says(R"({"value": 5e9, "unit": "bytes", "source": "me", "date": "2027-13-45"})",
       "expected a \"date\"");
  says(R"({"value": 5e9, "unit": "bytes", "source": "me"})", "expected a \"date\"");
  says(R"({"value": -5, "unit": "bytes", "source": "me", "date": "2026-11"})",
       "-5 bytes are too few");
  says(R"({"value": 1e30, "unit": "bytes", "source": "me", "date": "2026-11"})",
       "expected a value");
  says(R"({"value": 5e9, "unit": "bytes", "source": "me", "date": "soon"})", "expected a \"date\"");
  says("5", "expected {");
}

TEST(Devices, WhatIsWrongIsSaidWithItsLine) {
  const testing::TempFolder folder;
  const std::string path = folder / "devices.jsonl";
  const auto says = [&](const std::string& members, const std::string& words) {
    testing::WriteFile(path, R"({"id": "x", "name": "X", )" + members + "}\n");
    const std::string message = MessageOf([&] { FindDevice("x", path); });
    EXPECT_EQ(message.find(path + ":1: "), 0) << message;
    EXPECT_NE(message.find(words), std::string::npos) << message;
  };
  says(R"("kind": "toaster")", "expected one of board, cpu, gpu");
  says(R"("kind": "here")", "expected one of board, cpu, gpu");
  for (const char* cards : {"0", "\"2\"", "1.9", "true", "4294967297", "1e300"})
    says(fmt::format(R"("kind": "gpu", "cards": {})", cards), "cards: expected 1 to 64");
  says(R"("kind": "gpu", "memory": {})", "unknown member \"memory\"");
  says(R"("kind": "gpu", "compute": 5)", "compute: expected {");
  const auto compute = [](const char* type, const char* unit) {
    return fmt::format(
        R"("kind": "gpu", "compute": [{{"dtype": "{}", "value": 1e12, "unit": "{}", )"
        R"("source": "s", "date": "2026"}}])",
        type, unit);
  };
  says(compute("fp16", "operations/s"), "got \"fp16\"");
  says(compute("f32", "TFLOPS"), "expected \"unit\": \"operations/s\"");
  says(R"("kind": "gpu", "bandwidth_measured": {"value": -5, "unit": "GB"})", "bandwidth_measured");
  says(R"("kind": "gpu", "memory_options": {"values": [], "unit": "bytes"})", "no values");
  says(R"("kind": "gpu", "efficiency": "cudda")", "near it: cuda");
}

TEST(Devices, OfAFileHaveTheirOwnIds) {
  const testing::TempFolder folder;
  const std::string path = folder / "devices.jsonl";
  const std::string line =
      R"({"id": "x", "name": "a\u001b[2J", "kind": "gpu", "price_usd": {"value": 1, )"
      R"("unit": "USD", "source": "b\u001b[2J", "date": "2026"}})";
  testing::WriteFile(path, line + "\n");
  EXPECT_EQ(FindDevice("x", path).name, "a\\x1b[2J");  // nothing there steers a terminal
  EXPECT_EQ(FindDevice("x", path).price.source, "b\\x1b[2J");
  testing::WriteFile(path, line + "\n" + line + "\n");
  EXPECT_EQ(MessageOf([&] { AllDevices(path); }), path + ":2: a second \"x\"");
}

TEST(Devices, AreMeasuredWhereAnySpeedWasPublished) {
  EXPECT_TRUE(IsMeasured(FindDevice("rtx-4090", "")));
  EXPECT_TRUE(IsMeasured(FindDevice("gb10-cpu", "")));  // though none is planned
  EXPECT_FALSE(IsMeasured(FindDevice("iphone-15", "")));
  EXPECT_EQ(FindDevice("GeForce RTX 4060 Ti 16 GB", "").id, "rtx-4060-ti-16gb");
}

TEST(Devices, AreThoseThatDriversName) {
  const auto device = [](const char* name, double gb) {
    return DeviceOf({name, static_cast<uint64_t>(gb * (1 << 30)), 0});
  };
  EXPECT_EQ(device("NVIDIA GeForce RTX 4060 Ti", 15.99), "rtx-4060-ti-16gb");
  EXPECT_EQ(device("NVIDIA GeForce RTX 4060 Ti", 7.99), "rtx-4060-ti-8gb");
  EXPECT_EQ(device("NVIDIA A100-SXM4-80GB", 79.2), "a100-sxm-80gb");
  EXPECT_EQ(device("NVIDIA A100 80GB PCIe", 79.2), "a100-pcie-80gb");
  EXPECT_EQ(device("NVIDIA L4", 22.5), "l4");
  EXPECT_EQ(device("Tesla T4", 14.7), "t4");
  EXPECT_EQ(device("NVIDIA GeForce RTX 4090 D", 23.6), "");
  EXPECT_EQ(device("NVIDIA GeForce RTX 4090", 48), "");  // rebuilt with other memory
}

}  // namespace
}  // namespace slm::plan
