// The tables of filters, tests and global functions.
#pragma once

#include <string_view>

#include "text/jinja_value.h"

namespace slm::text::jinja {

struct NamedFilter {
  std::string_view name;
  Value (*apply)(const Value& subject, Args& args);
};

struct NamedTest {
  std::string_view name;
  bool (*holds)(const Value& subject, Args& args);
};

// Null when there is none of that name.
const NamedFilter* FindFilter(std::string_view name);
const NamedTest* FindTest(std::string_view name);

// range, dict, namespace, cycler, joiner, raise_exception, strftime_now; Missing when there is
// none.
Value FindGlobal(std::string_view name);

// The filters by file; each returns null for names of others.
const NamedFilter* FindTextFilter(std::string_view name);
const NamedFilter* FindSequenceFilter(std::string_view name);
const NamedFilter* FindSelectionFilter(std::string_view name);
const NamedFilter* FindValueFilter(std::string_view name);

}  // namespace slm::text::jinja
