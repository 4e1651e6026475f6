#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/printable.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/inspect_adapter.h"
#include "cli/options.h"
#include "engine/kv_cache.h"
#include "model/vocab.h"

namespace slm::cli {
namespace {

using nlohmann::ordered_json;

struct Flags {
  std::string file;
  int64_t context = 0;
  std::string k_type = "f16", v_type = "f16";
  bool is_json = false;
};

ordered_json ToJson(const format::GgufScalar& item) {
  return std::visit([](const auto& value) { return ordered_json(value); }, item);
}

ordered_json ToJson(const format::GgufValue& value) {
  constexpr size_t kMostItems = 8;
  const std::vector<format::GgufScalar> items = value.Items(kMostItems);
  if (!value.is_array) return ToJson(items.at(0));
  ordered_json list = ordered_json::array();
  for (const format::GgufScalar& item : items) list.push_back(ToJson(item));
  return {{"type", value.TypeText()}, {"first", list}};
}

ordered_json Tensors(const format::GgufFile& file) {
  ordered_json list = ordered_json::array();
  for (const format::GgufTensor& t : file.tensors()) {
    ordered_json shape = ordered_json::array();
    for (int i = 0; i < t.num_dims; ++i) shape.push_back(t.dims[static_cast<size_t>(i)]);
    list.push_back({{"name", t.name},
                    {"type", quant::Traits(t.type).name},
                    {"shape", shape},
                    {"bytes", t.bytes()}});
  }
  return list;
}

// What only a model of a known family has; its absence is no reason to show nothing of a file.
void AddModelFacts(const format::GgufFile& file, const Flags& flags, ordered_json* report) {
  const kernels::KvType k_type = ParseKvType(flags.k_type), v_type = ParseKvType(flags.v_type);
  try {
    const auto& family =
        model::FindFamily(file.metadata().GetString("general.architecture"), file.path());
    const model::Hparams h = model::ReadHparams(file, family);
    const int64_t context = flags.context > 0 ? flags.context : h.context;
    const uint64_t kv = engine::KvCache::BytesFor(h, k_type, v_type, context);
    (*report)["memory"] = {{"context", context},
                           {"weights_bytes", file.file_bytes()},
                           {"kv_bytes", kv},
                           {"total_bytes", file.file_bytes() + kv}};
  } catch (const Error& error) {
    (*report)["memory"] = {{"error", error.what()}};
  }
  try {
    const text::Tokenizer tokenizer = model::MakeTokenizer(file);
    ordered_json stop = ordered_json::array();
    for (const int32_t id : tokenizer.end_of_generation())
      stop.push_back({{"id", id}, {"text", tokenizer.TokenBytes(id)}});
    (*report)["tokenizer"] = {{"tokens", tokenizer.size()},
                              {"bos", tokenizer.bos()},
                              {"adds_bos", tokenizer.adds_bos()},
                              {"end_of_generation", stop}};
  } catch (const Error& error) {
    (*report)["tokenizer"] = {{"error", error.what()}};
  }
}

void Print(const ordered_json& r) {
  const auto replace = ordered_json::error_handler_t::replace;
  std::printf("%s: GGUF %d, %s, %zu tensors\n\n", r.at("file").get<std::string>().c_str(),
              r.at("version").get<int>(), FormatBytes(r.at("bytes")).c_str(),
              r.at("tensors").size());
  for (const auto& [key, value] : r.at("metadata").items()) {
    std::string text = value.dump(-1, ' ', false, replace);
    if (text.size() > 120) text = text.substr(0, 117) + "...";
    std::printf("%-48s %s\n", Printable(key).c_str(), Printable(text).c_str());
  }
  std::printf("\n");
  for (const auto& t : r.at("tensors"))
    std::printf("%-36s %-7s %-18s %10s\n", Printable(t.at("name").get<std::string>()).c_str(),
                t.at("type").get<std::string>().c_str(), t.at("shape").dump().c_str(),
                FormatBytes(t.at("bytes")).c_str());
  std::printf("\nby type:");
  for (const auto& [type, bytes] : r.at("bytes_by_type").items())
    std::printf("  %s %s", type.c_str(), FormatBytes(bytes).c_str());
  std::printf("\n");
  const ordered_json& tokenizer = r.at("tokenizer");
  if (tokenizer.contains("error")) {
    std::printf("tokenizer: %s\n", tokenizer.at("error").get<std::string>().c_str());
  } else {
    std::printf("tokenizer: %d tokens, %s; an answer ends at", tokenizer.at("tokens").get<int>(),
                tokenizer.at("adds_bos").get<bool>() ? "begins with BOS" : "no BOS");
    for (const auto& stop : tokenizer.at("end_of_generation"))
      std::printf(" %s", stop.at("text").dump(-1, ' ', false, replace).c_str());
    std::printf("\n");
  }
  const ordered_json& memory = r.at("memory");
  if (memory.contains("error")) {
    std::printf("memory: %s\n", memory.at("error").get<std::string>().c_str());
  } else {
    std::printf("memory: %s = weights %s + keys and values of %lld tokens %s\n",
                FormatBytes(memory.at("total_bytes")).c_str(),
                FormatBytes(memory.at("weights_bytes")).c_str(),
                static_cast<long long>(memory.at("context").get<int64_t>()),
                FormatBytes(memory.at("kv_bytes")).c_str());
  }
}

void Run(const Flags& flags) {
  if (IsPeftFolder(flags.file)) return InspectAdapter(flags.file, flags.is_json);
  const auto file = format::GgufFile::Open(ResolveModelPath(flags.file));
  ordered_json report = {{"file", file.path()},
                         {"version", file.version()},
                         {"parts", file.num_parts()},
                         {"bytes", file.file_bytes()},
                         {"metadata", ordered_json::object()}};
  for (const auto& entry : file.metadata().entries())
    report["metadata"][std::string(entry.key)] = ToJson(entry.value);
  std::map<std::string, uint64_t> by_type;
  for (const format::GgufTensor& t : file.tensors())
    by_type[quant::Traits(t.type).name] += t.bytes();
  report["bytes_by_type"] = by_type;
  AddModelFacts(file, flags, &report);
  report["tensors"] = Tensors(file);
  if (flags.is_json) {
    const auto replace = ordered_json::error_handler_t::replace;
    std::printf("%s\n", report.dump(-1, ' ', false, replace).c_str());
  } else {
    Print(report);
  }
}

}  // namespace

Work DeclareInspect(CLI::App* app) {
  auto flags = std::make_shared<Flags>();
  CLI::Option* file = app->add_option(
      "file", flags->file, "GGUF file, model name or folder of an adapter (default: that of -m)");
  AddModel(app, &flags->file)->excludes(file);
  app->add_option("-c,--ctx-size", flags->context,
                  "Context that memory is told for; 0: the model's")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 24));
  app->add_option("--cache-type-k", flags->k_type, "-ctk: f32, f16 or q8_0");
  app->add_option("--cache-type-v", flags->v_type, "-ctv: f32, f16 or q8_0");
  AddJson(app, &flags->is_json);
  return [flags] { Run(*flags); };
}

}  // namespace slm::cli
