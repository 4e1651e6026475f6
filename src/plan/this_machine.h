// This machine as a device to plan for: what it is and what it can do, measured in about a second.
#pragma once

#include "plan/device.h"

namespace slm::engine {
class Runtime;
}

namespace slm::plan {

// With the threads and the kernels of `runtime`. Its memory is what this process may have, and
// usable of it what is free now; its bandwidth is not known where too little is free to measure it.
Device MeasureThisMachine(engine::Runtime* runtime);

}  // namespace slm::plan
