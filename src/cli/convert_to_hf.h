// The half of `slm convert` that goes from GGUF to a Hugging Face folder.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

namespace slm::cli {

struct ToHfFlags {
  int bits = 0;
  int64_t group_size = 32;
};

void AddToHfFlags(CLI::App* app, ToHfFlags* flags);  // --bits, --group-size; --to is there

void ConvertToHf(const std::string& input, const std::string& folder, const ToHfFlags& flags,
                 int threads, bool allows_non_finite, bool is_json);

}  // namespace slm::cli
