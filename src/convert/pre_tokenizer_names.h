// Which of GGUF's pre-tokenizers (text/pre_tokenizer.h) a tokenizer.json describes, by what it says
// and not by its name or by a sample of its results.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace slm::convert {

// The name for tokenizer.ggml.pre. `path` is for messages; `tokenizer` is the whole file. Throws
// Error kUnsupported, showing the expressions, when there is none.
std::string RecognizePreTokenizer(const std::string& path, const nlohmann::json& tokenizer);

// tokenizer.ggml.pre for the expression of a tekken.json.
std::string RecognizeTekkenPattern(const std::string& path, const std::string& pattern);

}  // namespace slm::convert
