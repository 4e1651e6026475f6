#include <algorithm>
#include <cctype>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/line_editor.h"
#include "cli/options.h"
#include "serve/answer.h"

namespace slm::cli {
namespace {

using nlohmann::ordered_json;

struct Flags {
  ModelOptions model;
  SamplerFlags sampler;
  std::string system, lookup;
  int64_t max_tokens = -1;
};

constexpr char kHelp[] =
    "/clear          forget the conversation\n"
    "/system TEXT    set the system message and start anew; without text, show it; off removes it\n"
    "/save FILE      write the conversation as JSON\n"
    "/help           this\n"
    "/exit, /bye     leave (Ctrl-D too)\n"
    "A line that ends with \\ goes on in the next; \"\"\" begins and ends a text of several "
    "lines.\n"
    "Ctrl-C stops an answer; the arrow keys bring back what was typed.\n";

constexpr std::string_view kFence = "\"\"\"";  // around a text of several lines

// The command of a message, "/" and letters up to a space or the end, or nothing: a path or a
// comment is text for the model.
std::string CommandOf(const std::string& message) {
  const std::string name = message.substr(0, message.find(' '));
  const bool has_letters =
      name.size() > 1 && std::all_of(name.begin() + 1, name.end(),
                                     [](unsigned char c) { return std::isalpha(c) != 0; });
  return name.starts_with('/') && has_letters ? name : "";
}

class Chat {
 public:
  Chat(const Flags& flags)
      : flags_(flags),
        speculator_(ParseLookup(flags.lookup)),
        loaded_(flags.model),
        sampler_(flags.sampler.Finish(loaded_.tokenizer())),
        session_(loaded_.NewSession()),
        system_(flags.system) {
    loaded_.chat_template();  // a missing template is said before the first question
  }

  void Run() {
    std::fprintf(stderr, "slm: type a message, /help for commands\n");
    std::string message;
    for (;;) {
      const LineEditor::Event event = ReadMessage(&message);
      if (event == LineEditor::Event::kEnd) return;
      if (event == LineEditor::Event::kInterrupted || message.empty()) continue;
      if (const std::string name = CommandOf(message); !name.empty()) {
        if (!Command(name, message)) return;
        continue;
      }
      try {
        AnswerTo(message);
        if (std::ferror(stdout)) return;  // nobody reads the answers
      } catch (const Error& error) {
        // The question did not fit or the template refused it: the conversation goes on without it.
        history_.erase(history_.end() - 1);
        std::fprintf(stderr, "slm: %s\n", error.what());
      }
    }
  }

 private:
  LineEditor::Event ReadMessage(std::string* message) {
    message->clear();
    std::string line;
    bool is_block = false;
    for (bool is_first = true;; is_first = false) {
      const LineEditor::Event event = editor_.Read(is_first ? "> " : ". ", &line);
      if (event != LineEditor::Event::kLine) return event;
      const bool opens = is_first && line.starts_with(kFence);
      if (opens) line.erase(0, kFence.size());
      is_block = is_block || opens;
      if (is_block) {
        const bool closes = line.ends_with(kFence);
        if (closes) line.resize(line.size() - kFence.size());
        *message += line;
        if (closes) break;
        if (!opens || !line.empty()) *message += "\n";
      } else if (!line.empty() && line.back() == '\\') {
        *message += line.substr(0, line.size() - 1) + "\n";
      } else {
        *message += line;
        break;
      }
    }
    editor_.Remember(*message);
    return LineEditor::Event::kLine;
  }

