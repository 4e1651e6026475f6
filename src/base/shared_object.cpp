#include "base/shared_object.h"

#include <dlfcn.h>

#include "base/error.h"

namespace slm {

void* LoadSymbol(const std::string& path, const char* name) {
  void* object = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
  void* symbol = object ? dlsym(object, name) : nullptr;
  if (!symbol) throw Error(Code::kUnsupported, "{}", dlerror());
  return symbol;
}

}  // namespace slm
