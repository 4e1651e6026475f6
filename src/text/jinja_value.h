// Values of the template language: Python's built-in types as far as templates can make them.
//
// A Value is a number or a counted reference to an Object. Counting is atomic because constants of
// a Template are shared by threads; everything else belongs to one render. Sequences and dicts are
// immutable once they are reachable from a template, so cycles can run through namespaces and
// frames only, and the interpreter empties those at the end. Destruction is iterative.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

namespace slm::text::jinja {

// Python's integers up to 127 bits, beyond which arithmetic fails. 64 bits would not hold the
// unsigned numbers of JSON schemas.
__extension__ typedef __int128 Int;

enum class Type : uint8_t {
  kMissing,  // an unset variable or argument; never seen by a template
  kNone,
  kBool,
  kInt,
  kFloat,
  // Objects from here on.
  kUndefined,
  kStr,
  kList,
  kTuple,
  kDict,
  kRange,
  kDictView,
  kIterator,
  kFunction,
  kNamespace,
  kMacro,
  kLoop,
  kCycler,
  kJoiner,
  kFrame,  // interpreter's variables; never seen by a template
};

class Object {
 public:
  explicit Object(Type type) : type_(type) {}
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  virtual ~Object();

  Type type() const { return type_; }
  void Retain() { references_.fetch_add(1, std::memory_order_relaxed); }
  void Release() {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) Destroy(this);
  }

 protected:
  // Accounts for `bytes` more of memory held by this object.
  void Charge(size_t bytes);

 private:
  static void Destroy(Object* object);

  std::atomic<uint32_t> references_{0};
  Type type_;
  size_t charged_ = 0;
};

// A counted pointer.
template <class T>
class Ref {
 public:
  Ref() = default;
  explicit Ref(T* object) : object_(object) {
    if (object_ != nullptr) object_->Retain();
  }
  Ref(const Ref& other) : Ref(other.object_) {}
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  template <class Derived, class = std::enable_if_t<std::is_base_of_v<T, Derived>>>
  Ref(const Ref<Derived>& other)  // NOLINT: as pointers convert
      : Ref(other.get()) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() {
    if (object_ != nullptr) object_->Release();
  }

  T* get() const { return object_; }
  T* operator->() const { return object_; }
  T& operator*() const { return *object_; }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  T* object_ = nullptr;
};

template <class T, class... Args>
Ref<T> Make(Args&&... args) {
  // The object may throw from its constructor when memory is spent, so it is owned only afterwards.
  return Ref<T>(new T(std::forward<Args>(args)...));
}

class Value {
 public:
  Value() : type_(Type::kNone), payload_{.integer = 0} {}
  Value(const Value& other);
  Value(Value&& other) noexcept;
  Value& operator=(Value other) noexcept;
  ~Value() {
    if (is_object()) payload_.object->Release();
  }
  template <class T>
  Value(const Ref<T>& object)  // NOLINT: every object is a value
      : type_(object->type()), payload_{.object = object.get()} {
    object->Retain();
  }

  static Value Missing();
  static Value Bool(bool value);
  static Value Integer(Int value);
  static Value Float(double value);
  static Value Text(std::string utf8);    // a str
  static Value Markup(std::string utf8);  // a markupsafe.Markup
  static Value Undefined(std::string message, bool unsafe = false);
  static Value List(std::vector<Value> items);
  static Value Tuple(std::vector<Value> items);

  Type type() const { return type_; }
  bool is(Type type) const { return type_ == type; }
  bool is_object() const { return type_ >= Type::kUndefined; }
  bool is_number() const {
    return type_ == Type::kBool || type_ == Type::kInt || type_ == Type::kFloat;
  }
  bool is_integral() const { return type_ == Type::kBool || type_ == Type::kInt; }

  // The caller has checked the type.
  bool as_bool() const { return payload_.boolean; }
  Int as_int() const { return is(Type::kBool) ? as_bool() : payload_.integer; }  // also of a bool
  double as_float() const { return payload_.real; }
  template <class T>
  T& as() const {
    return static_cast<T&>(*payload_.object);
  }
  const std::string& text() const;          // of a str
  const std::vector<Value>& items() const;  // of a list or tuple
  Object* object() const { return payload_.object; }

