// Filters on sequences and dicts.
#include <algorithm>

#include "text/jinja_args.h"
#include "text/jinja_attribute.h"
#include "text/jinja_budget.h"
#include "text/jinja_builtins.h"
#include "text/jinja_failure.h"
#include "text/jinja_operators.h"
#include "text/jinja_unicode.h"

namespace slm::text::jinja {
namespace {

Value None() { return Value(); }

Value LengthFilter(const Value& value, Args& args) {
  ExpectNoArgs("len", args);
  return Value::Integer(Length(value));
}

Value ListFilter(const Value& value, Args& args) {
  ExpectNoArgs("do_list", args);
  return Value::List(ToVector(value));
}

Value FirstFilter(const Value& value, Args& args) {
  ExpectNoArgs("do_first", args);
  Value item;
  if (Iterate(value)->Next(&item)) return item;
  return Value::Undefined("No first item, sequence was empty.");
}

// What reversed() takes: sequences, dicts and their views.
bool IsReversible(const Value& value) { return TryLength(value).has_value(); }

Value LastFilter(const Value& value, Args& args) {
  ExpectNoArgs("do_last", args);
  if (!IsReversible(value)) {
    throw Failure(FailureKind::kType, "'{}' object is not reversible", TypeName(value));
  }
  const std::vector<Value> items = ToVector(value);
  return items.empty() ? Value::Undefined("No last item, sequence was empty.") : items.back();
}

Value JoinFilter(const Value& value, Args& args) {
  const Bound bound("do_join", args, {"d", "attribute"});
  const std::string separator = bound.has(0) ? ToText(bound[0]) : "";
  const AttributePath path(bound.has(1) ? bound[1] : None());
  const Ref<Iterator> iterator = Iterate(value);
  std::string out;
  Value item;
  for (bool first = true; iterator->Next(&item); first = false) {
    if (!first) out += separator;
    out += ToText(path.Of(item));
    Budget::CheckFits(static_cast<int64_t>(out.size()), 1);
  }
  return Value::Text(std::move(out));
}

// Hands out the items of a vector once.
class VectorIterator : public Iterator {
 public:
  VectorIterator(const char* python_type, std::vector<Value> items)
      : Iterator(python_type), items_(Value::List(std::move(items))) {}

  bool Next(Value* item) override {
    Budget::Step();
    if (next_ >= items_.items().size()) return false;
    *item = items_.items()[next_++];
    return true;
  }

