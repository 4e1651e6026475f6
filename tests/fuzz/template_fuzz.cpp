// Any template text over one conversation: a render gives text or an Error, within its limits.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "text/jinja.h"

namespace {

using slm::text::jinja::RenderOptions;
using slm::text::jinja::Template;

constexpr int64_t kMaxOutput = 1 << 16;

const nlohmann::ordered_json& Context() {
  static const auto context = nlohmann::ordered_json::parse(R"json({
    "messages": [
      {"role": "system", "content": "Be \"brief\" <b>"},
      {"role": "user", "content": [{"type": "text", "text": "Gr\u00fc\u00dfe \ud83d\ude00"}, {"type": "image"}]},
      {"role": "assistant", "content": "", "tool_calls": [
        {"id": "abcdef123", "function": {"name": "f", "arguments": {"x": 1.5, "y": [null, true]}}}]},
      {"role": "tool", "content": "{}\r\n\t"}
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    "add_generation_prompt": true, "bos_token": "<s>", "eos_token": "</s>", "documents": null,
    "n": 18446744073709551615, "i": -7, "x": 2.5, "s": "a b\u00a0c", "l": [3, 1, 2], "d": {"b": 1, "a": {"k": []}}
  })json");
  return context;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  RenderOptions options;
  options.limits.steps = 200'000;
  options.limits.output_bytes = kMaxOutput;
  options.limits.memory_bytes = 4 << 20;
  options.now = [] { return std::tm{}; };
  try {
    const Template parsed =
        Template::Parse("fuzz", std::string(reinterpret_cast<const char*>(data), size));
    SLM_CHECK(parsed.Render(Context(), options).size() <= kMaxOutput);
  } catch (const slm::Error&) {
  }
  return 0;
}
