// Messages of a conversation, as the OpenAI API has them.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace slm::text {

// Content in parts, as clients write it that can also send images, becomes one text, as templates
// expect it. Throws kUnsupported for parts of another type, kBadInput for what is no text.
void JoinTextParts(nlohmann::ordered_json* messages);

// The arguments of calls of tools, which clients write as a text of JSON: most templates expect the
// object that it says, and would write a text in quotes; some join texts. What is no object stays.
enum class ArgumentForm { kObject, kText };
void SetToolArguments(ArgumentForm form, nlohmann::ordered_json* messages);

}  // namespace slm::text
