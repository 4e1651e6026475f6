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

void AddToHfFlags(CLI::App* app, ToHfFlags* flags);  // --bits, --group-size

void ConvertToHf(const std::string& input, const std::string& folder, const ToHfFlags& flags,
                 int threads, bool is_json);

}  // namespace slm::cli
