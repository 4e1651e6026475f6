#include "train/training_log.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/result_file.h"

namespace slm::train {

using nlohmann::ordered_json;

TrainingLog::TrainingLog(std::string path, int64_t done, int64_t evaluated)
    : path_(std::move(path)) {
  const bool goes_on = done > 0 && std::filesystem::is_regular_file(path_);
  if (goes_on) {
    std::string kept;
    std::ifstream old(path_);
    for (std::string line; std::getline(old, line);) {
      const ordered_json json = ordered_json::parse(line, nullptr, false);
      // A kill may have cut the last one.
      const bool has_step = json.is_object() && json.contains("step") && json["step"].is_number();
      const int64_t last = json.contains("eval_loss") ? evaluated : done;
      if (has_step && json["step"].get<int64_t>() <= last) kept += line + "\n";
    }
    ResultFile result(path_);
    result.Write(kept.data(), kept.size());
    result.Finish();
  }
  file_ = std::fopen(path_.c_str(), goes_on ? "a" : "w");
  if (!file_) throw Error(Code::kFailed, "{}: {}", path_, std::strerror(errno));
}

TrainingLog::~TrainingLog() {
  if (file_) std::fclose(file_);
}

void TrainingLog::WriteLine(const std::string& line) {
  if (std::fwrite(line.data(), 1, line.size(), file_) != line.size() || std::fflush(file_) != 0)
    throw Error(Code::kFailed, "{}: {}", path_, std::strerror(errno));
}

void TrainingLog::Write(const StepReport& report) {
  const ordered_json json = {{"step", report.step},
                             {"epoch", report.epoch},
                             {"loss", report.result.loss},
                             {"gradient_norm", report.result.gradient_norm},
                             {"learning_rate", report.learning_rate},
                             {"trained_tokens", report.result.trained},
                             {"tokens", report.result.rows},
                             {"seconds", report.seconds}};
  WriteLine(json.dump() + "\n");
}

void TrainingLog::Write(const EvaluationReport& report) {
  const ordered_json json = {
      {"step", report.step}, {"eval_loss", report.loss}, {"is_best", report.is_best}};
  WriteLine(json.dump() + "\n");
}

TrainingHistory ReadTrainingLog(const std::string& path) {
  TrainingHistory history;
  if (!std::filesystem::is_regular_file(path)) return history;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) try {
      const ordered_json json = ordered_json::parse(line);
      if (json.contains("eval_loss"))
        history.evaluations.push_back({json.at("step"), json.at("eval_loss"), json.at("is_best")});
      else
        history.steps.push_back({json.at("step"),
                                 json.at("epoch"),
                                 json.at("learning_rate"),
                                 {json.at("loss"), json.at("gradient_norm"),
                                  json.at("trained_tokens"), json.at("tokens")},
                                 json.at("seconds")});
    } catch (const ordered_json::exception&) {
    }
  return history;
}

}  // namespace slm::train
