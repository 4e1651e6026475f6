// All that serving needs, on a tiny model.
#pragma once

#include "engine/executor.h"
#include "model/vocab.h"
#include "serve/chat_api.h"
#include "tiny/tiny_model.h"

namespace slm::testing {

class TinyServer {
 public:
  serve::ServedModel served() {
    return {"tiny", &tokenizer_, &chat_template_, &executor_, &session_, &speculator_};
  }

 private:
  engine::Runtime runtime_{1};
  std::shared_ptr<const engine::Model> model_ =
      engine::Model::Load(WriteTinyModel({.arch = "llama"}), &runtime_);
  text::Tokenizer tokenizer_ = model::MakeTokenizer(model_->file());
  text::ChatTemplate chat_template_{
      "tiny", std::string(model_->file().metadata().GetString("tokenizer.chat_template")), "<s>",
      "</s>"};
  engine::Executor executor_{model_};
  engine::Session session_{model_, {.context = 1024}};
  engine::Speculator speculator_;
};

}  // namespace slm::testing
