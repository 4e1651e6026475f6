#include "plan/this_machine.h"

#include <fmt/format.h>

#include "base/cpu.h"
#include "engine/model.h"
#include "eval/machine_probe.h"
#include "kernels/table.h"

namespace slm::plan {

Device MeasureThisMachine(engine::Runtime* runtime) {
  const MemoryInfo memory = GetMemoryInfo();
  eval::MachineProbe probe(runtime);
  const eval::MachinePeak peak = probe.Measure();
  const auto here = [](double value) { return Figure{value, "this machine", "now", "measured"}; };
  Device device;
  device.id = "here";
  device.name = fmt::format("{}, {} of {} cores, {} kernels", CpuName(), runtime->threads(),
                            AllowedCores(), runtime->kernels().isa);
  device.kind = "here";
  device.memory = here(static_cast<double>(memory.total_bytes));
  device.free_bytes = memory.available_bytes;
  device.usable_reason = "what is free now";
  if (probe.is_past_the_caches()) device.read_bandwidth = here(peak.read_bytes_per_second);
  device.int8_operations = here(2 * peak.int8_macs_per_second);
  return device;
}

}  // namespace slm::plan
