// The `attribute` parameter of filters: "a.b.0" or an index.
#pragma once

#include <optional>
#include <vector>

#include "text/jinja_value.h"

namespace slm::text::jinja {

class AttributePath {
 public:
  // None gives the item itself. With a default that is not None, undefined steps become it.
  explicit AttributePath(const Value& attribute, Value default_value = Value());

  Value Of(const Value& item) const;

 private:
  std::vector<Value> parts_;
  Value default_;
};

// Text in lower case, others as they are: how filters compare without case.
Value IgnoreCase(const Value& value);

// The key of an item: its attribute, without case unless `case_sensitive`.
Value KeyOf(const Value& item, const AttributePath& path, bool case_sensitive);

}  // namespace slm::text::jinja
