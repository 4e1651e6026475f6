// Which models of the catalog suit a task on a device, and why.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "plan/catalog.h"
#include "plan/cost.h"
#include "plan/serving_plan.h"

namespace slm::plan {

// What a file is mostly made in.
inline constexpr const char* kUsualType = "Q4_K_M";

struct Rule {
  std::string id, when, advice, from, confidence, source;
  std::string note;  // what speaks against it, or for it; empty: nothing

  std::string origin() const;  // in words: "rule of thumb, confidence high; its note"
};

struct Task {
  std::string id, name, benchmark, because;
  std::vector<Rule> rules;
};

// Throws kUsage with the known ones.
Task FindTask(const std::string& id);

struct Wish {
  std::optional<Task> task;
  double call_seconds = 0;  // that a call may take; 0: any
  std::string type;         // of all models; empty: by their size
  std::string language;     // code; empty: any
  std::string input;        // "image"; empty: text
  bool is_commercial = false;
  bool has_successors = false;
  bool is_private = false;   // data may not leave the device
  bool is_offline = false;   // there is no network
  double calls_a_month = 0;  // 0: not known
  double usd_a_month = 0;    // for the device and its energy; 0: any
  OwnCostOptions cost;
};

// Whether enough of its shape is known.
bool IsPlannable(const CatalogModel& model);

// What speaks for a plan and against it, in words.
struct Verdict {
  std::vector<std::string> reasons;
  std::vector<std::string> problems;  // limits that it does not keep
  std::vector<std::string> unknowns;
  bool is_near = false;  // the one problem is the time, by no more than plans of it are off
};

std::string Seconds(double seconds);  // in words: "38 ms", "2.1 s"

// In words: the problem of a model that was made for fewer tokens than are asked for.
std::string MadeFor(int64_t context);

// Of memory, time and money.
Verdict Judge(const Wish& wish, const Call& call, const Device& device, const ServingPlan& plan);

struct Choice {
  CatalogModel model;
  std::string type;  // "Q4_K_M"
  // What slm pull takes for it: a file that the catalog has, or one of the type in a repository
  // that it has, which is not checked; empty: none is known.
  std::string pull;
  ServingPlan plan;
  OwnCost cost;
  std::optional<ShownScore> score;  // of the task's benchmark
  bool is_slow = false;             // answers more slowly than people read, where no time is set
  Verdict verdict;                  // without problems it is in the short list
};

struct Advice {
  // Those without problems first; of them, where no time is set, those that answer as fast as
  // people read; of them the best.
  std::vector<Choice> choices;
  std::vector<Rule> rules;  // that apply
  // Models of the catalog that have not the language, the input or the licence.
  std::vector<std::string> left_out;

  size_t fitting() const;  // choices without problems
};

// Throws as FindModels does, and kUsage where no model has all that is wished.
Advice Advise(const Wish& wish, const ServingLoad& load, const Call& call, const Device& device,
              engine::Runtime* runtime);

}  // namespace slm::plan
