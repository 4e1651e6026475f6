#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/result_file.h"
#include "cli/commands.h"
#include "cli/finetune_flags.h"
#include "cli/options.h"
#include "cli/plan_answer.h"
#include "cli/planned_model.h"
#include "plan/this_machine.h"

namespace slm::cli {
namespace {

struct Flags {
  std::string model, device, devices_file, prices_file, task;
  std::string k_type = "f16", v_type = "f16";
  plan::ServingLoad load;
  plan::Call call = {0, 0};  // 0: left open
  int threads = 0;
  FinetuneFlags finetune;
  int64_t examples = 0;     // 0: no fine-tuning
  double milliseconds = 0;  // that a call may take; 0: any
  plan::Wish wish;
  std::vector<std::string> apis;
  plan::OwnCostOptions cost;
  double watts = 0, price = 0;  // of the device; 0: what is known of it
  std::string html;
  bool is_json = false;
};

// Of a request, where nothing else is said and the model has room for it.
constexpr int64_t kContext = 4096, kTokensIn = 512, kTokensOut = 64;

// What was left open. Throws kUsage where a call does not fit.
void FillIn(Flags* flags, int64_t model_context) {
  plan::Call& call = flags->call;
  int64_t& context = flags->load.context;
  if (context == 0)
    context = std::max(std::min(kContext, model_context), call.tokens_in + call.tokens_out);
  if (call.tokens_out == 0) call.tokens_out = std::clamp<int64_t>(context / 8, 1, kTokensOut);
  if (call.tokens_in == 0)
    call.tokens_in = std::clamp<int64_t>(context - call.tokens_out, 1, kTokensIn);
  if (call.tokens_in + call.tokens_out > context + 1)
    throw Error(Code::kUsage,
                "--tokens-in {} and --tokens-out {} do not fit --ctx-size {}: make that longer, or "
                "leave it out",
                call.tokens_in, call.tokens_out, context);
}

plan::TrainingJob JobOf(const Flags& flags, int64_t context) {
  const FinetuneFlags& f = flags.finetune;
  return {flags.examples, f.longest, f.run.batch,
          f.run.epochs,   f.lora,    TrainerOptionsOf(f, f.longest, context).backward};
}

void PlanModel(const Flags& flags, engine::Runtime* runtime, PlanAnswer* answer) {
  const plan::ModelSize& size = *answer->size;
  answer->serving = plan::PlanServing(size, answer->load, answer->call, answer->device, runtime);
  if (flags.examples > 0) {
    answer->job = JobOf(flags, size.hparams.context);
    answer->training = plan::PlanTraining(size, *answer->job, answer->device, runtime);
  }
  if (answer->load.context > size.hparams.context)
    std::fprintf(stderr,
                 "slm: the context of %lld tokens is longer than the %lld that the model was made "
                 "for\n",
                 static_cast<long long>(answer->load.context),
                 static_cast<long long>(size.hparams.context));
}

// A driver that does not start is no reason to plan for the CPU no more.
std::vector<plan::LocalCard> FindCards() {
  try {
    return plan::LocalCards();
  } catch (const Error& error) {
    std::fprintf(stderr, "slm: no card was asked: %s\n", error.what());
    return {};
  }
}

void Run(Flags flags) {
  flags.load.k_type = ParseKvType(flags.k_type);
  flags.load.v_type = ParseKvType(flags.v_type);
  PlanAnswer answer;
  if (!flags.model.empty()) answer.size = PlannedModel(flags.model);
  FillIn(&flags, answer.size ? answer.size->hparams.context : kContext);
  answer.load = flags.load;
  answer.call = flags.call;
  if (!flags.task.empty()) answer.task = plan::FindTask(flags.task);
  const std::vector<plan::ApiPrice> prices = plan::ApiPrices(flags.prices_file);
  for (const std::string& id : flags.apis) answer.prices.push_back(plan::FindPrice(prices, id));
  // Where data may not leave or there is no network, no API is an answer.
  if (!answer.size && flags.apis.empty() && !flags.wish.is_private && !flags.wish.is_offline)
    answer.prices = plan::UsualPrices(prices);
  if (!flags.html.empty()) CheckOutput(flags.html, {flags.devices_file, flags.prices_file});
  engine::Runtime runtime(flags.threads);
  if (flags.device.empty()) {
    answer.device = plan::MeasureThisMachine(&runtime);
    answer.cards = FindCards();
  } else {
    answer.device = plan::FindDevice(flags.device, flags.devices_file);
  }
  const auto said = [](double value) {
    return plan::Figure{value, "the command line", "now", "said"};
  };
  if (flags.watts > 0) answer.device.watts = said(flags.watts);
  if (flags.price > 0) answer.device.price = said(flags.price);
  answer.calls_a_month = flags.wish.calls_a_month;
  const plan::ServingPlan* priced = nullptr;
  if (answer.size) {
    PlanModel(flags, &runtime, &answer);
    priced = &*answer.serving;
  } else {
    plan::Wish wish = flags.wish;
    wish.task = answer.task;
    wish.call_seconds = flags.milliseconds / 1000;
    wish.cost = flags.cost;
    answer.advice = plan::Advise(wish, answer.load, answer.call, answer.device, &runtime);
    if (answer.advice->fitting() > 0) priced = &answer.advice->choices.front().plan;
  }
  if (priced) answer.cost = plan::CostOf(*priced, answer.call, answer.device, flags.cost);
  if (!flags.html.empty()) {
    const std::string page = RenderHtml(answer);
    ResultFile file(flags.html);
    file.Write(page.data(), page.size());
    file.Finish();
  }
  if (!flags.is_json) return Print(answer);
  constexpr auto kReplace = nlohmann::json::error_handler_t::replace;  // a name may be no UTF-8
  std::printf("%s\n", ToJson(answer).dump(2, ' ', false, kReplace).c_str());
}

void AddLoad(CLI::App* app, Flags* flags) {
  const auto tokens = CLI::Range(int64_t{1}, int64_t{1} << 24);
  app->add_option("-c,--ctx-size", flags->load.context,
                  "Context of a request in tokens; default: 4096, or the model's when that is less")
      ->check(tokens);
  app->add_option("--parallel", flags->load.parallel, "Requests at the same time")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app->add_option("--cache-type-k", flags->k_type, "Type of the key cache: f32, f16 or q8_0")
      ->capture_default_str();
  app->add_option("--cache-type-v", flags->v_type, "Type of the value cache: f32, f16 or q8_0")
      ->capture_default_str();
  app->add_option("--tokens-in", flags->call.tokens_in,
                  "Tokens of a call's prompt; default: 512, or what the context has room for")
      ->check(tokens);
  app->add_option("--tokens-out", flags->call.tokens_out,
                  "Tokens of its answer; default: 64, or an eighth of the context")
      ->check(tokens);
}

void AddFinetune(CLI::App* app, Flags* flags, CLI::Option* model) {
  CLI::Option* finetune =
      app->add_option("--finetune", flags->examples, "Plan slm finetune on so many examples, too")
          ->check(CLI::Range(int64_t{1}, int64_t{1} << 32))
          ->needs(model);
  FinetuneFlags* f = &flags->finetune;
  const auto add = [&](const char* name, auto& value, const char* help) {
    return app->add_option(name, value, help)->needs(finetune)->capture_default_str();
  };
  add("--rank", f->lora.rank, "Of the adapter")->check(CLI::Range(1, 256));
  add("--batch", f->run.batch, "Examples of a step")->check(CLI::Range(1, 1 << 20));
  add("--seq", f->longest, "Tokens of an example")->check(CLI::Range(2, 1 << 20));
  add("--epochs", f->run.epochs, "Times through the examples")->check(AboveZero());
  add("--precision", f->precision, "int8, int16 or f32")
      ->check(CLI::IsMember({"int8", "int16", "f32"}));
  add("--checkpointing", f->checkpointing, "on or off")->check(CLI::IsMember({"on", "off"}));
}

void AddWish(CLI::App* app, Flags* flags, CLI::Option* model) {
  const auto add = [&](const char* name, auto& value, const char* help) {
    return app->add_option(name, value, help)->excludes(model);
  };
  add("--task", flags->task,
      "sql, intents, extraction, contracts, questions, summaries, code, math, chat or writing");
  add("--latency", flags->milliseconds, "Milliseconds that a call may take")->check(AboveZero());
  add("--language", flags->wish.language, "That the model has to know: de");
  add("--input", flags->wish.input, "That it has to read: image");
  add("--html", flags->html, "Write a page with charts, which needs nothing else");
  app->add_flag("--commercial", flags->wish.is_commercial, "Licences that allow commercial use")
      ->excludes(model);
  CLI::Option* api = app->get_option("--api");
  app->add_flag("--private", flags->wish.is_private, "Data may not leave the device")
      ->excludes(model)
      ->excludes(api);
  app->add_flag("--offline", flags->wish.is_offline, "There is no network")
      ->excludes(model)
      ->excludes(api);
  add("--budget", flags->wish.usd_a_month, "USD a month for the device and its energy")
      ->check(AboveZero());
  app->add_flag("--all", flags->wish.has_successors, "Successors that were not yet run here, too")
      ->excludes(model);
}

void AddCosts(CLI::App* app, Flags* flags) {
  app->add_option("--api", flags->apis,
                  "A price of catalog/api-prices.json or of --prices to compare with; repeatable");
  app->add_option("--prices", flags->prices_file,
                  "A file of prices of your own, a JSON record a line, as in catalog/README.md");
  app->add_option("--calls", flags->wish.calls_a_month, "Calls a month that have to be answered")
      ->check(AboveZero());
  app->add_option("--watts", flags->watts, "That the device draws; default: the catalog's")
      ->check(AboveZero());
  app->add_option("--price", flags->price, "Of the device in USD; default: the catalog's")
      ->check(AboveZero());
  app->add_option("--electricity", flags->cost.usd_per_kilowatt_hour, "USD for a kWh")
      ->check(NotNegative());
  app->add_option("--years", flags->cost.years, "In which the device is paid for")
      ->check(AboveZero())
      ->capture_default_str();
}

}  // namespace

Work DeclarePlan(CLI::App* app) {
  auto flags = std::make_shared<Flags>();
  CLI::Option* model =
      app->add_option("-m,--model", flags->model,
                      "GGUF file, MODEL[:TYPE] of slm catalog, or a name from slm models; default: "
                      "those of the catalog are compared");
  app->add_option("--device", flags->device,
                  "A device of catalog/devices.json or of --devices; default: this machine");
  app->add_option("--devices", flags->devices_file,
                  "A file of devices of your own, a JSON record a line, as in catalog/README.md");
  AddLoad(app, flags.get());
  AddFinetune(app, flags.get(), model);
  AddCosts(app, flags.get());
  AddWish(app, flags.get(), model);
  AddThreads(app, &flags->threads);
  AddJson(app, &flags->is_json);
  return [flags] { Run(*flags); };
}

}  // namespace slm::cli