  // False: leave.
  bool Command(const std::string& name, const std::string& line) {
    const std::string rest = line.size() > name.size() ? line.substr(name.size() + 1) : "";
    if (name == "/exit" || name == "/bye" || name == "/quit") return false;
    if (name == "/clear") {
      history_.clear();
      std::fprintf(stderr, "slm: the conversation starts anew\n");
    } else if (name == "/system" && rest.empty()) {
      std::fprintf(stderr, "slm: %s\n",
                   system_.empty() ? "no system message" : ("system message: " + system_).c_str());
    } else if (name == "/system") {
      system_ = rest == "off" ? "" : rest;
      history_.clear();
      std::fprintf(stderr, "slm: system message %s; the conversation starts anew\n",
                   system_.empty() ? "removed" : "set");
    } else if (name == "/save") {
      Save(rest);
    } else if (name == "/help") {
      std::fputs(kHelp, stderr);
    } else {
      std::fprintf(stderr, "slm: no command %s; /help lists them\n", name.c_str());
    }
    return true;
  }

  ordered_json Messages() const {
    ordered_json messages = ordered_json::array();
    if (!system_.empty()) messages.push_back({{"role", "system"}, {"content", system_}});
    for (const auto& message : history_) messages.push_back(message);
    return messages;
  }

  void Save(const std::string& path) {
    if (path.empty()) {
      std::fprintf(stderr, "slm: /save needs a file name\n");
      return;
    }
    std::ofstream out(path);
    const auto replace = ordered_json::error_handler_t::replace;
    out << Messages().dump(2, ' ', false, replace) << "\n";
    out.close();
    if (out) {
      std::fprintf(stderr, "slm: saved %zu messages to %s\n", Messages().size(), path.c_str());
    } else {
      std::fprintf(stderr, "slm: %s: cannot write\n", path.c_str());
    }
  }

  void AnswerTo(const std::string& message) {
    history_.push_back({{"role", "user"}, {"content", message}});
    const std::string prompt =
        loaded_.chat_template().RenderChat(Messages(), nullptr, true, ordered_json::object());
    InterruptGuard::Clear();
    serve::AnswerOptions options;
    options.max_tokens = flags_.max_tokens;
    options.is_cancelled = IsAnswerUnwanted;
    options.speculator = speculator_ ? &*speculator_ : nullptr;
    options.on_text = PrintPart;
    const serve::Answer answer = serve::GenerateAnswer(loaded_.tokenizer(), &loaded_.executor(),
                                                       &session_, prompt, sampler_, options);
    PrintPart("\n");
    if (answer.result.reason == engine::FinishReason::kCancelled)
      std::fprintf(stderr, "slm: stopped\n");
    if (answer.result.reason == engine::FinishReason::kLength && flags_.max_tokens < 0)
      std::fprintf(stderr, "slm: the context of %lld tokens is full; /clear starts anew\n",
                   static_cast<long long>(session_.context()));
    if (answer.result.reason == engine::FinishReason::kCancelled && answer.result.tokens.empty())
      history_.erase(history_.end() - 1);  // the question was taken back
    else
      history_.push_back({{"role", "assistant"}, {"content", answer.text}});
  }

  const Flags& flags_;
  std::optional<engine::Speculator> speculator_;
  LoadedModel loaded_;
  engine::Sampler sampler_;
  engine::Session session_;
  InterruptGuard interrupt_{false};  // from here on: Ctrl-C while the model loads ends the program
  LineEditor editor_;
  std::string system_;
  ordered_json history_ = ordered_json::array();
};

}  // namespace

Work DeclareChat(CLI::App* app) {
  auto flags = std::make_shared<Flags>();
  AddModelOptions(app, &flags->model);
  AddChatTemplateFile(app, &flags->model.chat_template_file);
  AddOption(app, "--system", flags->system, "System message");
  AddOption(app, "-n,--predict,--n-predict", flags->max_tokens,
            "Tokens of an answer at most; -1: until the model stops")
      ->check(CLI::Range(int64_t{-1}, int64_t{1} << 24));
  AddSamplerOptions(app, &flags->sampler);
  AddLookup(app, &flags->lookup);
  return [flags] { Chat(*flags).Run(); };
}

}  // namespace slm::cli
