// What names from a server, a user or a file name may look like, and what they say about a model.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace slm::hub {

// A relative path that stays below the folder it is put in: no empty, "." or ".." component, no
// backslash or control character, at most 255 bytes a component and 1024 in all.
bool IsSafePath(std::string_view path);

bool IsRepoId(std::string_view repo);    // user/name, as the hub allows it
bool IsCommit(std::string_view commit);  // 40 lower case hex digits
bool IsSha256(std::string_view digest);  // 64 lower case hex digits
bool IsDigest(std::string_view digest);  // SHA-256 of the content, or the SHA-1 of its git blob

std::string BaseName(std::string_view path);

struct ModelFileName {
  std::string stem;   // without "-00001-of-00003" and ".gguf"
  std::string quant;  // QuantFromName(stem)
  int part = 1, parts = 1;
};

// Nothing when the name does not end in .gguf.
std::optional<ModelFileName> ParseModelFileName(std::string_view path);

// "Q4_K_M", "IQ2_XXS", "UD-Q4_K_XL", "BF16", ...: the last such word of the path in upper case
// (FP16 counts as F16), or empty.
std::string QuantFromName(std::string_view stem);

// The name of part `part` of the split that `path` belongs to.
std::string SplitPartName(const ModelFileName& name, int part);

// What makes up a model, out of all the names in a repository or a snapshot.
struct Choice {
  std::vector<std::string> files;  // part 1 first
  bool is_folder = false;  // a checkpoint (safetensors, config, tokenizer): the folder is the model
};

// `file`, with all parts when it is one of a split; else the model of `quant`; else, with both
// empty, Q4_K_M, or the only model there, or the checkpoint when there is no GGUF at all. Files
// beside the model (image projector, importance matrix, draft heads) count only when named. Throws
// Error kFailed with the quants there when none or several match, kBadInput when a part is missing.
Choice ChooseFiles(const std::vector<std::string>& files, const std::string& file,
                   const std::string& quant, const std::string& repo);

// The models among `files`: the parts of each, part 1 first. What is missing is left out.
std::vector<std::vector<std::string>> GroupByModel(const std::vector<std::string>& files);

// The files of a checkpoint in the top folder, or nothing: safetensors with a config.json.
std::vector<std::string> CheckpointFiles(const std::vector<std::string>& files);

// False when a "-00001-of-00003" name lacks one of its siblings.
bool HasAllParts(const std::vector<std::string>& files);

}  // namespace slm::hub
