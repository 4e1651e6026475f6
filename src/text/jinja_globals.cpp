// Global functions.
#include <cstring>
#include <ctime>

#include "text/jinja.h"
#include "text/jinja_args.h"
#include "text/jinja_budget.h"
#include "text/jinja_builtins.h"
#include "text/jinja_failure.h"
#include "text/jinja_methods.h"
#include "text/jinja_operators.h"
#include "text/jinja_unicode.h"

namespace slm::text::jinja {
namespace {

constexpr Int kMaxRange = 100000;          // jinja2.sandbox.MAX_RANGE
constexpr size_t kMaxTimeBytes = 1 << 16;  // of one strftime_now

Value RangeFunction(const RenderOptions&, const Value&, Args& args) {
  const Bound bound("range", args, {"start", "stop", "step"}, 1);
  // Bounds of 64 bits, so that no arithmetic on a range can overflow.
  const auto number = [&](size_t index) {
    const Int value = ToIndex(bound[index]);
    if (value != static_cast<int64_t>(value)) {
      throw Failure(FailureKind::kOverflow, "Python int too large to convert to C ssize_t");
    }
    return value;
  };
  const Int start = bound.has(1) ? number(0) : 0;
  const Int stop = bound.has(1) ? number(1) : number(0);
  const Int step = bound.has(2) ? number(2) : 1;
  if (step == 0) throw Failure(FailureKind::kValue, "range() arg 3 must not be zero");
  const Ref<Range> range = Make<Range>(start, stop, step);
  if (range->length > kMaxRange) {
    throw Failure(FailureKind::kOverflow,
                  "Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000).");
  }
  return range;
}

// dict(mapping or pairs, **named).
Ref<Dict> MakeDict(const Args& args) {
  if (args.positional.size() > 1) {
    throw Failure(FailureKind::kType, "dict expected at most 1 argument, got {}",
                  args.positional.size());
  }
  const Ref<Dict> dict = Make<Dict>();
  if (!args.positional.empty()) {
    const Value& source = args.positional[0];
    if (source.is(Type::kDict)) {
      for (const auto& [key, value] : source.as<Dict>().entries()) dict->Set(key, value);
    } else {
      const std::vector<Value> pairs = ToVector(source);
      for (size_t i = 0; i < pairs.size(); ++i) {
        if (!IsIterable(pairs[i])) {
          throw Failure(FailureKind::kType,
                        "cannot convert dictionary update sequence element #{} to a sequence", i);
        }
        const std::vector<Value> pair = ToVector(pairs[i]);
        if (pair.size() != 2) {
          throw Failure(FailureKind::kValue,
                        "dictionary update sequence element #{} has length {}; 2 is required", i,
                        pair.size());
        }
        dict->Set(pair[0], pair[1]);
      }
    }
  }
  for (const auto& [name, value] : args.named) dict->Set(Value::Text(name), value);
  return dict;
}

Value DictFunction(const RenderOptions&, const Value&, Args& args) { return MakeDict(args); }

Value FromKeys(const RenderOptions&, const Value&, Args& args) {
  const Bound bound("fromkeys", args, {"iterable", "value"}, 1);
  const Ref<Dict> dict = Make<Dict>();
  for (const Value& key : ToVector(bound[0])) dict->Set(key, bound.has(1) ? bound[1] : Value());
  return dict;
}

Value NamespaceFunction(const RenderOptions&, const Value&, Args& args) {
  const Ref<Dict> attributes = MakeDict(args);
  const Ref<Namespace> space = Make<Namespace>();
  for (const auto& [key, value] : attributes->entries()) {
    if (key.is(Type::kStr) && key.text().starts_with('_')) {
      throw Failure(FailureKind::kSecurity,
                    "Chat templates cannot store underscore-prefixed attributes on a namespace, "
                    "but got {}. Please rename the attribute.",
                    Repr(key));
    }
    space->attributes->Set(key, value);
  }
  return space;
}

Value CyclerFunction(const RenderOptions&, const Value&, Args& args) {
  if (!args.named.empty()) {
    throw Failure(FailureKind::kType, "Cycler() got an unexpected keyword argument '{}'",
                  args.named[0].first);
  }
  if (args.positional.empty()) {
    throw Failure(FailureKind::kRuntime, "at least one item has to be provided");
  }
  return Make<Cycler>(args.positional);
}

Value JoinerFunction(const RenderOptions&, const Value&, Args& args) {
  const Bound bound("Joiner", args, {"sep"});
  return Make<Joiner>(bound.has(0) ? bound[0] : Value::Text(", "));
}

Value RaiseException(const RenderOptions&, const Value&, Args& args) {
  const Bound bound("raise_exception", args, {"message"}, 1);
  throw Failure(FailureKind::kRaised, "{}", ToText(bound[0]));
}

std::tm SystemNow() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  return local;
}

// The clock has whole seconds and, like a naive datetime, no zone.
std::string WithoutFractionAndZone(std::string_view format) {
  std::string out;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      out += format[i];
      continue;
    }
    const char directive = format[++i];
    if (directive == 'f') {
      out += "000000";
    } else if (directive != 'z' && directive != 'Z') {
      out += '%';
      out += directive;
    }
  }
  return out;
}

Value StrftimeNow(const RenderOptions& options, const Value&, Args& args) {
  const Bound bound("strftime_now", args, {"format"}, 1);
  const std::string& wanted = bound.Text(0, "strftime() argument 1");
  if (wanted.find('\0') != std::string::npos) {
    throw Failure(FailureKind::kValue, "embedded null character");
  }
  std::string format = WithoutFractionAndZone(wanted);
  const std::tm now = options.now ? options.now() : SystemNow();
  format += '.';  // so that an empty result is told from one that does not fit
  std::string out(256, '\0');
  size_t size = 0;
  while ((size = std::strftime(out.data(), out.size(), format.c_str(), &now)) == 0) {
    if (out.size() >= kMaxTimeBytes) throw Failure(FailureKind::kValue, "the time is too long");
    out.resize(out.size() * 4);
  }
  return Value::Text(SanitizeUtf8(std::string_view(out).substr(0, size - 1)));
}

Value Lipsum(const RenderOptions&, const Value&, Args&) {
  throw Failure(FailureKind::kUnsupported, "lipsum is random, which is not supported");
}

constexpr NamedFunction kGlobals[] = {
    {"range", &RangeFunction},         {"dict", &DictFunction},
    {"namespace", &NamespaceFunction}, {"cycler", &CyclerFunction},
    {"joiner", &JoinerFunction},       {"raise_exception", &RaiseException},
    {"strftime_now", &StrftimeNow},    {"lipsum", &Lipsum},
};

}  // namespace

Value FindGlobal(std::string_view name) {
  const NamedFunction* found = FindByName(kGlobals, name);
  return found == nullptr ? Value::Missing()
                          : Value(Make<Function>(found->name, found->code, Value()));
}

Value FindFunctionAttribute(const Value& function, std::string_view name) {
  if (function.as<Function>().code == &DictFunction && name == "fromkeys") {
    return Make<Function>("fromkeys", &FromKeys, Value());
  }
  return Value::Missing();
}

}  // namespace slm::text::jinja
