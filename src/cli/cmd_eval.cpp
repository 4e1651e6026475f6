#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/progress.h"
#include "base/result_file.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "eval/answer_check.h"
#include "eval/batch_answers.h"
#include "eval/interval.h"
#include "eval/likeliest_answer.h"
#include "eval/nearest_example.h"
#include "format/dataset.h"
#include "train/tokenize_example.h"

namespace slm::cli {
namespace {

using nlohmann::ordered_json;

struct Flags {
  ModelOptions model;
  std::string data, metric = "exact", database, shots_data, nearest, output = "answers.jsonl";
  int64_t shots = 0, limit = 0, max_tokens = 256, batch = 16;
  bool is_json = false;
};

// A question, what stands before it, and the answer that is expected.
struct Question {
  size_t line = 0;
  ordered_json messages, tools;
  std::string expected;
};

std::vector<Question> ReadQuestions(const std::string& path) {
  std::vector<Question> questions;
  for (format::Example& example : format::ReadDataset(path).examples) {
    const auto fail = [&](const char* what) {
      throw Error(Code::kBadInput, "{}:{}: {}", path, example.line, what);
    };
    if (example.messages.empty()) fail("expected a conversation, got a text");
    const ordered_json last = example.messages.back();
    if (last.at("role") != "assistant") fail("the last message is not the expected answer");
    if (!last.contains("content") || !last.at("content").is_string())
      fail("the expected answer has no text");
    example.messages.erase(example.messages.size() - 1);
    questions.push_back({example.line, std::move(example.messages), std::move(example.tools),
                         last.at("content").get<std::string>()});
  }
  return questions;
}

// Examples with their answers, behind the question's own system message.
void AddShots(const std::vector<Question>& shots, ordered_json* messages) {
  ordered_json all = ordered_json::array();
  size_t first = 0;
  while (first < messages->size() && (*messages)[first].at("role") == "system")
    all.push_back((*messages)[first++]);
  for (const Question& shot : shots) {
    for (const ordered_json& message : shot.messages)
      if (message.at("role") != "system") all.push_back(message);
    all.push_back({{"role", "assistant"}, {"content", shot.expected}});
  }
  for (; first < messages->size(); ++first) all.push_back((*messages)[first]);
  *messages = std::move(all);
}

// Answers in the order of the questions.
class Evaluation {
 public:
  Evaluation(const Flags& flags, LoadedModel* loaded, const std::vector<Question>& questions)
      : flags_(flags), loaded_(*loaded), questions_(questions), answers_(questions.size()) {
    for (const Question& question : questions)
      prompts_.push_back(loaded_.tokenizer().Encode(
          loaded_.chat_template().RenderChat(question.messages, question.tools, true,
                                             ordered_json::object()),
          {.add_special = true, .parse_special = true}));
  }

  const std::vector<std::string>& Generate(Progress* progress) {
    eval::BatchAnswersOptions options;
    options.session = SessionFor(flags_.max_tokens);
    options.max_tokens = flags_.max_tokens;
    options.stop = loaded_.tokenizer().end_of_generation();
    options.at_once = static_cast<size_t>(flags_.batch);
    uint64_t count = 0;
    progress->Start("answers", ProgressUnit::kCount, 0, prompts_.size());
    eval::AnswerAll(loaded_.model(), &loaded_.executor(), prompts_, options,
                    [&](size_t i, const std::vector<int32_t>& tokens) {
                      answers_[i] = loaded_.tokenizer().Decode(tokens);
                      progress->Update(++count);
                    });
    progress->Finish();
    return answers_;
  }

  // The likeliest of all answers that the questions expect.
  const std::vector<std::string>& Choose(Progress* progress) {
    std::set<std::string> distinct;
    for (const Question& question : questions_) distinct.insert(question.expected);
    const std::vector<std::string> labels(distinct.begin(), distinct.end());
    const std::vector<std::vector<int32_t>> tokens = TokensOf(labels);
    int64_t longest = 0;
    for (const std::vector<int32_t>& label : tokens)
      longest = std::max(longest, static_cast<int64_t>(label.size()));
    engine::Session session(loaded_.model(), SessionFor(longest));
    progress->Start("answers", ProgressUnit::kCount, 0, prompts_.size());
    for (size_t i = 0; i < prompts_.size(); ++i) {
      answers_[i] =
          labels[eval::FindLikeliest(&loaded_.executor(), &session, prompts_[i], tokens).index];
      progress->Update(i + 1);
    }
    progress->Finish();
    return answers_;
  }

