#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/progress.h"
#include "base/result_file.h"
#include "cli/commands.h"
#include "cli/finetune_flags.h"
#include "cli/options.h"
#include "cli/plan_answer.h"
#include "cli/planned_model.h"
#include "plan/this_machine.h"

namespace slm::cli {
namespace {

constexpr const char* kCacheType = "f16";

struct Flags {
  std::string model, device, devices_file, prices_file, task;
  std::string k_type = kCacheType, v_type = kCacheType;
  plan::ServingLoad load;
  plan::Call call = {0, 0};  // 0: left open
  int threads = 0;
  FinetuneFlags finetune;
  int64_t examples = 0;     // 0: no fine-tuning
  double milliseconds = 0;  // that a call may take; 0: any
  plan::Wish wish;
  std::vector<std::string> apis;
  plan::OwnCostOptions cost;
  double memory = 0, watts = 0, price = 0;  // of the device; GiB; 0: what is known of it
  std::string html;
  bool lists_devices = false, is_json = false;
};

// Of a request, where nothing else is said and the model has room for it.
constexpr int64_t kContext = 4096, kTokensIn = 512, kTokensOut = 64;

// What was left open, shortened where the context that was said has no room. Throws kUsage where a
// call does not fit.
void FillIn(Flags* flags, int64_t model_context) {
  plan::Call& call = flags->call;
  int64_t& context = flags->load.context;
  const bool is_in_open = call.tokens_in == 0, is_out_open = call.tokens_out == 0;
  const auto room = [&](int64_t usual, int64_t most) {
    return context == 0 ? usual : std::clamp<int64_t>(most, 1, usual);
  };
  if (is_out_open)
    call.tokens_out = room(kTokensOut, is_in_open ? context / 8 : context - call.tokens_in);
  if (is_in_open) call.tokens_in = room(kTokensIn, context - call.tokens_out);
  if (context == 0)
    context = std::max(std::min(kContext, model_context), call.tokens_in + call.tokens_out);
  if (call.tokens_in + call.tokens_out > context)
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

void PlanModel(const Flags& flags, const plan::Wish& wish, engine::Runtime* runtime,
               PlanAnswer* answer) {
  const plan::ModelSize& size = *answer->size;
  answer->serving = plan::PlanServing(size, answer->load, answer->call, answer->device, runtime);
  answer->verdict = plan::Judge(wish, answer->call, answer->device, *answer->serving);
  if (answer->load.context > size.hparams.context)
    answer->verdict->problems.push_back(plan::MadeFor(size.hparams.context));
  answer->cost = plan::CostOf(*answer->serving, answer->call, answer->device, wish.cost);
  if (flags.examples > 0) {
    answer->job = JobOf(flags, size.hparams.context);
    answer->training = plan::PlanTraining(size, *answer->job, answer->device, runtime);
  }
}

// A driver that does not start is no reason not to plan for the CPU.
std::vector<plan::LocalCard> FindCards() {
  try {
    return plan::LocalCards();
  } catch (const Error& error) {
    std::fprintf(stderr, "slm: no card was asked: %s\n", error.what());
    return {};
  }
}

plan::Figure Said(double value) { return {value, "the command line", "now", "said"}; }

// Here what a model may take, elsewhere all that the device has, whose price is another's then.
void SetMemory(double bytes, plan::Device* device) {
  if (device->kind != "here") {
    if (bytes != device->memory.value) device->price = {};
    device->memory = Said(bytes);
    return;
  }
  if (bytes > device->memory.value)
    throw Error(Code::kUsage, "--memory: this machine has {}",
                FormatBytes(static_cast<uint64_t>(device->memory.value)));
  device->free_bytes = static_cast<uint64_t>(bytes);
  device->usable_reason = "as --memory says";
}

plan::Device FindDevice(const Flags& flags, engine::Runtime* runtime) {
  plan::Device device = flags.device.empty() ? plan::MeasureThisMachine(runtime)
                                             : plan::FindDevice(flags.device, flags.devices_file);
  if (flags.memory > 0) SetMemory(flags.memory * (1 << 30), &device);
  if (flags.watts > 0) device.watts = Said(flags.watts);
  if (flags.price > 0) device.price = Said(flags.price);
  return device;
}

// A file of prices is there to be compared with. Else those that are named, and the usual ones
// unless data may not leave, there is no network, or a model was chosen already.
std::vector<plan::ApiPrice> FindPrices(const Flags& flags) {
  const std::vector<plan::ApiPrice> all = plan::ApiPrices(flags.prices_file);
  std::vector<plan::ApiPrice> prices;
  for (const std::string& id : flags.apis) prices.push_back(plan::FindPrice(all, id));
  const bool compares = flags.model.empty() && !flags.wish.is_private && !flags.wish.is_offline;
  if (flags.apis.empty() && (compares || !flags.prices_file.empty()))
    prices = plan::UsualPrices(all);
  return prices;
}

void Run(Flags flags) {
  if (flags.lists_devices) return ListDevices(flags.devices_file, flags.is_json);
  if (flags.device == "here") flags.device.clear();
  if (flags.device.empty() && !flags.devices_file.empty())
    throw Error(Code::kUsage, "--devices: name one of them by --device, or see --list-devices");
  flags.load.k_type = ParseKvType(flags.k_type);
  flags.load.v_type = ParseKvType(flags.v_type);
  PlanAnswer answer;
  if (!flags.model.empty()) answer.size = PlannedModel(flags.model);
  FillIn(&flags, answer.size ? answer.size->hparams.context : kContext);
  answer.load = flags.load;
  for (const auto& [name, type] : {std::pair("k", flags.k_type), std::pair("v", flags.v_type)})
    if (type != kCacheType) answer.cache_flags += fmt::format(" --cache-type-{} {}", name, type);
  answer.call = flags.call;
  if (!flags.task.empty()) answer.task = plan::FindTask(flags.task);
  answer.prices = FindPrices(flags);
  if (!flags.html.empty()) CheckOutput(flags.html, {flags.devices_file, flags.prices_file});
  engine::Runtime runtime(flags.threads);
  answer.device = FindDevice(flags, &runtime);
  if (flags.device.empty()) answer.cards = FindCards();
  answer.calls_a_month = flags.wish.calls_a_month;
  answer.cost_options = flags.cost;
  plan::Wish wish = flags.wish;
  wish.task = answer.task;
  wish.call_seconds = answer.call_seconds = flags.milliseconds / 1000;
  wish.cost = flags.cost;
  answer.has_limits = wish.call_seconds > 0 || wish.calls_a_month > 0 || wish.usd_a_month > 0;
  if (answer.size) {
    PlanModel(flags, wish, &runtime, &answer);
  } else {
    answer.advice = plan::Advise(wish, answer.load, answer.call, answer.device, &runtime);
    if (answer.advice->fitting() > 0) answer.cost = answer.advice->choices.front().cost;
  }
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
  constexpr int64_t kMost = 1 << 24;
  const auto tokens = CLI::Range(int64_t{1}, kMost);
  app->add_option("-c,--ctx-size", flags->load.context,
                  "Context of a request in tokens; default: 4096, or the model's when that is less")
      ->check(CLI::Range(int64_t{2}, kMost));  // a token in, and one out
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
  add("--epochs", f->run.epochs, "Times through the examples")
      ->check(AboveZero())
      ->check(CLI::Range(0.0, 1e6));
  add("--precision", f->precision, "int8, int16 or f32")
      ->check(CLI::IsMember({"int8", "int16", "f32"}));
  add("--checkpointing", f->checkpointing, "on or off")->check(CLI::IsMember({"on", "off"}));
}

void AddWish(CLI::App* app, Flags* flags, CLI::Option* model) {
  const auto add = [&](const char* name, auto& value, const char* help) {
    return app->add_option(name, value, help)->excludes(model);
  };
  const auto add_flag = [&](const char* name, bool& value, const char* help) {
    return app->add_flag(name, value, help)->excludes(model);
  };
  add("--task", flags->task,
      "sql, intents, extraction, contracts, questions, summaries, code, math, chat or writing");
  add("--type", flags->wish.type,
      "Of all models; default: Q4_K_M, or Q8_0 below 2 billion parameters where that fits");
  add("--language", flags->wish.language, "That the model has to know: de");
  add("--input", flags->wish.input, "That it has to read: image");
  add("--html", flags->html, "Write a page with charts, which needs nothing else");
  add_flag("--commercial", flags->wish.is_commercial, "Licences that allow commercial use");
  add_flag("--all", flags->wish.has_successors, "Successors that were not yet run here, too");
  for (CLI::Option* option :
       {add_flag("--private", flags->wish.is_private, "Data may not leave the device"),
        add_flag("--offline", flags->wish.is_offline, "There is no network")})
    option->excludes(app->get_option("--api"))->excludes(app->get_option("--prices"));
}

void AddLimits(CLI::App* app, Flags* flags) {
  const auto add = [&](const char* name, double& value, double most, const char* help) {
    return app->add_option(name, value, help)->check(AboveZero())->check(CLI::Range(0.0, most));
  };
  add("--latency", flags->milliseconds, 1e9, "Milliseconds that a call may take");
  CLI::Option* calls =
      add("--calls", flags->wish.calls_a_month, 1e12, "Calls a month that have to be answered");
  add("--budget", flags->wish.usd_a_month, 1e9, "USD a month for the device and its energy")
      ->needs(calls);
}

void AddCosts(CLI::App* app, Flags* flags) {
  app->add_option("--api", flags->apis,
                  "A price of --prices or of catalog/api-prices.json to compare with; repeatable");
  app->add_option("--prices", flags->prices_file,
                  "A file of prices of your own, a JSON record a line, as in catalog/README.md");
  const auto add = [&](const char* name, auto& value, double most, const char* help) {
    return app->add_option(name, value, help)->check(CLI::Range(0.0, most));
  };
  add("--watts", flags->watts, 1e6, "That the device draws; default: the catalog's")
      ->check(AboveZero());
  add("--price", flags->price, 1e9, "Of the device in USD; default: the catalog's")
      ->check(AboveZero());
  add("--electricity", flags->cost.usd_per_kilowatt_hour, 1e3, "USD for a kWh")
      ->check(NotNegative());
  add("--years", flags->cost.years, 100, "In which the device is paid for")
      ->check(AboveZero())
      ->capture_default_str();
}

// --list-devices says nothing of a plan.
void CheckIsAlone(const CLI::App& app) {
  static const std::set<std::string> kWithIt = {"list-devices", "devices", "json", "threads"};
  for (const CLI::Option* option : app.get_options())
    if (option->count() > 0 && !kWithIt.contains(option->get_single_name()))
      throw Error(Code::kUsage, "--list-devices does not go with --{}", option->get_single_name());
}

}  // namespace

Work DeclarePlan(CLI::App* app) {
  auto flags = std::make_shared<Flags>();
  CLI::Option* model =
      app->add_option("-m,--model", flags->model,
                      "GGUF file, MODEL[:TYPE] of slm catalog, or a name from slm models; default: "
                      "those of the catalog are compared");
  app->add_option("--device", flags->device,
                  "A device of --devices or of catalog/devices.json; default: here, this machine");
  app->add_option("--devices", flags->devices_file,
                  "A file of devices of your own, a JSON record a line, as in catalog/README.md");
  app->add_flag("--list-devices", flags->lists_devices, "Say which devices are known");
  app->add_option("--memory", flags->memory,
                  "Of the device, in GiB; default: the catalog's, or what is free here")
      ->check(AboveZero())
      ->check(CLI::Range(0.0, 1e6));
  AddLoad(app, flags.get());
  AddFinetune(app, flags.get(), model);
  AddLimits(app, flags.get());
  AddCosts(app, flags.get());
  AddWish(app, flags.get(), model);
  AddThreads(app, &flags->threads);
  AddJson(app, &flags->is_json);
  return [flags, app] {
    if (flags->lists_devices) CheckIsAlone(*app);
    Run(*flags);
  };
}

}  // namespace slm::cli
