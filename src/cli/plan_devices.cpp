#include <nlohmann/json.hpp>

#include "base/progress.h"
#include "cli/plan_answer.h"
#include "cli/say.h"

namespace slm::cli {

using nlohmann::ordered_json;

void ListDevices(const std::string& file, bool is_json) {
  const std::vector<plan::Device> devices = plan::AllDevices(file);
  if (is_json) {
    ordered_json json = {{"devices", ordered_json::array()}};
    for (const plan::Device& device : devices) json["devices"].push_back(ToJson(device));
    return Say("{}\n", json.dump(2));
  }
  const auto bytes = [](const plan::Figure& figure, const char* unit) {
    return figure ? FormatBytes(static_cast<uint64_t>(figure.value)) + unit : "-";
  };
  Say("{:30} {:5} {:>9} {:>10}  {}\n", "--device", "kind", "memory", "reads", "name");
  for (const plan::Device& d : devices)
    Say("{:30} {:5} {:>9} {:>10}  {}{}\n", d.id, d.kind, bytes(d.memory, ""),
        bytes(d.read_bandwidth, "/s"), d.name, plan::IsMeasured(d) ? "" : " *");
  Say("\nOf a Mac the least memory that the catalog's source names, where one does: --memory says "
      "another. Bandwidths by\nspecification, of one card. *: no speed was published: what is "
      "planned is computed, never measured.\n");
}

}  // namespace slm::cli