 private:
  engine::SessionOptions SessionFor(int64_t behind) const {
    engine::SessionOptions options;
    options.k_type = ParseKvType(flags_.model.k_type);
    options.v_type = ParseKvType(flags_.model.v_type);
    options.loras = loaded_.loras();
    int64_t longest = 0;
    for (const std::vector<int32_t>& prompt : prompts_)
      longest = std::max(longest, static_cast<int64_t>(prompt.size()) + behind);
    options.context = flags_.model.context > 0 ? flags_.model.context : longest;
    const int64_t most = loaded_.model()->hparams().context;
    if (options.context > most)
      std::fprintf(stderr,
                   "slm: the context of %lld tokens is longer than the %lld that the model was "
                   "made for\n",
                   static_cast<long long>(options.context), static_cast<long long>(most));
    return options;
  }

  // As answers to the first question, with the token that ends them.
  std::vector<std::vector<int32_t>> TokensOf(const std::vector<std::string>& labels) {
    const train::ExampleTokenizer tokenizer(loaded_.tokenizer(), &loaded_.chat_template(),
                                            {int64_t{1} << 30});
    std::vector<std::vector<int32_t>> tokens;
    for (const std::string& label : labels) {
      format::Example example;
      example.line = questions_[0].line;
      example.messages = questions_[0].messages;
      for (ordered_json& message : example.messages)
        if (message.at("role") == "assistant") message["weight"] = 0;
      example.messages.push_back({{"role", "assistant"}, {"content", label}});
      example.tools = questions_[0].tools;
      const train::Sample sample = tokenizer.Tokenize(example).back().sample;
      tokens.emplace_back();
      for (size_t i = 0; i < sample.ids.size(); ++i)
        if (sample.labels[i] != train::kIgnored) tokens.back().push_back(sample.ids[i]);
      if (tokens.back().empty())
        throw Error(Code::kBadInput, "the answer \"{}\" has no tokens", label);
    }
    return tokens;
  }

