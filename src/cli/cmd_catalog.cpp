#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/say.h"
#include "engine/model.h"
#include "plan/advice.h"
#include "plan/facts.h"
#include "plan/this_machine.h"

namespace slm::cli {
namespace {

using nlohmann::ordered_json;

// Of the table.
constexpr const char* kBenchmarks[] = {"MMLU", "MMLU-Pro", "MATH", "HumanEval", "GPQA", "MMMU"};

struct Flags {
  std::string model, least, most, device;
  plan::CatalogFilter filter;
  bool is_json = false;
};

std::string Count(double n) {
  if (n >= 0.9995e9) return fmt::format("{:.1f}B", n / 1e9);
  if (n >= 1e6) return fmt::format("{:.0f}M", n / 1e6);
  return n > 0 ? fmt::format("{:.0f}", n) : "-";
}

std::string Context(int64_t tokens) {
  return tokens >= 1024 ? fmt::format("{}K", tokens / 1024)
         : tokens > 0   ? std::to_string(tokens)
                        : "-";
}

std::string Shown(const std::optional<plan::ShownScore>& score) {
  return score ? fmt::format("{:.1f}{:1}", score->value, score->mark) : "- ";
}

void PrintTable(const std::vector<plan::CatalogModel>& models) {
  if (models.empty()) {
    Say("no model is like that\n");
    return;
  }
  Say("{:22} {:>7} {:>7} {:>11}", "model", "params", "context", "commercial");
  for (const char* benchmark : kBenchmarks) Say(" {:>9}", benchmark);
  Say("  reads\n");
  bool has_successor = false;
  for (const plan::CatalogModel& m : models) {
    const bool is_new = m.role == "successor";
    Say("{:22} {:>7} {:>7} {:>11}", m.id + (is_new ? " *" : ""),
        Count(static_cast<double>(m.parameters)), Context(m.context),
        m.commercial.empty() ? "-" : m.commercial);
    for (const char* benchmark : kBenchmarks) Say(" {:>9}", Shown(plan::BestScore(m, benchmark)));
    Say("  {}\n", fmt::join(m.inputs, ", "));
    has_successor = has_successor || is_new;
  }
  Say("\nScores in percent, as published, of instruct models; {}.\nProtocols differ: slm catalog "
      "MODEL has each with its source.{}\n",
      plan::kMarks, has_successor ? " *: a successor, not yet run here." : "");
}

// Members of a record that stand beside a value.
std::string Origin(const ordered_json& figure) {
  return fmt::format("{}, {}, {}", figure.value("source", "-"), figure.value("date", "-"),
                     figure.value("confidence", "-"));
}

void PrintList(const char* title, const ordered_json& record, const char* member) {
  if (!record.contains(member) || record.at(member).empty()) return;
  Say("\n{}\n", title);
  for (const ordered_json& item : record.at(member))
    Say("  {} ({}: {})\n", item.at("text").get<std::string>(), item.at("origin").get<std::string>(),
        item.value("source", "-"));
}

void PrintScores(const ordered_json& record) {
  if (!record.contains("scores")) return;
  Say("\nscores\n");
  for (const ordered_json& s : record.at("scores"))
    Say("  {:22} {:>6} {:4} {:14} {:34} {:12} {}\n", s.at("benchmark").get<std::string>(),
        s.at("value").dump(), s.value("unit", "%"), s.value("variant", ""), s.value("protocol", ""),
        s.at("from").get<std::string>(), Origin(s));
}

void PrintShape(const ordered_json& record) {
  if (!record.contains("shape")) return;
  const ordered_json& shape = record.at("shape");
  Say("\nshape ({})\n ", Origin(shape));
  for (const auto& [name, value] : shape.items())
    if (name != "source" && name != "date" && name != "confidence")
      Say(" {} {};", name, value.is_string() ? value.get<std::string>() : value.dump());
  Say("\n");
}

// Every key of a source that the record names.
void CollectSources(const ordered_json& value, std::vector<std::string>* keys) {
  if (value.is_object() && value.contains("source")) {
    const std::string key = value.at("source");
    if (std::count(keys->begin(), keys->end(), key) == 0) keys->push_back(key);
  }
  if (value.is_structured())
    for (const ordered_json& each : value) CollectSources(each, keys);
}

void PrintModel(const plan::CatalogModel& model) {
  const ordered_json& record = *model.record;
  Say("{} ({}), {}, {}\n", model.name, model.id, record.value("publisher", ""),
      record.value("released", ""));
  if (!model.is_run) Say("not yet run here\n");
  if (record.contains("hub"))
    for (const auto& [name, value] : record.at("hub").items())
      Say("  {:12} {}\n", name,
          value.is_array()
              ? fmt::format("{}", fmt::join(value.get<std::vector<std::string>>(), ", "))
          : value.is_string() ? value.get<std::string>()
                              : value.dump());
  if (record.contains("licence")) {
    const ordered_json& licence = record.at("licence");
    Say("\nlicence: {} ({})\n  commercial use: {}; {}\n", model.licence, Origin(licence),
        model.commercial, licence.value("allows", ""));
    if (licence.contains("conditions"))
      for (const ordered_json& condition : licence.at("conditions"))
        Say("  - {}\n", condition.get<std::string>());
  }
  Say("\nreads {}; languages: {}\n", fmt::join(model.inputs, ", "),
      !model.languages.empty() ? fmt::format("{}", fmt::join(model.languages, ", "))
      : model.claimed_languages > 0
          ? fmt::format("{} claimed, without a list", model.claimed_languages)
          : "not said");
  if (model.parameters > 0)
    Say("{} parameters, {} of them in the embedding\n", model.parameters,
        record.at("parameters").value("embedding", uint64_t{0}));
  PrintShape(record);
  PrintList("best for", record, "best_for");
  PrintList("bad at", record, "bad_at");
  PrintScores(record);
  std::vector<std::string> keys;
  CollectSources(record, &keys);
  Say("\nsources\n");
  for (const std::string& key : keys) Say("  {}: {}\n", key, plan::DescribeSource("models", key));
}

// "1.5B" is what people say of parameters.
uint64_t ParseParameters(const char* flag, const std::string& text) {
  const bool is_of_billions = text.ends_with('B') || text.ends_with('b');
  try {
    return ParseBytes(flag, is_of_billions ? text.substr(0, text.size() - 1) + 'G' : text);
  } catch (const Error&) {
    throw Error(Code::kUsage, "{} {}: expected a number of parameters as 500M or 4B", flag, text);
  }
}

// In the usual type, with a request of the usual length.
bool Fits(const plan::CatalogModel& model, const plan::Device& device, engine::Runtime* runtime) {
  constexpr int64_t kContext = 4096;
  const plan::ModelSize size = plan::SizeOf(model, compress::FindRecipe(plan::kUsualType));
  return plan::PlanServing(size, {.context = std::min(kContext, size.hparams.context)}, {}, device,
                           runtime)
      .fits();
}

// Those that fit on a device; "here": on this machine.
void KeepFitting(const std::string& name, std::vector<plan::CatalogModel>* models) {
  engine::Runtime runtime(0);
  const plan::Device device =
      name == "here" ? plan::MeasureThisMachine(&runtime) : plan::FindDevice(name, "");
  if (!device.usable_bytes())
    throw Error(Code::kUsage,
                "--device {}: how much memory it has is not known; slm plan takes --memory", name);
  const size_t unknown = std::erase_if(
      *models, [](const plan::CatalogModel& model) { return !plan::IsPlannable(model); });
  if (unknown > 0)
    std::fprintf(stderr, "slm: left out, as too little is known of their shapes: %zu models\n",
                 unknown);
  std::erase_if(*models,
                [&](const plan::CatalogModel& model) { return !Fits(model, device, &runtime); });
}

void Run(Flags flags) {
  if (!flags.least.empty())
    flags.filter.least_parameters = ParseParameters("--min-params", flags.least);
  if (!flags.most.empty())
    flags.filter.most_parameters = ParseParameters("--max-params", flags.most);
  std::vector<plan::CatalogModel> models;
  if (flags.model.empty())
    models = plan::FindModels(flags.filter);
  else
    models.push_back(plan::FindCatalogModel(flags.model));
  if (!flags.device.empty()) KeepFitting(flags.device, &models);
  if (flags.is_json) {
    ordered_json list = ordered_json::array();
    for (const plan::CatalogModel& model : models) list.push_back(*model.record);
    const ordered_json& facts = plan::Facts("models");
    const ordered_json json = {
        {"read_on", facts.at("read_on")}, {"models", list}, {"sources", facts.at("sources")}};
    Say("{}\n", json.dump());
    return;
  }
  flags.model.empty() ? PrintTable(models) : PrintModel(models.front());
}

}  // namespace

Work DeclareCatalog(CLI::App* app) {
  auto flags = std::make_shared<Flags>();
  CLI::Option* model =
      app->add_option("model", flags->model, "One model, with all that is known and its sources");
  const auto add = [&](const char* name, auto& value, const char* help) {
    app->add_option(name, value, help)->excludes(model);
  };
  add("--licence,--license", flags->filter.licence, "A part of its name, as mit, apache, gemma");
  app->add_flag("--commercial", flags->filter.is_commercial,
                "Only what may be used in a business, with conditions or without")
      ->excludes(model);
  add("--min-params", flags->least, "Parameters at least, as 500M");
  add("--max-params", flags->most, "Parameters at most, as 4B");
  add("--language", flags->filter.language, "By its code, as de");
  add("--input", flags->filter.input, "What it reads beside text, as image");
  add("--device", flags->device,
      "Those that fit on it in Q4_K_M, with 4096 tokens; here: on this machine");
  add("--sort", flags->filter.sort,
      "By a benchmark, as MATH, or by parameters, context or released; highest first");
  app->add_flag("--all", flags->filter.has_all,
                "Successors that were not run yet and models to compare with, too")
      ->excludes(model);
  AddJson(app, &flags->is_json);
  return [flags] { Run(*flags); };
}

}  // namespace slm::cli
