#include "text/jinja_value.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "text/jinja_budget.h"
#include "text/jinja_failure.h"
#include "text/jinja_operators.h"
#include "text/jinja_unicode.h"

namespace slm::text::jinja {
namespace {

constexpr int kMaxNesting = 200;
constexpr size_t kIndexFrom = 8;  // entries of a dict from which on hashing pays

// Objects whose count fell to zero while another one was being destroyed on this thread.
struct Graveyard {
  std::vector<Object*> waiting;
  bool digging = false;
};
thread_local Graveyard graveyard;

struct LiveMutables {
  Mutable* newest = nullptr;
  uint64_t serial = 0;
};
thread_local LiveMutables live_mutables;

size_t HashText(std::string_view text) {
  Budget::StepBytes(text.size());
  return std::hash<std::string_view>()(text);
}

}  // namespace

Object::~Object() { Budget::Return(charged_); }

void Object::Charge(size_t bytes) { charged_ += Budget::Take(bytes); }

void Object::Destroy(Object* object) {
  graveyard.waiting.push_back(object);
  if (graveyard.digging) return;
  graveyard.digging = true;
  while (!graveyard.waiting.empty()) {
    Object* next = graveyard.waiting.back();
    graveyard.waiting.pop_back();
    delete next;
  }
  graveyard.digging = false;
}

Value::Value(const Value& other) : type_(other.type_), payload_(other.payload_) {
  if (is_object()) payload_.object->Retain();
}

Value::Value(Value&& other) noexcept
    : type_(std::exchange(other.type_, Type::kNone)), payload_(other.payload_) {}

Value& Value::operator=(Value other) noexcept {
  std::swap(type_, other.type_);
  std::swap(payload_, other.payload_);
  return *this;
}

Value Value::Missing() {
  Value value;
  value.type_ = Type::kMissing;
  return value;
}

Value Value::Bool(bool value) {
  Value result;
  result.type_ = Type::kBool;
  result.payload_.boolean = value;
  return result;
}

Value Value::Integer(Int value) {
  Value result;
  result.type_ = Type::kInt;
  result.payload_.integer = value;
  return result;
}

Value Value::Float(double value) {
  Value result;
  result.type_ = Type::kFloat;
  result.payload_.real = value;
  return result;
}

Value Value::Text(std::string utf8) { return Make<Str>(std::move(utf8), false); }
Value Value::Markup(std::string utf8) { return Make<Str>(std::move(utf8), true); }

Value Value::Undefined(std::string message, bool unsafe) {
  return Make<UndefinedValue>(std::move(message), unsafe);
}

Value Value::List(std::vector<Value> items) {
  return Make<Sequence>(Type::kList, std::move(items));
}

Value Value::Tuple(std::vector<Value> items) {
  return Make<Sequence>(Type::kTuple, std::move(items));
}

const std::string& Value::text() const { return as<Str>().text; }
const std::vector<Value>& Value::items() const { return as<Sequence>().items; }

Str::Str(std::string utf8, bool is_markup)
    : Object(Type::kStr), text(std::move(utf8)), length(CountCodePoints(text)), markup(is_markup) {
  Charge(sizeof(Str) + text.size());
}

UndefinedValue::UndefinedValue(std::string message_, bool unsafe_)
    : Object(Type::kUndefined), message(std::move(message_)), unsafe(unsafe_) {
  Charge(sizeof(UndefinedValue) + message.size());
}

int NestingAround(const Value& item) {
  int inner = 0;
  if (item.is(Type::kList) || item.is(Type::kTuple)) inner = item.as<Sequence>().nesting;
  if (item.is(Type::kDict)) inner = item.as<Dict>().nesting();
  if (inner >= kMaxNesting) {
    throw Failure(FailureKind::kLimit, "containers are nested deeper than {}", kMaxNesting);
  }
  return inner + 1;
}

namespace {

int NestingAround(const std::vector<Value>& items) {
  int nesting = 1;
  for (const Value& item : items) nesting = std::max(nesting, jinja::NestingAround(item));
  return nesting;
}

}  // namespace

Sequence::Sequence(Type type, std::vector<Value> items_)
    : Object(type), items(std::move(items_)), nesting(NestingAround(items)) {
  Charge(sizeof(Sequence) + items.size() * sizeof(Value));
}

template <class Matches>
ptrdiff_t Dict::Locate(size_t hash, Matches matches) const {
  if (index_.empty()) {
    for (size_t i = 0; i < entries_.size(); ++i) {
      if (matches(entries_[i].first)) return static_cast<ptrdiff_t>(i);
    }
    return -1;
  }
  const auto [begin, end] = index_.equal_range(hash);
  for (auto it = begin; it != end; ++it) {
    Budget::Step();
    if (matches(entries_[it->second].first)) return static_cast<ptrdiff_t>(it->second);
  }
  return -1;
}

const Value* Dict::Find(const Value& key) const {
  const ptrdiff_t found =
      Locate(HashValue(key), [&](const Value& other) { return Equal(key, other); });
  return found < 0 ? nullptr : &entries_[static_cast<size_t>(found)].second;
}

const Value* Dict::Find(std::string_view key) const {
  const size_t hash = index_.empty() ? 0 : HashText(key);
  const ptrdiff_t found =
      Locate(hash, [&](const Value& other) { return other.is(Type::kStr) && other.text() == key; });
  return found < 0 ? nullptr : &entries_[static_cast<size_t>(found)].second;
}

void Dict::Set(const Value& key, Value value) {
  nesting_ = std::max(nesting_, NestingAround(value));
  nesting_ = std::max(nesting_, NestingAround(key));
  const size_t hash = HashValue(key);
  const ptrdiff_t found = Locate(hash, [&](const Value& other) { return Equal(key, other); });
  if (found >= 0) {
    entries_[static_cast<size_t>(found)].second = std::move(value);
    return;
  }
  Charge(2 * sizeof(Value) + 4 * sizeof(size_t));
  entries_.emplace_back(key, std::move(value));
  if (entries_.size() == kIndexFrom) {
    for (size_t i = 0; i < kIndexFrom; ++i) index_.emplace(HashValue(entries_[i].first), i);
  } else if (entries_.size() > kIndexFrom) {
    index_.emplace(hash, entries_.size() - 1);
  }
}

void Dict::Clear() {
  index_.clear();
  // Moved out first: the destructors of the values may come back here.
  const auto dying = std::move(entries_);
  entries_.clear();
}

Range::Range(Int start_, Int stop_, Int step_)
    : Object(Type::kRange),
      start(start_),
      stop(stop_),
      step(step_),
      length(step > 0 ? (stop > start ? (stop - start - 1) / step + 1 : 0)
                      : (start > stop ? (start - stop - 1) / -step + 1 : 0)) {}

Mutable::Mutable(Type type)
    : Object(type),
      previous_(nullptr),
      next_(live_mutables.newest),
      serial_(live_mutables.serial++) {
  if (next_ != nullptr) next_->previous_ = this;
  live_mutables.newest = this;
}

Mutable::~Mutable() {
  if (previous_ != nullptr) {
    previous_->next_ = next_;
  } else {
    live_mutables.newest = next_;
  }
  if (next_ != nullptr) next_->previous_ = previous_;
}

uint64_t Mutable::Mark() { return live_mutables.serial; }

void Mutable::ClearSince(uint64_t mark) {
  std::vector<Ref<Mutable>> live;  // keeps them alive while their neighbours go
  for (Mutable* it = live_mutables.newest; it != nullptr && it->serial_ >= mark; it = it->next_) {
    live.emplace_back(it);
  }
  for (const Ref<Mutable>& it : live) it->Clear();
}

size_t HashValue(const Value& value) {
  Budget::Step();
  switch (value.type()) {
    case Type::kBool:
    case Type::kInt: {
      const Int number = value.as_int();
      const auto narrow = static_cast<int64_t>(number);
      // A number that a double holds must hash like that double.
      return number == narrow && std::abs(static_cast<double>(narrow)) < 9e15
                 ? std::hash<double>()(static_cast<double>(narrow))
                 : std::hash<double>()(static_cast<double>(number));
    }
    case Type::kFloat:
      return std::hash<double>()(value.as_float());
    case Type::kStr:
      return HashText(value.text());
    case Type::kTuple: {
      size_t hash = 0x345678;
      for (const Value& item : value.items()) hash = hash * 1000003 ^ HashValue(item);
      return hash;
    }
    case Type::kUndefined:
    case Type::kNone:
      return static_cast<size_t>(value.type());
    case Type::kList:
    case Type::kDict:
    case Type::kDictView:
      throw Failure(FailureKind::kType, "unhashable type: '{}'", TypeName(value));
    case Type::kRange: {
      const auto& range = value.as<Range>();
      return static_cast<size_t>(range.length);
    }
    default:
      return std::hash<const void*>()(value.object());
  }
}

}  // namespace slm::text::jinja
