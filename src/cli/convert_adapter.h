// The part of `slm convert` that takes adapters: PEFT's folder to a GGUF file, and back.
#pragma once

#include <string>

namespace slm::cli {

// A folder with adapter_config.json, or a GGUF file that says it is one. A checkpoint may have that
// file of its past beside it: then only `has_base`, the user's word, makes it an adapter.
bool IsAdapter(const std::string& input, bool has_base);

// Throws kUsage where a folder to write holds something other than an adapter, and what the readers
// and writers throw.
void ConvertAdapter(const std::string& input, const std::string& base, const std::string& output,
                    bool is_json);

}  // namespace slm::cli
