// The syntax tree of a template. The parser builds it, the binder (jinja_binder.h) fills in where
// variables live, after which it is immutable.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja_operators.h"
#include "text/jinja_value.h"

namespace slm::text::jinja {

struct NamedFilter;
struct NamedTest;

// A variable: slot `slot` of the frame `hops` functions further out.
struct Place {
  int hops = 0;
  int slot = -1;
};

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

enum class ExpressionKind : uint8_t {
  kConstant,      // value
  kName,          // name, place
  kNamespaceRef,  // name.attribute as a target; place
  kTuple,         // items
  kList,          // items
  kDict,          // items: key, value, key, value, ...
  kConditional,   // items: test, then, [else]
  kOr,            // items: two
  kAnd,           // items: two
  kNot,           // items: one
  kCompare,       // items: operands; comparisons between them
  kBinary,        // items: two; binary
  kConcat,        // items
  kNegate,        // items: one
  kPlus,          // items: one
  kAttribute,     // items: object; name
  kItem,          // items: object, key
  kSlice,         // items: object, start, stop, step; absent ones are null
  kCall,          // items: callee; arguments
  kFilter,        // items: subject (null in a filter block); name; arguments
  kTest,          // items: subject; name; arguments
};

enum class Comparison : uint8_t { kEq, kNe, kLt, kLe, kGt, kGe, kIn, kNotIn };

struct Arguments {
  std::vector<ExpressionPtr> positional;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
  ExpressionPtr splat;         // *args
  ExpressionPtr double_splat;  // **kwargs
};

struct Expression {
  ExpressionKind kind;
  int line;
  int depth = 1;  // levels of expressions below and with this one
  std::string name;
  std::string attribute;  // of a namespace reference
  Value value;
  std::vector<ExpressionPtr> items;
  std::vector<Comparison> comparisons;
  BinaryOp binary = BinaryOp::kAdd;
  Arguments arguments;
  // Filled by the binder.
  Place place;
  const NamedFilter* filter = nullptr;  // null: no filter of that name, which fails when it is used
  const NamedTest* test = nullptr;
};

// What happens to variables when a scope is entered and left.
struct Scope {
  enum class Load : uint8_t {
    kUndefined,  // becomes unset
    kResolve,    // comes from the context by name
    kAlias,      // starts as a copy of a variable further out
  };
  struct Entry {
    Load load;
    int slot;
    std::string name;
    Place source;
  };
  std::vector<Entry> enter;
  std::vector<int> leave;  // slots that become unset
};

struct Statement;
using Body = std::vector<std::unique_ptr<Statement>>;

enum class StatementKind : uint8_t {
  kText,         // text
  kOutput,       // expression
  kFor,          // target in expression if condition: body, else_body; recursive
  kIf,           // branches of (test, body); else_body
  kSet,          // target = expression
  kSetBlock,     // target, expression: a filter chain or null; body
  kWith,         // bindings; body
  kMacro,        // name, parameters, body
  kCallBlock,    // expression: the call; parameters, body
  kGeneration,   // body, as a call block that prints its caller
  kFilterBlock,  // expression: a filter chain; body
  kScope,        // body
  kBlock,        // name, body
  kBreak,
  kContinue,
  kUnsupported,  // name: a tag that fails when it is reached
};

// A macro's signature and how its frame is laid out.
struct Callable {
  std::string name;  // empty for call blocks
  std::vector<std::string> parameters;
  std::vector<ExpressionPtr> targets;   // names, one per parameter
  std::vector<ExpressionPtr> defaults;  // of the last parameters
  // Filled by the binder.
  int num_slots = 0;
  std::vector<int> parameter_slots;
  int caller_slot = -1;  // -1: not used by the body
  int kwargs_slot = -1;
  int varargs_slot = -1;
  bool explicit_caller = false;
};

struct Branch {
  ExpressionPtr test;
  Body body;
};

struct Statement {
  StatementKind kind;
  int line;
  std::string text;
  std::string name;
  ExpressionPtr target;
  ExpressionPtr expression;
  ExpressionPtr condition;
  bool recursive = false;
  Body body;
  Body else_body;
  std::vector<Branch> branches;
  std::vector<std::pair<ExpressionPtr, ExpressionPtr>> bindings;
  Callable callable;
  // Filled by the binder.
  Scope scope;       // of the body
  Scope else_scope;  // of a loop's else
  Scope test_scope;  // of a loop's condition, which runs in a frame of its own
  int test_slots = 0;
  ExpressionPtr test_target;  // the loop's target again, in that frame
  int loop_slot = -1;         // of `loop`; -1: not used by the body
  int frame_slots = 0;        // of a recursive loop or a block, whose body has its own frame
  bool exports = false;       // a set or macro at the top level, which blocks can see
};

struct Program {
  std::string name;
  Body body;
  Scope scope;
  int num_slots = 0;
};

}  // namespace slm::text::jinja
