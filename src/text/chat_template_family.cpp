// Which published template belongs to which model.
#include <algorithm>
#include <array>
#include <cctype>

#include "text/chat_template.h"
#include "text/published_templates.h"

namespace slm::text {
namespace {

struct Rule {
  std::string_view architecture;
  std::string_view pre;     // of the tokenizer; empty: any
  std::string_view prefix;  // of the model's name in the form of NormalizeName; empty: no name
  std::string_view file;    // of src/text/templates, without ".jinja"; empty: none of them is right
  std::string_view needs = {};  // a part that the name must have
};

// The first that matches decides: variants with templates of their own stand before their
// namesakes. A name is asked for even where architecture and tokenizer would do, because fine-tunes
// with formats of their own share both.
constexpr Rule kRules[] = {
    {"llama", "smollm", "smollm2", "SmolLM2-Instruct"},
    {"llama", "smollm", "", "SmolLM2-Instruct"},
    {"llama", "llama-bpe", "llama-3.2", "Llama-3.2-3B-Instruct"},
    {"llama", "llama-bpe", "llama-3", "Llama-3.1-8B-Instruct"},
    {"llama", "llama-bpe", "", "Llama-3.1-8B-Instruct"},
    {"llama", "tekken", "mistral-nemo", "Mistral-Nemo-Instruct-2407"},
    {"mistral3", "tekken", "ministral-3", "Ministral-3-14B-Reasoning-2512", "reasoning"},
    {"qwen2", "qwen2", "qwen2.5-math", ""},
    {"qwen2", "qwen2", "qwen2.5", "Qwen2.5-7B-Instruct"},
    {"qwen3", "qwen2", "qwen3", "", "2507"},
    {"qwen3", "qwen2", "qwen3", "", "coder"},
    {"qwen3", "qwen2", "qwen3", "Qwen3-0.6B"},
    {"phi3", "", "phi-3.5", "Phi-3.5-mini-instruct"},
    {"phi3", "", "phi-4", "", "reasoning"},
    {"phi3", "", "phi-4-multimodal", ""},
    {"phi3", "", "phi-4-mini", "Phi-4-mini-instruct"},
    {"phi3", "", "phi-4", "phi-4"},
    {"gemma2", "", "gemma-2", "gemma-2-2b-it"},
    {"gemma2", "", "", "gemma-2-2b-it"},
    {"gemma3", "", "gemma-3", "gemma-3-it"},
    {"gemma3", "", "", "gemma-3-it"},
};

// "Meta Llama 3.1 8B Instruct" becomes "llama-3.1-8b-instruct".
std::string NormalizeName(std::string_view name) {
  std::string out;
  for (char c : name) {
    out +=
        c == ' ' || c == '_' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  constexpr std::array<std::string_view, 4> kMakers = {"meta-", "google-", "microsoft-",
                                                       "mistralai-"};
  for (std::string_view maker : kMakers) {
    if (out.starts_with(maker)) out.erase(0, maker.size());
  }
  return out;
}

// Whether `name` starts with `prefix` and goes on with something else than the rest of a word or
// number: "phi-4-mini" does with "phi-4", "gemma-3n" and "llama-30b" do not with their namesakes.
bool HasPrefix(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return false;
  return name.size() == prefix.size() ||
         !std::isalnum(static_cast<unsigned char>(name[prefix.size()]));
}

}  // namespace

std::optional<PublishedTemplate> FindPublishedTemplate(const ModelTraits& traits) {
  const std::string name = NormalizeName(traits.name);
  const std::string basename = NormalizeName(traits.basename);
  const auto has = [](const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
  };
  const auto matches = [&](const Rule& rule) {
    if (rule.architecture != traits.architecture) return false;
    if (!rule.pre.empty() && rule.pre != traits.tokenizer_pre) return false;
    if (!has(name, rule.needs) && !has(basename, rule.needs)) return false;
    if (rule.prefix.empty()) return name.empty() && basename.empty();
    return HasPrefix(name, rule.prefix) || HasPrefix(basename, rule.prefix);
  };
  const auto* rule = std::find_if(std::begin(kRules), std::end(kRules), matches);
  if (rule == std::end(kRules)) return std::nullopt;
  for (const PublishedTemplate& published : PublishedTemplates()) {
    if (published.name == rule->file) return published;
  }
  return std::nullopt;
}

}  // namespace slm::text
