// The language: 1,200 small templates against jinja2 itself.
#include "text/jinja.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>

#include "support/data.h"
#include "text/fixed_clock.h"

namespace slm::text::jinja {
namespace {

using nlohmann::ordered_json;

std::string Render(const std::string& source, const ordered_json& context = {},
                   const RenderOptions& options = FixedOptions()) {
  return Template::Parse("test", source).Render(context, options);
}

// The kind of error that rendering ends with, or the text that it should not have made.
std::string KindOf(const std::string& source, const RenderOptions& options = FixedOptions()) {
  try {
    return "no error: " + Render(source, {}, options).substr(0, 200);
  } catch (const TemplateError& error) {
    return error.kind();
  }
}

TEST(Jinja, EqualsJinja2) {
  const auto golden =
      ordered_json::parse(testing::ReadFile("tests/golden/templates/snippets.json"));
  // Kinds whose messages templates are debugged with; others carry CPython's own words.
  const std::vector<std::string> kExactMessages = {"UndefinedError", "SecurityError",
                                                   "TemplateRuntimeError", "TemplateAssertionError",
                                                   "FilterArgumentError"};
  size_t compared = 0;
  for (const ordered_json& snippet : golden.at("snippets")) {
    const std::string source = snippet[0];
    SCOPED_TRACE(source);
    ++compared;
    try {
      const std::string text = Render(source, golden.at("context"));
      ASSERT_EQ(snippet.size(), 2U) << "expected " << snippet[1] << ", got the text " << text;
      EXPECT_EQ(text, snippet[1].get<std::string>());
    } catch (const RaisedError& error) {
      EXPECT_EQ(snippet[1], "raised");
      EXPECT_EQ(error.reason(), snippet[2].get<std::string>());
    } catch (const TemplateError& error) {
      ASSERT_EQ(snippet.size(), 3U) << error.what();
      EXPECT_EQ(error.kind(), snippet[1].get<std::string>()) << error.what();
      const bool exact = std::find(kExactMessages.begin(), kExactMessages.end(), error.kind()) !=
                         kExactMessages.end();
      if (exact) {
        EXPECT_EQ(error.reason(), snippet[2].get<std::string>());
      }
    }
  }
  EXPECT_GT(compared, 1100U);
}

TEST(Jinja, ErrorsSayWhere) {
  try {
    Render("a\n{% if true %}\n  {{ x.y.z }}\n{% endif %}");
    FAIL();
  } catch (const TemplateError& error) {
    EXPECT_EQ(error.line(), 3);
    EXPECT_EQ(error.code(), Code::kBadInput);
    EXPECT_STREQ(error.what(), "template test, line 3: UndefinedError: 'x' is undefined");
  }
  try {
    Render("\n\n{% for x in %}{% endfor %}");
    FAIL();
  } catch (const TemplateError& error) {
    EXPECT_EQ(error.line(), 3);
    EXPECT_EQ(error.kind(), "TemplateSyntaxError");
  }
}

TEST(Jinja, RaisedErrorCarriesTheMessage) {
  try {
    Render("\n{{ raise_exception('roles must alternate') }}");
    FAIL();
  } catch (const RaisedError& error) {
    EXPECT_EQ(error.reason(), "roles must alternate");
    EXPECT_EQ(error.line(), 2);
  }
}

TEST(Jinja, KeepsTheOrderAndRangeOfJson) {
  const auto context = ordered_json::parse(
      R"({"d": {"z": 1, "a": {"y": 18446744073709551615, "b": -9223372036854775808}}})");
  EXPECT_EQ(Render("{{ d|tojson }}", context),
            R"({"z": 1, "a": {"y": 18446744073709551615, "b": -9223372036854775808}})");
}

TEST(Jinja, InvalidUtf8BecomesReplacementCharacters) {
  ordered_json context;
  context["s"] = "a\xC3\x28\xF0\x9F\xED\xA0\x80z";
  EXPECT_EQ(Render("{{ s|length }}{{ s[1] }}{{ s[-1] }}", context), "9\xEF\xBF\xBDz");
  EXPECT_EQ(Render("\xFF{{ '\xFE' }}\xC3"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST(Jinja, TheSystemsClockIsTheDefault) {
  EXPECT_EQ(Render("{{ strftime_now('%Y') | length }}", {}, {}), "4");
}

TEST(JinjaSandbox, NothingOfTheHost) {
  for (const char* source : {
           "{{ ''.__class__.__mro__ }}",
           "{{ (1).__class__.__base__.__subclasses__() }}",
           "{{ range.__globals__['os'] }}",
           "{{ cycler.__init__.__globals__ }}",
           "{{ '{0.__class__.__base__}'.format(1) }}",
           "{{ ''|attr('__class__')|attr('mro') }}",
           "{{ namespace.__init__ }}{{ namespace().__class__.x }}",
       }) {
    const std::string kind = KindOf(source);
    EXPECT_TRUE(kind == "SecurityError" || kind == "UndefinedError" || kind == "no error: ")
        << kind;
  }
  EXPECT_EQ(KindOf("{% include '/etc/passwd' %}"), "UnsupportedError");
  EXPECT_EQ(KindOf("{% import 'x' as y %}"), "UnsupportedError");
  EXPECT_EQ(KindOf("{% from 'x' import y %}"), "UnsupportedError");
  EXPECT_EQ(KindOf("{% extends 'x' %}"), "UnsupportedError");
  EXPECT_EQ(KindOf("{{ lipsum() }}"), "UnsupportedError");
  EXPECT_EQ(KindOf("{{ [1]|random }}"), "UnsupportedError");
}

TEST(JinjaSandbox, SizesAreRefusedBeforeTheyAreBuilt) {
  for (const char* source : {
           "{{ 'a' * 10**12 }}",
           "{{ 'a' * 10**30 }}",
           "{{ [1] * 10**12 }}",
           "{{ 'a'.center(10**12) }}",
           "{{ 'a'.zfill(10**11) }}",
           "{{ '%1000000000d' % 1 }}",
           "{{ '%.1000000000f' % 1.0 }}",
           "{{ '{:1000000000}'.format(1) }}",
           "{{ 'a'|indent(10**12, true) }}",
           "{{ 'a\tb'.expandtabs(10**12) }}",
           "{{ [1]|tojson(indent=10**12) }}",
           "{{ [1]|batch(10**12, 0)|list }}",
           "{{ [1]|slice(10**12)|list }}",
           "{{ ('a' * 100000).replace('a', 'b' * 100000) }}",
           "{{ ('x' * 100000).join('y' * 100000) }}",
       }) {
    EXPECT_EQ(KindOf(source), "LimitError") << source;
  }
  EXPECT_EQ(KindOf("{{ 10**40 }}"), "OverflowError");
  EXPECT_EQ(KindOf("{{ '%99999999999d' % 1 }}"), "ValueError");
  EXPECT_EQ(KindOf("{{ range(10**30) }}"), "OverflowError");
}

TEST(JinjaSandbox, WorkIsLimited) {
  RenderOptions options;
  options.limits.steps = 100'000;
  const std::string loops =
      "{% for a in range(1000) %}{% for b in range(1000) %}{% endfor %}{% endfor %}";
  EXPECT_EQ(KindOf(loops, options), "LimitError");
  EXPECT_EQ(KindOf("{% set ns = namespace(x=[1]) %}{% for a in range(50) %}"
                   "{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x|tojson }}",
                   options),
            "LimitError");
  EXPECT_EQ(KindOf("{% set a = 'a' * 1000000 %}{% for x in range(10000) %}"
                   "{% if 'b' in a %}{% endif %}{% endfor %}",
                   options),
            "LimitError");
  options = {};
  options.limits.output_bytes = 1000;
  EXPECT_EQ(KindOf("{% for a in range(1000) %}xx{% endfor %}", options), "LimitError");
  EXPECT_EQ(Render("{{ 'a' * 1000 }}", {}, options).size(), 1000U);
  options = {};
  options.limits.memory_bytes = 1'000'000;
  EXPECT_EQ(KindOf("{% set ns = namespace(s='ab') %}{% for a in range(100) %}"
                   "{% set ns.s = ns.s + ns.s %}{% endfor %}",
                   options),
            "LimitError");
  // What is dead does not count.
  EXPECT_EQ(
      Render("{% for a in range(1000) %}{% set x = 'a' * 10000 %}{% endfor %}ok", {}, options),
      "ok");
}

TEST(JinjaSandbox, DepthIsLimited) {
  const auto repeat = [](const std::string& text, int count) {
    std::string out;
    for (int i = 0; i < count; ++i) out += text;
    return out;
  };
  for (const auto& [open, middle, close] : std::vector<std::array<std::string, 3>>{
           {"(", "1", ")"},
           {"[", "", "]"},
           {"not ", "1", ""},
           {"-", "1", ""},
           {"{'a':", "1", "}"},
           {"x[", "1", "]"},
           {"1 + ", "1", ""},
           {"'a' if x else ", "1", ""},
       }) {
    const std::string source =
        "{{ " + repeat(open, 100'000) + middle + repeat(close, 100'000) + " }}";
    EXPECT_EQ(KindOf(source), "TemplateSyntaxError") << open;
  }
  EXPECT_EQ(KindOf("{{ x" + repeat(".y", 100'000) + " }}"), "TemplateSyntaxError");
  EXPECT_EQ(KindOf("{{ x" + repeat("|upper", 100'000) + " }}"), "TemplateSyntaxError");
  EXPECT_EQ(KindOf(repeat("{% if x %}", 100'000)), "TemplateSyntaxError");
  EXPECT_EQ(KindOf("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"), "RecursionError");
  EXPECT_EQ(KindOf("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}"), "RecursionError");
  EXPECT_EQ(KindOf("{% set ns = namespace(x=[]) %}{% for a in range(100000) %}"
                   "{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}"),
            "LimitError");
  EXPECT_EQ(KindOf("{% set ns = namespace(x=[1]) %}{% for a in range(100000) %}"
                   "{% set ns.x = ns.x|map('abs') %}{% endfor %}{{ ns.x|list }}"),
            "LimitError");
  ordered_json deep = 1;
  for (int i = 0; i < 5000; ++i) deep = ordered_json::array({std::move(deep)});
  EXPECT_THROW(Render("{{ x }}", {{"x", std::move(deep)}}), TemplateError);
}

// Under a leak checker this shows that cycles die with the render.
TEST(JinjaSandbox, CyclesDie) {
  EXPECT_EQ(
      Render("{% set ns = namespace() %}{% set ns.self = [ns, {'a': ns}] %}"
             "{% macro m(x) %}{% set y = m %}{% set ns.m = m %}{{ x }}{% endmacro %}{{ m(1) }}"
             "{% for x in [1, 2] %}{% set ns.loop = loop %}{{ loop.changed(loop) }}{% endfor %}"),
      "1TrueFalse");
}

TEST(Jinja, OneTemplateInManyThreads) {
  const Template shared = Template::Parse(
      "t", "{% for m in l %}{{ loop.index ~ ': ' ~ m|upper ~ ' ' ~ 'constant' }}\n{% endfor %}");
  const ordered_json context = {{"l", {"a", "b", "c"}}};
  const std::string expected = shared.Render(context, {});
  std::vector<std::thread> threads;
  std::atomic<int> failures = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 200; ++k) failures += shared.Render(context, {}) != expected;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
}

}  // namespace
}  // namespace slm::text::jinja