 private:
  const Value items_;
  size_t next_ = 0;
};

Value ReverseFilter(const Value& value, Args& args) {
  ExpectNoArgs("do_reverse", args);
  if (value.is(Type::kStr)) return GetSlice(value, None(), None(), Value::Integer(-1));
  if (!IsIterable(value)) {
    throw Failure(FailureKind::kFilterArgument, "argument must be iterable");
  }
  std::vector<Value> items = ToVector(value);
  std::reverse(items.begin(), items.end());
  // reversed() where it works, else a list.
  if (!IsReversible(value)) return Value::List(std::move(items));
  return Make<VectorIterator>(value.is(Type::kList) ? "list_reverseiterator" : "reversed",
                              std::move(items));
}

std::vector<Value> Reordered(const std::vector<Value>& items, const std::vector<size_t>& order) {
  std::vector<Value> out;
  out.reserve(items.size());
  for (size_t index : order) out.push_back(items[index]);
  return out;
}

Value SortFilter(const Value& value, Args& args) {
  const Bound bound("do_sort", args, {"reverse", "case_sensitive", "attribute"});
  // An attribute may be several, divided by commas.
  std::vector<AttributePath> paths;
  if (bound.has(2) && bound[2].is(Type::kStr)) {
    const std::string& names = bound[2].text();
    for (size_t begin = 0; begin <= names.size();) {
      const size_t end = std::min(names.find(',', begin), names.size());
      paths.emplace_back(Value::Text(names.substr(begin, end - begin)));
      begin = end + 1;
    }
  } else {
    paths.emplace_back(bound.has(2) ? bound[2] : None());
  }
  const std::vector<Value> items = ToVector(value);
  std::vector<Value> keys;
  for (const Value& item : items) {
    std::vector<Value> key;
    for (const AttributePath& path : paths) key.push_back(KeyOf(item, path, bound.Flag(1, false)));
    keys.push_back(Value::List(std::move(key)));
  }
  return Value::List(Reordered(items, SortedOrder(keys, bound.Flag(0, false))));
}

Value DictSortFilter(const Value& value, Args& args) {
  const Bound bound("do_dictsort", args, {"case_sensitive", "by", "reverse"});
  const std::string by = bound.has(1) ? ToText(bound[1]) : "key";
  if (by != "key" && by != "value") {
    throw Failure(FailureKind::kFilterArgument, "You can only sort by either \"key\" or \"value\"");
  }
  if (!value.is(Type::kDict)) {
    GetAttribute(value, "items");  // fails when undefined
    throw Failure(FailureKind::kAttribute, "'{}' object has no attribute 'items'", TypeName(value));
  }
  std::vector<Value> items;
  std::vector<Value> keys;
  for (const auto& [key, item] : value.as<Dict>().entries()) {
    items.push_back(Value::Tuple({key, item}));
    const Value& sorted = by == "key" ? key : item;
    keys.push_back(bound.Flag(0, false) ? sorted : IgnoreCase(sorted));
  }
  return Value::List(Reordered(items, SortedOrder(keys, bound.Flag(2, false))));
}

Value Extreme(const Value& value, Args& args, bool largest) {
  const Bound bound("do_min", args, {"case_sensitive", "attribute"});
  const AttributePath path(bound.has(1) ? bound[1] : None());
  const Ref<Iterator> iterator = Iterate(value);
  Value best;
  if (!iterator->Next(&best)) {
    return Value::Undefined("No aggregated item, sequence was empty.");
  }
  const bool case_sensitive = bound.Flag(0, false);
  Value best_key = KeyOf(best, path, case_sensitive);
  Value item;
  while (iterator->Next(&item)) {
    Value key = KeyOf(item, path, case_sensitive);
    if (largest ? Less(best_key, key, ">") : Less(key, best_key, "<")) {
      best = item;
      best_key = std::move(key);
    }
  }
  return best;
}

Value MinFilter(const Value& value, Args& args) { return Extreme(value, args, false); }
Value MaxFilter(const Value& value, Args& args) { return Extreme(value, args, true); }

Value SumFilter(const Value& value, Args& args) {
  const Bound bound("do_sum", args, {"attribute", "start"});
  const AttributePath path(bound.has(0) ? bound[0] : None());
  Value sum = bound.has(1) ? bound[1] : Value::Integer(0);
  if (sum.is(Type::kStr)) {
    throw Failure(FailureKind::kType, "sum() can't sum strings [use ''.join(seq) instead]");
  }
  const Ref<Iterator> iterator = Iterate(value);
  Value item;
  while (iterator->Next(&item)) sum = Apply(BinaryOp::kAdd, sum, path.Of(item));
  return sum;
}

class UniqueIterator : public Iterator {
 public:
  UniqueIterator(const Value& source, AttributePath path, bool case_sensitive)
      : Iterator("generator"),
        source_(Iterate(source)),
        path_(std::move(path)),
        case_sensitive_(case_sensitive) {}

  bool Next(Value* item) override {
    const Budget::Depth depth;
    while (source_->Next(item)) {
      const Value key = KeyOf(*item, path_, case_sensitive_);
      if (seen_->Find(key) != nullptr) continue;
      seen_->Set(key, Value());
      return true;
    }
    return false;
  }

