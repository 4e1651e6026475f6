// What Python's operators and protocols do with values. Errors are Failures with Python's kind and,
// where templates show it, Python's message.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja_value.h"

namespace slm::text::jinja {

std::string_view TypeName(const Value& value);  // of type(value).__name__
bool IsTrue(const Value& value);
bool Equal(const Value& a, const Value& b);
// `is`: the same object; equal small values count as the same, as CPython caches them.
bool Same(const Value& a, const Value& b);
// a < b, or TypeError. `op` names the operator in the error.
bool Less(const Value& a, const Value& b, const char* op = "<");

enum class BinaryOp : uint8_t { kAdd, kSub, kMul, kDiv, kFloorDiv, kMod, kPow };
Value Apply(BinaryOp op, const Value& a, const Value& b);
Value Negate(const Value& value);
Value Plus(const Value& value);

bool Contains(const Value& container, const Value& item);
Int Length(const Value& value);
// len() where there is one, no error otherwise.
std::optional<Int> TryLength(const Value& value);

// Throws TypeError for what is not iterable. Pitfall: a generator is its own iterator.
Ref<Iterator> Iterate(const Value& value);
std::vector<Value> ToVector(const Value& iterable);
bool IsIterable(const Value& value);

// The sandbox's environment.getattr, environment.getitem and obj[a:b:c].
Value GetAttribute(const Value& object, std::string_view name);
Value GetItem(const Value& object, const Value& key);
Value GetSlice(const Value& object, const Value& start, const Value& stop, const Value& step);

std::string ToText(const Value& value);  // str(value)
std::string Repr(const Value& value);
void AppendRepr(std::string* out, const Value& value);
std::string FloatRepr(double value);
std::string IntText(Int value);
// repr() of text without Markup: quotes and escapes.
void AppendQuoted(std::string* out, std::string_view text);

// json.dumps.
struct JsonStyle {
  bool ensure_ascii = false;
  bool has_indent = false;
  std::string indent;
  std::string item_separator = ", ";
  std::string key_separator = ": ";
  bool sort_keys = false;
};
std::string ToJson(const Value& value, const JsonStyle& style);

// Text as it is, others by ToText. soft_str keeps Markup.
Value SoftText(const Value& value);
// HTML-escapes; Markup stays as it is.
std::string Escape(const Value& value);

// An integer argument (int or bool), or TypeError.
Int ToIndex(const Value& value);
// The same, clamped into 64 bits.
int64_t ToInt64(const Value& value);
double ToDouble(const Value& value);  // of a number

// int("..") and float(".."); nothing when malformed.
std::optional<Int> ParseInt(std::string_view text, int base);
std::optional<double> ParseFloat(std::string_view text);
Int FloatToInt(double value);  // truncates; throws OverflowError, ValueError

// Checked arithmetic of Int; throws OverflowError.
Int CheckedAdd(Int a, Int b);
Int CheckedMul(Int a, Int b);

// printf-style: text % args. str.format.
std::string FormatPercent(const Value& format, const Value& args);
std::string FormatBraces(const Value& format, const Args& args);

// A bound method, or Missing. Names that change the object are unsafe: Undefined.
Value FindMethod(const Value& object, std::string_view name);

// Stable, safe with inconsistent orders. `keys` are compared by Less.
std::vector<size_t> SortedOrder(const std::vector<Value>& keys, bool reverse);

}  // namespace slm::text::jinja
