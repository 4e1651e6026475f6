#include "model/families/families.h"

#include "base/error.h"

namespace slm::model {

std::span<const Family* const> AllFamilies() {
  static const Family* const kAll[] = {&kGemma2, &kGemma3, &kLlama, &kMistral3,
                                       &kPhi3,   &kQwen2,  &kQwen3};
  return kAll;
}

const Family& FindFamily(std::string_view arch, const std::string& path) {
  std::string names;
  for (const Family* family : AllFamilies()) {
    if (family->arch == arch) return *family;
    names += (names.empty() ? "" : ", ") + std::string(family->arch);
  }
  throw Error(Code::kBadInput, "{}: unknown architecture \"{}\"; known are {}", path, arch, names);
}

}  // namespace slm::model
