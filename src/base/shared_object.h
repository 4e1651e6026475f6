// Shared objects that are loaded while the program runs.
#pragma once

#include <string>

namespace slm {

// The address of a symbol of the shared object at `path`, which stays loaded and whose symbols
// what it loads in turn can see. Throws kUnsupported with the loader's reason.
void* LoadSymbol(const std::string& path, const char* name);

}  // namespace slm