 private:
  union Payload {
    bool boolean;
    Int integer;
    double real;
    Object* object;
  };

  Type type_;
  Payload payload_;
};

struct Str : Object {
  Str(std::string utf8, bool is_markup);

  bool ascii() const { return length == text.size(); }

  const std::string text;
  const size_t length;  // in code points
  const bool markup;
};

struct UndefinedValue : Object {
  UndefinedValue(std::string message_, bool unsafe_);

  const std::string message;
  const bool unsafe;  // a SecurityError rather than an UndefinedError when it is used
};

// A list or a tuple.
struct Sequence : Object {
  Sequence(Type type, std::vector<Value> items_);

  const std::vector<Value> items;
  const int nesting;      // levels of containers
  bool is_group = false;  // a tuple of groupby, which has attributes `grouper` and `list`
};

// Keys in order of insertion. Keys compare as Python's do: 1, 1.0 and True are one key.
struct Dict : Object {
  Dict() : Object(Type::kDict) {}

  const Value* Find(const Value& key) const;  // throws TypeError for unhashable keys
  const Value* Find(std::string_view key) const;
  void Set(const Value& key, Value value);
  const std::vector<std::pair<Value, Value>>& entries() const { return entries_; }
  int nesting() const { return nesting_; }
  void Clear();

 private:
  template <class Matches>
  ptrdiff_t Locate(size_t hash, Matches matches) const;

  std::vector<std::pair<Value, Value>> entries_;
  std::unordered_multimap<size_t, size_t> index_;  // hash to entry; empty while entries are few
  int nesting_ = 1;
};

struct Range : Object {
  Range(Int start_, Int stop_, Int step_);
  Int At(Int index) const { return start + index * step; }

  const Int start;
  const Int stop;
  const Int step;
  const Int length;
};

enum class DictViewKind : uint8_t { kKeys, kValues, kItems };

struct DictView : Object {
  DictView(Ref<Dict> dict_, DictViewKind kind_)
      : Object(Type::kDictView), dict(std::move(dict_)), kind(kind_) {}

  const Ref<Dict> dict;
  const DictViewKind kind;
};

// What can be iterated once: generators, reversed(...).
class Iterator : public Object {
 public:
  explicit Iterator(const char* python_type) : Object(Type::kIterator), python_type_(python_type) {}

  // Puts the next item into *item, or returns false at the end and ever after.
  virtual bool Next(Value* item) = 0;
  const char* python_type() const { return python_type_; }

 private:
  const char* python_type_;
};

// An object that a template can change, hence a possible part of a cycle. Live ones are listed, so
// that the interpreter can empty them when the render ends.
class Mutable : public Object {
 public:
  explicit Mutable(Type type);
  ~Mutable() override;
  virtual void Clear() = 0;

  // Empties all that live on this thread and were made since `mark`.
  static uint64_t Mark();
  static void ClearSince(uint64_t mark);

 private:
  Mutable* previous_;
  Mutable* next_;
  uint64_t serial_;
};

struct Namespace : Mutable {
  Namespace() : Mutable(Type::kNamespace), attributes(Make<Dict>()) {}
  void Clear() override { attributes->Clear(); }

  const Ref<Dict> attributes;
};

struct Cycler : Object {
  explicit Cycler(std::vector<Value> items_) : Object(Type::kCycler), items(std::move(items_)) {}

  const std::vector<Value> items;
  size_t position = 0;
};

struct Joiner : Object {
  explicit Joiner(Value separator_) : Object(Type::kJoiner), separator(std::move(separator_)) {}

  const Value separator;
  bool used = false;
};

// Arguments of a call.
struct Args {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

struct RenderOptions;

using NativeFunction = Value (*)(const RenderOptions& options, const Value& self, Args& args);

// A global function or a bound method.
struct Function : Object {
  Function(std::string_view name_, NativeFunction code_, Value self_)
      : Object(Type::kFunction), name(name_), code(code_), self(std::move(self_)) {}

  const std::string_view name;  // of a table with static life
  const NativeFunction code;
  const Value self;
};

// Throws TypeError for lists, dicts and what contains them.
size_t HashValue(const Value& value);

// Checks that a container around `item` stays within the nesting limit and returns its nesting.
int NestingAround(const Value& item);

}  // namespace slm::text::jinja
