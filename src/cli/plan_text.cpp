#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <set>

#include "base/cpu.h"
#include "base/progress.h"
#include "cli/plan_answer.h"
#include "cli/say.h"

namespace slm::cli {
namespace {

constexpr size_t kShortList = 3;
constexpr double kHour = 3600;

void SayDevice(const plan::Device& device) {
  Say("on {}", device.name);
  if (const auto usable = device.usable_bytes())
    Say(": {} of {} for a model{}", FormatBytes(*usable),
        FormatBytes(static_cast<uint64_t>(device.memory.value)),
        device.usable_reason.empty() ? "" : fmt::format(" ({})", device.usable_reason));
  if (device.read_bandwidth)
    Say(", reads {}/s{}", FormatBytes(static_cast<uint64_t>(device.read_bandwidth.value)),
        device.kind == "here" ? " now, beside what else runs"
        : device.cards > 1    ? " a card, by its specification"
                              : " by its specification");
  if (device.kind != "here" && !plan::IsMeasured(device))
    Say("; what follows is computed, never measured");
  Say("\n");
}

void SayCards(const std::vector<plan::LocalCard>& cards) {
  for (const plan::LocalCard& card : cards)
    Say("beside it {} with {}, which slm does not compute on: {}\n", card.gpu.name,
        FormatBytes(card.gpu.memory_bytes),
        card.device.empty() ? "describe it in a file for --devices to plan for what does"
                            : fmt::format("--device {} plans for what does", card.device));
}

void SayMemory(const PlanAnswer& answer) {
  const plan::ServingPlan& plan = *answer.serving;
  const plan::ServingMemory& m = plan.memory;
  Say("memory  {} = weights {} + keys and values of {} x {} tokens {} + activations {}",
      FormatBytes(m.total()), FormatBytes(m.weights), answer.load.parallel, answer.load.context,
      FormatBytes(m.kv), FormatBytes(m.activations));
  if (m.program > 0) Say(" + program {}", FormatBytes(m.program));
  if (!plan.available)
    Say("\n        how much the device has is not known\n");
  else if (plan.fits())
    Say("\n        fits\n");
  else
    Say("\n        does not fit: {} are missing\n", FormatBytes(m.total() - *plan.available));
}

// Tokens a second.
std::string Rate(double value) {
  constexpr double kSlow = 0.1;
  return value <= 0       ? "-"
         : value >= 1000  ? fmt::format("{:.0f}", value)
         : value >= kSlow ? fmt::format("{:.1f}", value)
                          : fmt::format("{:.1g}", value);
}

void SaySpeed(const PlanAnswer& answer) {
  const plan::ServingPlan& plan = *answer.serving;
  const plan::ServingSpeed& speed = plan.speed;
  std::vector<std::string> parts;
  if (speed.prefill > 0)
    parts.push_back(fmt::format("a prompt of {} tokens at {} tokens/s", answer.call.tokens_in,
                                Rate(speed.prefill)));
  if (speed.decode > 0)
    parts.push_back(fmt::format("answers at {} tokens/s behind {} tokens", Rate(speed.decode),
                                answer.load.context));
  if (parts.empty()) return Say("speed   not known: {}\n", plan::WhyNoSpeed(answer.device, speed));
  Say("speed   {}, by {}\n", fmt::join(parts, ", "), plan.efficiency->engine);
  if (const double seconds = plan.call_seconds(answer.call); seconds > 0)
    Say("        a call of {} tokens in and {} out: first token after {}, done after {}\n",
        answer.call.tokens_in, answer.call.tokens_out,
        plan::Seconds(plan.first_token_seconds(answer.call)), plan::Seconds(seconds));
  else
    Say("        not known: {}\n", plan::WhyNoSpeed(answer.device, speed));
  if (answer.load.parallel > 1)
    Say("        of one request at a time; several at once are not yet checked\n");
}

// What of the limits is not kept, or not known to be; those of time and money where there are any.
void SayVerdict(const plan::Verdict& verdict, bool has_limits) {
  for (const std::string& problem : verdict.problems) Say("limits  not kept: {}\n", problem);
  if (!has_limits) return;
  if (verdict.problems.empty() && verdict.unknowns.empty()) Say("limits  kept\n");
  for (const std::string& unknown : verdict.unknowns) Say("limits  not known: {}\n", unknown);
}

std::string LongTime(double seconds) {
  constexpr double kMinute = 60, kDay = 24 * kHour;
  return seconds < kMinute    ? fmt::format("{:.0f} seconds", std::ceil(seconds))
         : seconds < kHour    ? fmt::format("{:.0f} minutes", seconds / kMinute)
         : seconds < 2 * kDay ? fmt::format("{:.1f} hours", seconds / kHour)
                              : fmt::format("{:.1f} days", seconds / kDay);
}

void SayTraining(const PlanAnswer& answer) {
  const plan::TrainingPlan& plan = *answer.training;
  const plan::TrainingJob& job = *answer.job;
  Say("train   {} = base {} + adapter {} + AdamW {} + activations {} + program {}{}\n",
      FormatBytes(plan.total()), FormatBytes(plan.base), FormatBytes(plan.adapter),
      FormatBytes(plan.optimizer), FormatBytes(plan.activations), FormatBytes(plan.program),
      answer.device.kind == "here" ? "" : ", as slm finetune takes it on a CPU");
  if (plan.available && plan.total() > *plan.available)
    Say("        does not fit: {} are missing\n", FormatBytes(plan.total() - *plan.available));
  Say("        {} example{} of {} tokens, {:g} epoch{}: ", job.examples,
      job.examples == 1 ? "" : "s", job.tokens, job.epochs, job.epochs == 1 ? "" : "s");
  if (plan.seconds == 0) return Say("the time is not known\n");
  Say("{} by {}", LongTime(plan.seconds), plan.engine);
  if (plan.kilowatt_hours > 0) Say(", {:.2f} kWh", plan.kilowatt_hours);
  Say("\n");
}

// A word of a command line.
std::string InShell(const std::string& word) {
  const bool is_plain = std::all_of(word.begin(), word.end(), [](unsigned char c) {
    return std::isalnum(c) ||
           std::string_view("/._-+").find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (is_plain) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

// Why a model is where it is.
std::string Place(const plan::Choice& choice) {
  if (!choice.verdict.problems.empty())
    return fmt::format("{}", fmt::join(choice.verdict.problems, "; "));
  return choice.is_slow ? "slower than people read" : "";
}

void SayTable(const PlanAnswer& answer) {
  const plan::Advice& advice = *answer.advice;
  if (const auto& efficiency = advice.choices.front().plan.efficiency)
    Say("\nTokens a second of such a prompt (prefill) and its answer (decode), by {}:\n",
        efficiency->engine);
  Say("\n{:22} {:7} {:>9} {:>9} {:>9} {:>8}\n", "model", "type", "memory", "prefill", "decode",
      answer.task ? "score" : "");
  bool has_marks = false;
  for (const plan::Choice& c : advice.choices) {
    Say("{:22} {:7} {:>9} {:>9} {:>9} {:>8}  {}\n", c.model.id, c.type,
        FormatBytes(c.plan.memory.total()), Rate(c.plan.speed.prefill),
        Rate(c.plan.speed.call_decode),
        c.score ? fmt::format("{:.1f}{:1}", c.score->value, c.score->mark) : "", Place(c));
    has_marks |= c.score && !c.score->mark.empty();
  }
  if (has_marks) Say("\n{}\n", plan::kMarks);
}

void SayAdvice(const PlanAnswer& answer) {
  const plan::Advice& advice = *answer.advice;
  if (answer.task)
    Say("for {}: ranked by {}, as {}\n", answer.task->name, answer.task->benchmark,
        answer.task->because);
  else
    Say("the largest first: --task has a score to rank them by\n");
  Say("for {} tokens in and {} out, of a context of {}", answer.call.tokens_in,
      answer.call.tokens_out, answer.load.context);
  if (answer.call_seconds > 0) Say(", within {}", plan::Seconds(answer.call_seconds));
  if (answer.load.parallel > 1)
    Say(", {} at once, of which the speed is not yet checked", answer.load.parallel);
  Say("\n\n");
  const std::string slm = InShell(ProgramAsCalled());
  const size_t fitting = advice.fitting();
  for (size_t i = 0; i < std::min(kShortList, fitting); ++i) {
    const plan::Choice& choice = advice.choices[i];
    Say("{}. {} in {}: {}\n", i + 1, choice.model.name, choice.type,
        fmt::join(choice.verdict.reasons, "; "));
    if (!choice.verdict.unknowns.empty())
      Say("   not known: {}\n", fmt::join(choice.verdict.unknowns, "; "));
    if (choice.pull.empty()) continue;
    // Cards, phones and what has its own system get the file; their engine is another's.
    if (answer.device.kind == "here")
      Say("   {0} chat -c {2}{3} -m \"$({0} pull {1})\"\n", slm, choice.pull, answer.load.context,
          answer.cache_flags);
    else
      Say("   {} pull {}\n", slm, choice.pull);
  }
  if (fitting == 0) {
    const auto smallest = std::min_element(
        advice.choices.begin(), advice.choices.end(),
        [](const auto& a, const auto& b) { return a.plan.memory.total() < b.plan.memory.total(); });
    Say("no model is within these limits; the smallest, {}: {}\n", smallest->model.id,
        fmt::join(smallest->verdict.problems, "; "));
  }
  for (const plan::Choice& choice : advice.choices)
    if (choice.verdict.is_near)
      Say("nearly: {} in {}: {}\n", choice.model.name, choice.type,
          fmt::join(choice.verdict.problems, "; "));
  SayTable(answer);
  if (!advice.left_out.empty())
    Say("\nleft out by --language, --input or --commercial: {}\n",
        fmt::join(advice.left_out, ", "));
  if (!advice.rules.empty()) Say("\n");
  for (const plan::Rule& rule : advice.rules)
    Say("{}: {} ({})\n", rule.when, rule.advice, rule.origin());
}

std::string Usd(double usd) { return fmt::format("{:.{}f} USD", usd, usd < 1 ? 4 : 2); }

// The date of a figure of the catalog is in its source.
std::string From(const plan::Figure& figure) {
  return figure.source.find(figure.date) != std::string::npos
             ? figure.source
             : fmt::format("{} ({})", figure.source, figure.date);
}

void SayOwnCost(const PlanAnswer& answer) {
  const plan::OwnCost& cost = *answer.cost;
  const bool is_asked = answer.cost_options.usd_per_kilowatt_hour || answer.has_limits;
  if (cost.kilowatt_hours == 0 && cost.usd_a_month == 0 && !is_asked && answer.prices.empty())
    return;
  Say("cost    of {}, one call at a time, without idle hours{}:\n",
      answer.advice ? answer.advice->choices.front().model.name : answer.size->name,
      answer.device.kind == "gpu" ? ", work and the computer around the card" : " and work");
  if (cost.kilowatt_hours > 0)
    Say("        {:.3f} kWh a thousand calls, {}; {:g} W of {}\n", cost.kilowatt_hours,
        cost.usd_of_thousand ? Usd(*cost.usd_of_thousand) : "whose price --electricity says",
        answer.device.watts.value, From(answer.device.watts));
  if (cost.usd_a_month > 0)
    Say("        the device itself {} a month{}; {} over {:g} years, of {}\n",
        Usd(cost.usd_a_month),
        cost.calls_a_month >= 1
            ? fmt::format(", for at most {:.0f} calls", std::floor(cost.calls_a_month))
            : "",
        Usd(answer.device.price.value), answer.cost_options.years, From(answer.device.price));
  if (const auto month = cost.usd_of_month(answer.calls_a_month); month && answer.calls_a_month > 0)
    Say("        {} for {:.0f} calls a month\n", Usd(*month), answer.calls_a_month);
  if (!cost.missing.empty())
    Say("        in all not known, for want of {}\n", fmt::join(cost.missing, ", "));
}

void SayCosts(const PlanAnswer& answer) {
  Say("\n");
  if (answer.cost) SayOwnCost(answer);
  std::set<std::string> sources;
  for (const plan::ApiPrice& price : answer.prices) {
    const double usd = price.usd_of_thousand(answer.call);
    Say("        {}: {} a thousand calls", price.id, Usd(usd));
    if (answer.calls_a_month > 0) Say(", {} a month", Usd(usd * answer.calls_a_month / 1000));
    if (const auto even = answer.cost ? plan::BreakEvenOf(*answer.cost, usd) : plan::BreakEven{};
        even.is_known)
      Say("; the device is {}", even.calls > 0
                                    ? fmt::format("cheaper from {:.0f} calls a month", even.calls)
                                    : "never cheaper");
    Say(" ({})\n", price.date);
    sources.insert(price.source);
  }
  for (const std::string& source : sources) Say("        prices: {}\n", source);
}

}  // namespace

void Print(const PlanAnswer& answer) {
  if (answer.size)
    Say("{}{}{}: {:.2f}B parameters\n", answer.size->name, answer.size->type.empty() ? "" : " in ",
        answer.size->type, static_cast<double>(answer.size->parameters()) / 1e9);
  SayDevice(answer.device);
  SayCards(answer.cards);
  if (answer.serving) {
    SayMemory(answer);
    SaySpeed(answer);
    if (answer.verdict) SayVerdict(*answer.verdict, answer.has_limits);
  }
  if (answer.training) SayTraining(answer);
  if (answer.advice) SayAdvice(answer);
  SayCosts(answer);
}

}  // namespace slm::cli
