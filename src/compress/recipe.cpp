#include "compress/recipe.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"

namespace slm::compress {
namespace {

using enum quant::Type;
using quant::Type;

const Recipe kRecipes[] = {
    {"Q2_K", kQ2_K, 10},     {"Q3_K_S", kQ3_K, 11}, {"Q3_K_M", kQ3_K, 12},   {"Q3_K_L", kQ3_K, 13},
    {"IQ4_XS", kIQ4_XS, 30}, {"Q4_0", kQ4_0, 2},    {"IQ4_NL", kIQ4_NL, 25}, {"Q4_K_S", kQ4_K, 14},
    {"Q4_K_M", kQ4_K, 15},   {"Q4_1", kQ4_1, 3},    {"Q5_0", kQ5_0, 8},      {"Q5_K_S", kQ5_K, 16},
    {"Q5_K_M", kQ5_K, 17},   {"Q5_1", kQ5_1, 9},    {"Q6_K", kQ6_K, 18},     {"Q8_0", kQ8_0, 7},
    {"F16", kF16, 1},        {"BF16", kBF16, 32},   {"F32", kF32, 0},
};

// For training alone: what it makes, llama.cpp does not read. Its file type is "guessed".
const Recipe kNf4Recipe = {"NF4", kNF4, 1024};

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

// N of "blk.N.role.weight", or -1; `role` is what follows.
int64_t LayerOf(std::string_view name, std::string_view* role) {
  constexpr std::string_view kPrefix = "blk.";
  *role = name;
  if (!name.starts_with(kPrefix)) return -1;
  int64_t layer = -1;
  const char* end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(name.data() + kPrefix.size(), end, layer);
  if (error != std::errc() || rest == end || *rest != '.') return -1;
  *role = name.substr(static_cast<size_t>(rest + 1 - name.data()));
  return layer;
}

// The eighths at both ends and every third layer between them.
bool GetsMoreBits(int64_t i, int64_t n) {
  return i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2;
}

// Values carry what attention hands on; they are small where heads share them.
Type ValueType(std::string_view recipe, Type base, const ModelFacts& facts, int64_t layer) {
  const bool is_shared = facts.heads_per_kv_head >= 4;
  if (recipe == "Q2_K") return is_shared ? kQ4_K : kQ3_K;
  if (recipe == "Q3_K_M") return layer < 2 ? kQ5_K : kQ4_K;
  if (recipe == "Q3_K_L") return kQ5_K;
  if ((recipe == "IQ4_NL" || recipe == "IQ4_XS") && is_shared) return kQ5_K;
  if ((recipe == "Q4_K_M" || recipe == "Q5_K_M") && GetsMoreBits(layer, facts.layers)) return kQ6_K;
  if (recipe == "Q4_K_S" && layer < 4) return kQ5_K;
  return base;
}

Type DownType(std::string_view recipe, Type base, const ModelFacts& facts, int64_t layer) {
  const int64_t n = facts.layers;
  const bool is_early = layer < n / 8;
  if (recipe == "Q2_K") return kQ3_K;
  if (recipe == "Q3_K_M") return layer < n / 16 ? kQ5_K : kQ4_K;
  if (recipe == "Q3_K_L") return kQ5_K;
  if ((recipe == "Q4_K_M" || recipe == "Q5_K_M") && GetsMoreBits(layer, n)) return kQ6_K;
  if ((recipe == "IQ4_NL" || recipe == "IQ4_XS") && is_early && !facts.has_importance) return kQ5_K;
  if (recipe == "Q4_K_S" && is_early) return kQ5_K;
  if (recipe == "Q4_0" && is_early && facts.has_importance) return kQ4_1;
  if (recipe == "Q5_0" && is_early && facts.has_importance) return kQ5_1;
  return base;
}

Type AttentionOutputType(std::string_view recipe, Type base) {
  if (recipe == "Q2_K") return kQ3_K;
  if (recipe == "Q3_K_M") return kQ4_K;
  if (recipe == "Q3_K_L") return kQ5_K;
  return base;
}

Type RecipeType(const Recipe& recipe, const ModelFacts& facts, std::string_view name,
                int64_t row_elements) {
  const Type base = recipe.base;
  if (quant::Traits(base).block_size == 1) return base;
  std::string_view role;
  const int64_t layer = LayerOf(name, &role);
  // bitsandbytes leaves these in 16 bits, of which 8 are enough.
  if (base == kNF4 && layer < 0) return kQ8_0;
  if (role == "output.weight" || (role == "token_embd.weight" && !facts.has_output)) {
    if (row_elements % quant::Traits(base).block_size != 0) return kQ8_0;
    return base == kQ8_0 ? kQ8_0 : kQ6_K;
  }
  if (role == "attn_v.weight" || role == "attn_qkv.weight")
    return ValueType(recipe.name, base, facts, layer);
  if (role == "ffn_down.weight") return DownType(recipe.name, base, facts, layer);
  if (role == "attn_output.weight") return AttentionOutputType(recipe.name, base);
  return base;
}

}  // namespace

std::span<const Recipe> AllRecipes() { return kRecipes; }

const Recipe& FindRecipe(std::string_view name) {
  std::string names;
  for (const Recipe& recipe : kRecipes) {
    if (EqualsIgnoringCase(recipe.name, name)) return recipe;
    names += (names.empty() ? "" : ", ") + std::string(recipe.name);
  }
  if (EqualsIgnoringCase(kNf4Recipe.name, name)) return kNf4Recipe;
  throw Error(Code::kUsage, "unknown type \"{}\"; known are {}", name, names);
}

ModelFacts ReadModelFacts(std::span<const TensorShape> tensors) {
  ModelFacts facts;
  int64_t q = 0, kv = 0, qkv = 0;  // rows of the first layer's
  for (const TensorShape& tensor : tensors) {
    std::string_view role;
    const int64_t layer = LayerOf(tensor.name, &role);
    facts.layers = std::max(facts.layers, layer + 1);
    if (role == "output.weight") facts.has_output = true;
    if (layer != 0) continue;
    if (role == "attn_output.weight") q = tensor.columns;
    if (role == "attn_k.weight") kv = tensor.rows;
    if (role == "attn_qkv.weight") qkv = tensor.rows;
  }
  if (qkv > q) kv = (qkv - q) / 2;
  if (kv > 0) facts.heads_per_kv_head = q / kv;
  return facts;
}

ModelFacts ReadModelFacts(const format::GgufFile& file) {
  std::vector<TensorShape> shapes;
  for (const format::GgufTensor& tensor : file.tensors())
    shapes.push_back({tensor.name, tensor.dims[1], tensor.dims[0]});
  return ReadModelFacts(shapes);
}

ModelFacts ReadModelFacts(std::span<const format::TensorSource> sources) {
  std::vector<TensorShape> shapes;
  for (const format::TensorSource& source : sources)
    shapes.push_back({source.name, source.rows(), source.dims[0]});
  return ReadModelFacts(shapes);
}

TypeOverride TypeOverride::Parse(const std::string& text) {
  const size_t equals = text.rfind('=');
  if (equals == std::string::npos || equals == 0)
    throw Error(Code::kUsage, "expected PATTERN=TYPE, as in ffn_down=q6_k, got \"{}\"", text);
  const std::string type_name = text.substr(equals + 1);
  const quant::TypeTraits* traits = quant::FindTypeByName(type_name);
  if (!traits || traits->type == kNF4)
    throw Error(Code::kUsage, "\"{}\": unknown tensor type \"{}\"", text, type_name);
  try {
    return {text, std::regex(text.substr(0, equals)), traits->type};
  } catch (const std::regex_error& error) {
    throw Error(Code::kUsage, "\"{}\" is no regular expression: {}", text.substr(0, equals),
                error.what());
  }
}

void CheckOverrides(const format::GgufFile& file, std::span<const TypeOverride> overrides) {
  for (const TypeOverride& override : overrides) {
    const auto matches = [&](const format::GgufTensor& tensor) {
      return IsQuantized(tensor.name, tensor.num_dims) &&
             std::regex_search(tensor.name, override.pattern);
    };
    if (std::none_of(file.tensors().begin(), file.tensors().end(), matches))
      throw Error(Code::kUsage, "--tensor-type {}: no tensor that is quantized has such a name",
                  override.text);
  }
}

int64_t LayerOfTensor(std::string_view name) {
  std::string_view role;
  return LayerOf(name, &role);
}

bool IsQuantized(std::string_view name, int num_dims) {
  return num_dims == 2 && name.ends_with(".weight") && !name.ends_with("_norm.weight");
}

TypeChoice ChooseType(const Recipe& recipe, const ModelFacts& facts,
                      std::span<const TypeOverride> overrides, const std::string& name,
                      int64_t row_elements) {
  Type wanted = RecipeType(recipe, facts, name, row_elements);
  for (const TypeOverride& override : overrides) {
    if (!std::regex_search(name, override.pattern)) continue;
    wanted = override.type;
    break;
  }
  return {FallbackType(wanted, row_elements), wanted};
}

Type FallbackType(Type wanted, int64_t row_elements) {
  const auto divides = [&](Type type) {
    return row_elements % quant::Traits(type).block_size == 0;
  };
  if (divides(wanted)) return wanted;
  const Type smaller = [&] {
    switch (wanted) {
      case kQ2_K:
      case kQ3_K:
        return kQ4_0;
      case kQ4_K:
        return kQ5_0;
      case kQ5_K:
        return kQ5_1;
      case kQ6_K:
      case kNF4:
        return kQ8_0;
      case kIQ4_XS:
        return kIQ4_NL;
      default:
        return kF16;
    }
  }();
  return divides(smaller) ? smaller : kF16;
}

}  // namespace slm::compress