 private:
  const Ref<Iterator> source_;
  const AttributePath path_;
  const bool case_sensitive_;
  const Ref<Dict> seen_ = Make<Dict>();
};

Value UniqueFilter(const Value& value, Args& args) {
  const Bound bound("do_unique", args, {"case_sensitive", "attribute"});
  return Make<UniqueIterator>(value, AttributePath(bound.has(1) ? bound[1] : None()),
                              bound.Flag(0, false));
}

Value BatchFilter(const Value& value, Args& args) {
  const Bound bound("do_batch", args, {"linecount", "fill_with"}, 1);
  const Int count = ToIndex(bound[0]);
  const bool fill = bound.has(1) && !bound[1].is(Type::kNone);
  std::vector<Value> out;
  std::vector<Value> batch;
  for (const Value& item : ToVector(value)) {
    if (static_cast<Int>(batch.size()) == count) {
      out.push_back(Value::List(std::move(batch)));
      batch.clear();
    }
    batch.push_back(item);
  }
  if (!batch.empty()) {
    const Int missing = count - static_cast<Int>(batch.size());
    if (fill && missing > 0) {
      Budget::CheckFits(static_cast<int64_t>(std::min(missing, Int{INT64_MAX})), sizeof(Value));
      batch.resize(static_cast<size_t>(count), bound[1]);
    }
    out.push_back(Value::List(std::move(batch)));
  }
  return Make<VectorIterator>("generator", std::move(out));
}

Value SliceFilter(const Value& value, Args& args) {
  const Bound bound("do_slice", args, {"slices", "fill_with"}, 1);
  const std::vector<Value> items = ToVector(value);
  const int64_t slices = bound.Number(0, 0);
  if (slices == 0) {
    throw Failure(FailureKind::kZeroDivision, "integer division or modulo by zero");
  }
  const bool fill = bound.has(1) && !bound[1].is(Type::kNone);
  std::vector<Value> out;
  Budget::CheckFits(slices, sizeof(Value) + sizeof(Sequence));
  const auto size = static_cast<int64_t>(items.size());
  int64_t begin = 0;
  for (int64_t i = 0; i < slices; ++i) {
    const bool has_extra = i < size % slices;
    const int64_t end = begin + size / slices + (has_extra ? 1 : 0);
    std::vector<Value> slice(items.begin() + begin, items.begin() + end);
    if (fill && !has_extra) slice.push_back(bound[1]);
    out.push_back(Value::List(std::move(slice)));
    begin = end;
  }
  return Make<VectorIterator>("generator", std::move(out));
}

Value Group(const Value& key, std::vector<Value> items) {
  const Ref<Sequence> group =
      Make<Sequence>(Type::kTuple, std::vector<Value>{key, Value::List(std::move(items))});
  group->is_group = true;
  return group;
}

Value GroupByFilter(const Value& value, Args& args) {
  const Bound bound("do_groupby", args, {"attribute", "default", "case_sensitive"}, 1);
  const AttributePath path(bound[0], bound.has(1) ? bound[1] : None());
  const bool case_sensitive = bound.Flag(2, false);
  const std::vector<Value> items = ToVector(value);
  std::vector<Value> keys;
  for (const Value& item : items) keys.push_back(KeyOf(item, path, case_sensitive));
  const std::vector<size_t> order = SortedOrder(keys, /*reverse=*/false);
  std::vector<Value> groups;
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin;
    std::vector<Value> members;
    while (end < order.size() && Equal(keys[order[end]], keys[order[begin]])) {
      members.push_back(items[order[end++]]);
    }
    if (end == begin) members.push_back(items[order[end++]]);  // NaN, equal to nothing
    // The first member's own key, not the one in lower case.
    const Value key = case_sensitive ? keys[order[begin]] : path.Of(members[0]);
    groups.push_back(Group(key, std::move(members)));
    begin = end;
  }
  return Value::List(std::move(groups));
}

Value ItemsFilter(const Value& value, Args& args) {
  ExpectNoArgs("do_items", args);
  std::vector<Value> items;
  if (!value.is(Type::kUndefined)) {
    if (!value.is(Type::kDict)) {
      throw Failure(FailureKind::kType, "Can only get item pairs from a mapping.");
    }
    for (const auto& [key, item] : value.as<Dict>().entries()) {
      items.push_back(Value::Tuple({key, item}));
    }
  }
  return Make<VectorIterator>("generator", std::move(items));
}

constexpr NamedFilter kFilters[] = {
    {"length", &LengthFilter},   {"count", &LengthFilter}, {"list", &ListFilter},
    {"first", &FirstFilter},     {"last", &LastFilter},    {"join", &JoinFilter},
    {"reverse", &ReverseFilter}, {"sort", &SortFilter},    {"dictsort", &DictSortFilter},
    {"min", &MinFilter},         {"max", &MaxFilter},      {"sum", &SumFilter},
    {"unique", &UniqueFilter},   {"batch", &BatchFilter},  {"slice", &SliceFilter},
    {"groupby", &GroupByFilter}, {"items", &ItemsFilter},
};

}  // namespace

AttributePath::AttributePath(const Value& attribute, Value default_value)
    : default_(std::move(default_value)) {
  if (attribute.is(Type::kNone)) return;
  if (!attribute.is(Type::kStr)) {
    parts_.push_back(attribute);
    return;
  }
  const std::string& path = attribute.text();
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('.', begin), path.size());
    const std::string part = path.substr(begin, end - begin);
    const bool digits = !part.empty() && std::all_of(part.begin(), part.end(),
                                                     [](char c) { return c >= '0' && c <= '9'; });
    parts_.push_back(digits ? Value::Integer(*ParseInt(part, 10)) : Value::Text(part));
    begin = end + 1;
  }
}

Value AttributePath::Of(const Value& item) const {
  Value value = item;
  for (const Value& part : parts_) {
    value = GetItem(value, part);
    if (value.is(Type::kUndefined) && !default_.is(Type::kNone)) value = default_;
  }
  return value;
}

Value IgnoreCase(const Value& value) {
  return value.is(Type::kStr) ? Value::Text(Lower(value.text())) : value;
}

Value KeyOf(const Value& item, const AttributePath& path, bool case_sensitive) {
  const Value key = path.Of(item);
  return case_sensitive ? key : IgnoreCase(key);
}

const NamedFilter* FindSequenceFilter(std::string_view name) {
  for (const NamedFilter& filter : kFilters) {
    if (filter.name == name) return &filter;
  }
  return nullptr;
}

}  // namespace slm::text::jinja
