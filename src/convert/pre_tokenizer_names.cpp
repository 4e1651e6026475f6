#include "convert/pre_tokenizer_names.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "base/error.h"
#include "convert/expressions.h"

namespace slm::convert {
namespace {

using nlohmann::json;

// Steps as Summarize() writes them.
struct Recipe {
  std::string steps;
  bool nfc, ignores_merges;
  const char* name;
};

std::vector<Recipe> Recipes() {
  const auto split = [](const char* pattern) {
    return "split " + std::string(pattern) + "\nbytes";
  };
  return {
      {split(kLlama3), false, true, "llama-bpe"},
      {split(kLlama3), false, false, "dbrx"},
      {split(kQwen2), true, false, "qwen2"},
      {split(kQwen2), false, false, "deepseek-r1-qwen"},
      {split(kO200k), false, false, "gpt-4o"},
      {split(kTekken), false, true, "tekken"},
      {"digits\nbytes by GPT-2's expression", false, false, "smollm"},
      {"bytes by GPT-2's expression", false, false, "gpt-2"},
  };
}

const json& At(const json& object, const char* key) {
  static const json kNull;
  if (!object.is_object()) return kNull;
  const auto at = object.find(key);
  return at == object.end() ? kNull : *at;
}

bool IsTrue(const json& value) { return value.is_boolean() && value.get<bool>(); }

// One step in words; nothing when it does what no recipe here does.
std::optional<std::string> Summarize(const json& step) {
  const json& type = At(step, "type");
  if (type == "ByteLevel") {
    if (IsTrue(At(step, "add_prefix_space"))) return std::nullopt;
    const json& use_regex = At(step, "use_regex");
    return use_regex.is_null() || IsTrue(use_regex) ? "bytes by GPT-2's expression" : "bytes";
  }
  if (type == "Digits" && IsTrue(At(step, "individual_digits"))) return "digits";
  if (type == "Split") {
    const json& pattern = At(At(step, "pattern"), "Regex");
    // The expressions match all of a text: what they match stays, or what is between goes.
    const bool is_inverted = IsTrue(At(step, "invert"));
    const bool keeps = At(step, "behavior") == (is_inverted ? "Removed" : "Isolated");
    if (pattern.is_string() && keeps) return "split " + pattern.get<std::string>();
  }
  return std::nullopt;
}

std::optional<std::string> SummarizeAll(const json& pre_tokenizer) {
  const json& steps = At(pre_tokenizer, "pretokenizers");
  if (At(pre_tokenizer, "type") != "Sequence" || !steps.is_array()) return Summarize(pre_tokenizer);
  std::string all;
  for (const json& step : steps) {
    const auto text = Summarize(step);
    if (!text) return std::nullopt;
    all += (all.empty() ? "" : "\n") + *text;
  }
  return all;
}

// What a sequence of one does, that one does; one of none does nothing.
const json& Unwrapped(const json& normalizer) {
  const json& steps = At(normalizer, "normalizers");
  if (At(normalizer, "type") != "Sequence" || !steps.is_array() || steps.size() > 1)
    return normalizer;
  return steps.empty() ? At(normalizer, "absent") : steps[0];
}

}  // namespace

std::string RecognizePreTokenizer(const std::string& path, const json& tokenizer) {
  const json& normalizer = Unwrapped(At(tokenizer, "normalizer"));
  const bool nfc = At(normalizer, "type") == "NFC";
  const bool ignores_merges = IsTrue(At(At(tokenizer, "model"), "ignore_merges"));
  const auto steps = SummarizeAll(At(tokenizer, "pre_tokenizer"));
  if (steps && (nfc || normalizer.is_null())) {
    for (const Recipe& recipe : Recipes()) {
      if (*steps == recipe.steps && nfc == recipe.nfc && ignores_merges == recipe.ignores_merges)
        return recipe.name;
    }
  }
  const auto shown = [](const json& value) {
    return value.dump(-1, ' ', false, json::error_handler_t::replace).substr(0, 2000);
  };
  throw Error(Code::kUnsupported,
              "{}: no pre-tokenizer of GGUF that slm knows does this: normalizer {}, ignore_merges "
              "{}, pre_tokenizer {}",
              path, shown(normalizer), ignores_merges, shown(At(tokenizer, "pre_tokenizer")));
}

std::string RecognizeTekkenPattern(const std::string& path, const std::string& pattern) {
  if (pattern == kTekken) return "tekken";
  throw Error(Code::kUnsupported, "{}: config.pattern: no pre-tokenizer of GGUF does {}", path,
              pattern.substr(0, 2000));
}

}  // namespace slm::convert
