// map, select, reject, selectattr, rejectattr: lazy, like Python's generators.
#include "text/jinja_attribute.h"
#include "text/jinja_budget.h"
#include "text/jinja_builtins.h"
#include "text/jinja_failure.h"
#include "text/jinja_operators.h"

namespace slm::text::jinja {
namespace {

std::string NameArgument(const Value& value) {
  if (value.is(Type::kStr)) return value.text();
  HashValue(value);  // a TypeError for what cannot be the name of anything
  return Repr(value);
}

// Takes its arguments apart at the first item, as a generator does.
class MapIterator : public Iterator {
 public:
  MapIterator(const Value& source, Args args)
      : Iterator("generator"), source_(source), args_(std::move(args)) {}

  bool Next(Value* item) override {
    const Budget::Depth depth;
    if (!iterator_) {
      if (!IsTrue(source_)) return false;
      Prepare();
      iterator_ = Iterate(source_);
    }
    Value next;
    if (!iterator_->Next(&next)) return false;
    if (path_) {
      *item = path_->Of(next);
    } else {
      Args args = args_;
      *item = filter_->apply(next, args);
    }
    return true;
  }

 private:
  void Prepare() {
    if (args_.positional.empty() && !args_.named.empty()) {
      Value attribute = Value::Missing();
      Value otherwise;
      const std::string* unknown = nullptr;
      for (const auto& [name, value] : args_.named) {
        if (name == "attribute") {
          attribute = value;
        } else if (name == "default") {
          otherwise = value;
        } else if (unknown == nullptr) {
          unknown = &name;
        }
      }
      if (!attribute.is(Type::kMissing)) {
        if (unknown != nullptr) {
          throw Failure(FailureKind::kFilterArgument, "Unexpected keyword argument '{}'", *unknown);
        }
        path_ = std::make_unique<AttributePath>(attribute, otherwise);
        return;
      }
    }
    if (args_.positional.empty()) {
      throw Failure(FailureKind::kFilterArgument, "map requires a filter argument");
    }
    const std::string name = NameArgument(args_.positional[0]);
    args_.positional.erase(args_.positional.begin());
    filter_ = FindFilter(name);
    if (filter_ == nullptr) throw Failure(FailureKind::kRuntime, "No filter named '{}'.", name);
  }

  const Value source_;
  Args args_;
  Ref<Iterator> iterator_;
  const NamedFilter* filter_ = nullptr;
  std::unique_ptr<AttributePath> path_;
};

class SelectIterator : public Iterator {
 public:
  SelectIterator(const Value& source, Args args, bool keep, bool by_attribute)
      : Iterator("generator"),
        source_(source),
        args_(std::move(args)),
        keep_(keep),
        by_attribute_(by_attribute) {}

  bool Next(Value* item) override {
    const Budget::Depth depth;
    if (!iterator_) {
      if (!IsTrue(source_)) return false;
      Prepare();
      iterator_ = Iterate(source_);
    }
    while (iterator_->Next(item)) {
      Budget::Step();
      const Value subject = path_ ? path_->Of(*item) : *item;
      Args args = args_;
      if ((test_ == nullptr ? IsTrue(subject) : test_->holds(subject, args)) == keep_) return true;
    }
    return false;
  }

 private:
  void Prepare() {
    auto& positional = args_.positional;
    if (by_attribute_) {
      if (positional.empty()) {
        throw Failure(FailureKind::kFilterArgument, "Missing parameter for attribute name");
      }
      path_ = std::make_unique<AttributePath>(positional[0]);
      positional.erase(positional.begin());
    }
    if (positional.empty()) return;
    const std::string name = NameArgument(positional[0]);
    positional.erase(positional.begin());
    test_ = FindTest(name);
    if (test_ == nullptr) throw Failure(FailureKind::kRuntime, "No test named '{}'.", name);
  }

  const Value source_;
  Args args_;
  const bool keep_;
  const bool by_attribute_;
  Ref<Iterator> iterator_;
  const NamedTest* test_ = nullptr;
  std::unique_ptr<AttributePath> path_;
};

Value MapFilter(const Value& value, Args& args) { return Make<MapIterator>(value, args); }

Value SelectFilter(const Value& value, Args& args) {
  return Make<SelectIterator>(value, args, true, false);
}
Value RejectFilter(const Value& value, Args& args) {
  return Make<SelectIterator>(value, args, false, false);
}
Value SelectAttributeFilter(const Value& value, Args& args) {
  return Make<SelectIterator>(value, args, true, true);
}
Value RejectAttributeFilter(const Value& value, Args& args) {
  return Make<SelectIterator>(value, args, false, true);
}

constexpr NamedFilter kFilters[] = {
    {"map", &MapFilter},
    {"select", &SelectFilter},
    {"reject", &RejectFilter},
    {"selectattr", &SelectAttributeFilter},
    {"rejectattr", &RejectAttributeFilter},
};

}  // namespace

const NamedFilter* FindSelectionFilter(std::string_view name) {
  for (const NamedFilter& filter : kFilters) {
    if (filter.name == name) return &filter;
  }
  return nullptr;
}

}  // namespace slm::text::jinja
