// Any bytes as a file of examples: an Error, or conversations with an answer, or texts.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "format/dataset.h"

namespace {

void Check(const slm::format::Example& example, slm::format::DataFormat format) {
  if (format == slm::format::DataFormat::kText) {
    SLM_CHECK(!example.text.empty() && example.messages.empty());
    return;
  }
  SLM_CHECK(example.tools.is_null() || example.tools.is_array());
  bool has_answer = false;
  for (const auto& message : example.messages) {
    has_answer |= message.at("role").get<std::string>() == "assistant";
    const auto content = message.find("content");
    if (content == message.end() || content->is_null())
      SLM_CHECK(!message.at("tool_calls").is_null());
    else
      SLM_CHECK(content->is_string());
  }
  SLM_CHECK(has_answer);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto dataset =
        slm::format::ParseDataset("fuzz", {reinterpret_cast<const char*>(data), size});
    SLM_CHECK(!dataset.examples.empty());
    size_t line = 0;
    for (const slm::format::Example& example : dataset.examples) {
      SLM_CHECK(example.line > line);
      line = example.line;
      Check(example, dataset.format);
    }
  } catch (const slm::Error&) {
  }
  return 0;
}
