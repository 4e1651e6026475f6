#include "cli/commands.h"

namespace slm::cli {

std::span<const Command> AllCommands() {
  static const Command kCommands[] = {
      {"run", "Answer one prompt", DeclareRun},
      {"chat", "Talk to a model in the terminal", DeclareChat},
      {"serve", "Serve the OpenAI chat API", DeclareServe},
      {"catalog", "Show models that are worth a look, with licence, size and published scores",
       DeclareCatalog},
      {"plan", "Say whether a model fits a machine, and how fast it will be", DeclarePlan},
      {"pull", "Get a model into the local store", DeclarePull},
      {"models", "List or remove local models and what was packed of them", DeclareModels},
      {"convert", "Turn a checkpoint into a GGUF file, and back", DeclareConvert},
      {"inspect", "Show what a model file holds and what it needs", DeclareInspect},
      {"eval", "Score a model's answers on examples", DeclareEval},
      {"finetune", "Train an adapter on examples", DeclareFinetune},
      {"merge", "Put an adapter into the weights of its base", DeclareMerge},
      {"quantize", "Make a model smaller", DeclareQuantize},
      {"bench", "Measure prefill and decode, and the share of this machine they reach",
       DeclareBench},
      {"perplexity", "Measure perplexity on a text, by llama.cpp's protocol", DeclarePerplexity},
      {"compare", "Measure what models lost against a base: perplexity, KL divergence, speed",
       DeclareCompare},
      {"imatrix", "Measure which columns of a model's matrices matter, to quantize by",
       DeclareImatrix},
      {"logits", "Print the logits after a prompt", DeclareLogits},
      {"tokenize", "Turn text into token ids", DeclareTokenize},
      {"detokenize", "Turn token ids into text", DeclareDetokenize},
      {"template", "Render a chat template", DeclareTemplate},
      {"doctor", "Show what this machine offers and what is used of it", DeclareDoctor},
  };
  return kCommands;
}

}  // namespace slm::cli
