// Binds the arguments of a call to the parameters of a built-in function.
#pragma once

#include <initializer_list>
#include <string_view>
#include <vector>

#include "text/jinja_value.h"

namespace slm::text::jinja {

class Bound {
 public:
  // `names` are the parameters in order; the first `required` have no default. Throws TypeError for
  // missing, surplus, unknown and doubled arguments.
  Bound(std::string_view function, const Args& args, std::initializer_list<std::string_view> names,
        size_t required = 0);

  bool has(size_t index) const { return !values_[index].is(Type::kMissing); }
  const Value& operator[](size_t index) const { return values_[index]; }

  // The argument as a type, or the default when it is absent. TypeError when it is something else.
  bool Flag(size_t index, bool otherwise) const;          // by truth
  int64_t Number(size_t index, int64_t otherwise) const;  // clamped to 64 bits
  // None counts as absent.
  int64_t NumberOrNone(size_t index, int64_t otherwise) const;
  // Must be a str; `what` names the parameter in the error.
  const std::string& Text(size_t index, std::string_view what) const;

 private:
  std::vector<Value> values_;
};

// Fails when there is any argument.
void ExpectNoArgs(std::string_view function, const Args& args);

struct NamedFunction {
  std::string_view name;
  NativeFunction code;
};

template <size_t N>
const NamedFunction* FindByName(const NamedFunction (&table)[N], std::string_view name) {
  for (const NamedFunction& entry : table) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

}  // namespace slm::text::jinja
