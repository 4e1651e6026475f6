// Which model an adapter was trained on, told by what quantizing and merging leave as it is: an
// adapter goes with its base in any type, and with no other model of the same shapes.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "format/gguf.h"
#include "model/hparams.h"

namespace slm::model {

struct BaseIdentity {
  std::string name;  // for messages
  std::string architecture;
  uint64_t vocabulary = 0;  // a hash of the ids of all normal tokens; 0: the file has none
  uint64_t norms = 0;       // a hash of the shape and of all norms, rounded to bfloat16
};

// Reads a megabyte of a 7B model.
BaseIdentity IdentityOf(const format::GgufFile& file, const Hparams& hparams);

// As an adapter's file has it beside its tensors.
std::array<std::pair<const char*, std::string>, 4> ToMetadata(const BaseIdentity& base);

// Nothing where the file does not say. `find` gives the text of a key. Throws kBadInput, naming
// `path`, for what is no hash.
using FindText = std::function<std::optional<std::string>(const char* key)>;
std::optional<BaseIdentity> ParseBaseIdentity(const std::string& path, const FindText& find);

// Throws kBadInput, saying what the adapter at `path` was trained on and what `file` is, where they
// are not the same model.
void CheckBase(const std::string& path, const BaseIdentity& trained_on,
               const format::GgufFile& file, const Hparams& hparams);

}  // namespace slm::model