  const Flags& flags_;
  LoadedModel& loaded_;
  const std::vector<Question>& questions_;
  std::vector<std::vector<int32_t>> prompts_;
  std::vector<std::string> answers_;
};

// Without a model: what the nearest example says.
std::vector<std::string> NearestAnswers(const std::string& path,
                                        const std::vector<Question>& questions) {
  const auto text_of = [](const Question& question) {
    std::string text;
    for (const ordered_json& message : question.messages)
      if (message.at("role") == "user" && message.value("content", ordered_json()).is_string())
        text += message.at("content").get<std::string>() + "\n";
    return text;
  };
  const std::vector<Question> examples = ReadQuestions(path);
  std::vector<std::string> texts, answers;
  for (const Question& example : examples) texts.push_back(text_of(example));
  const eval::NearestExample nearest(texts);
  for (const Question& question : questions)
    answers.push_back(examples[nearest.Find(text_of(question))].expected);
  return answers;
}

std::unique_ptr<eval::AnswerCheck> MakeCheck(const Flags& flags) {
  if (flags.metric == "sql") {
    if (flags.database.empty()) throw Error(Code::kUsage, "--metric sql: expected --db");
    return eval::MakeSqlCheck(flags.database);
  }
  if (flags.metric == "json") return eval::MakeJsonCheck();
  if (flags.metric == "exact" || flags.metric == "label") return eval::MakeExactCheck();
  throw Error(Code::kUsage, "--metric: expected exact, json, label or sql, got \"{}\"",
              flags.metric);
}

std::vector<std::string> ModelAnswers(const Flags& flags, const std::vector<Question>& questions) {
  LoadedModel loaded(flags.model);
  ProgressBar progress(STDERR_FILENO, ProgressBar::Rest::kNothing);
  Evaluation evaluation(flags, &loaded, questions);
  return flags.metric == "label" ? evaluation.Choose(&progress) : evaluation.Generate(&progress);
}

void Run(const Flags& flags) {
  const std::unique_ptr<eval::AnswerCheck> check = MakeCheck(flags);
  CheckOutput(flags.output, {flags.data, flags.shots_data, flags.nearest});
  std::vector<Question> questions = ReadQuestions(flags.data);
  if (flags.limit > 0 && static_cast<size_t>(flags.limit) < questions.size())
    questions.resize(static_cast<size_t>(flags.limit));
  if (flags.shots > 0) {
    if (flags.shots_data.empty()) throw Error(Code::kUsage, "--shots: expected --shots-data");
    std::vector<Question> shots = ReadQuestions(flags.shots_data);
    if (shots.size() < static_cast<size_t>(flags.shots))
      throw Error(Code::kBadInput, "{}: {} examples, fewer than --shots {}", flags.shots_data,
                  shots.size(), flags.shots);
    shots.resize(static_cast<size_t>(flags.shots));
    for (Question& question : questions) AddShots(shots, &question.messages);
  }
  // What is expected may be wrong, too, which is better known before the answers are.
  for (const Question& question : questions) try {
      check->IsRight(question.expected, question.expected);
    } catch (const Error& error) {
      throw Error(error.code(), "{}:{}: {}", flags.data, question.line, error.what());
    }
  const std::vector<std::string> answers = flags.nearest.empty()
                                               ? ModelAnswers(flags, questions)
                                               : NearestAnswers(flags.nearest, questions);
  eval::Score score;
  ResultFile file(flags.output);
  for (size_t i = 0; i < questions.size(); ++i) {
    const bool is_right = check->IsRight(answers[i], questions[i].expected);
    score.right += is_right;
    ++score.n;
    const std::string line = ordered_json{{"line", questions[i].line},
                                          {"messages", questions[i].messages},
                                          {"expected", questions[i].expected},
                                          {"answer", answers[i]},
                                          {"is_right", is_right}}
                                 .dump(-1, ' ', false, ordered_json::error_handler_t::replace) +
                             "\n";
    file.Write(line.data(), line.size());
  }
  file.Finish();
  const eval::Interval interval = eval::IntervalOf(score);
  if (flags.is_json)
    std::printf("%s\n", ordered_json{{"metric", flags.metric},
                                     {"score", score.share()},
                                     {"low", interval.low},
                                     {"high", interval.high},
                                     {"n", score.n},
                                     {"answers", flags.output}}
                            .dump()
                            .c_str());
  else
    std::printf("%s: %.2f %% of %lld right (95 %%: %.2f to %.2f); answers in %s\n",
                flags.metric.c_str(), 100 * score.share(), static_cast<long long>(score.n),
                100 * interval.low, 100 * interval.high, flags.output.c_str());
}

}  // namespace

Work DeclareEval(CLI::App* app) {
  auto flags = std::make_shared<Flags>();
  AddModelOptions(app, &flags->model);
  app->get_option("--ctx-size")->description("Tokens of the context; 0: as many as it takes");
  AddChatTemplateFile(app, &flags->model.chat_template_file);
  app->add_option("-d,--data", flags->data,
                  "Conversations, in any form of slm finetune, that end with the expected answer")
      ->required();
  app->add_option(
         "--metric", flags->metric,
         "exact: the same text; json: the same value; label: the likeliest of all expected "
         "answers; sql: the same rows from --db")
      ->capture_default_str();
  app->add_option("--db", flags->database, "SQLite file that queries run on");
  app->add_option("--shots", flags->shots, "Examples that each prompt begins with")
      ->check(NotNegative());
  app->add_option("--shots-data", flags->shots_data, "Where they are from: its first ones");
  app->add_option("--nearest", flags->nearest,
                  "Instead of a model: the answer of that example of this file whose question is "
                  "nearest")
      ->excludes("--shots");
  app->add_option("--limit", flags->limit, "Questions, from the first")->check(AboveZero());
  app->add_option("-n,--max-tokens", flags->max_tokens, "Of an answer")
      ->check(AboveZero())
      ->capture_default_str();
  app->add_option("--batch", flags->batch, "Answers at once")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app->add_option("-o,--output", flags->output, "All answers, JSON lines")->capture_default_str();
  AddJson(app, &flags->is_json);
  return [flags] { Run(*flags); };
}

}  // namespace slm::cli
