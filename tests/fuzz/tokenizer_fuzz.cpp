// Any text, under a built-in vocabulary or one made of the input: encoding never fails, ids are in
// range, and where a vocabulary has all bytes, decoding gives the text back.
//
// The first byte chooses the vocabulary, the second one flags. From kMadeUp on, the vocabulary
// comes from the lines up to an empty one: a type from 1 to 6 and a token, or M and a merge; the
// rest is text.
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

namespace {

using slm::text::StreamDecoder;
using slm::text::Tokenizer;
using slm::text::Vocab;

constexpr const char* kPres[] = {"llama-bpe", "dbrx",   "cl100k", "qwen2",  "gpt-4o",
                                 "tekken",    "smollm", "gpt-2",  "default"};
constexpr size_t kNumPres = std::size(kPres);
constexpr uint8_t kMadeUp = 0xc0;

enum Flags : uint8_t { kAddSpecial = 1, kParseSpecial = 2, kNoMerges = 4, kSpm = 8, kPrefix = 16 };

void Require(bool holds) {
  if (!holds) std::abort();
}

struct Made {
  Vocab vocab;
  std::deque<std::string> strings;

  void Add(std::string token, int32_t type) {
    vocab.tokens.push_back(strings.emplace_back(std::move(token)));
    vocab.types.push_back(type);
    vocab.scores.push_back(-static_cast<float>(vocab.tokens.size()));
  }
};

Made ByteLevel(const char* pre, bool merges) {
  Made made;
  made.vocab.model = "gpt2";
  made.vocab.pre = pre;
  for (uint32_t byte = 0; byte < 256; ++byte) {  // GPT-2's alphabet
    uint32_t code = byte;
    if (byte <= 0x20) code = 0x100 + byte;
    if (byte >= 0x7f && byte <= 0xa0) code = 0x121 + (byte - 0x7f);
    if (byte == 0xad) code = 0x143;
    std::string token;
    slm::text::AppendUtf8(code, &token);
    made.Add(token, 1);
  }
  for (const char* pair :
       {"a b", "ab ab", "\xc4\xa0 a", "\xc4\xa0 \xc4\xa0", "\xc4\x8a \xc4\x8a", "1 2", "' s"}) {
    std::string token = pair;
    token.erase(token.find(' '), 1);
    made.Add(token, 1);
    if (merges) made.vocab.merges.push_back(made.strings.emplace_back(pair));
  }
  made.Add("<s>", 3);
  made.vocab.bos = static_cast<int32_t>(made.vocab.tokens.size() - 1);
  made.Add("<tool>", 4);
  made.Add("<|im_end|>", 3);
  return made;
}

Made SentencePiece(bool prefix) {
  Made made;
  made.vocab.model = "llama";
  made.vocab.add_space_prefix = prefix;
  made.Add("<unk>", 2);
  made.Add("<s>", 3);
  made.Add("</s>", 3);
  constexpr char kHex[] = "0123456789ABCDEF";
  for (size_t byte = 0; byte < 256; ++byte)
    made.Add(std::string("<0x") + kHex[byte / 16] + kHex[byte % 16] + ">", 6);
  for (const char* token : {"a", "b", "ab", "abab", "\xe2\x96\x81",
                            "\xe2\x96\x81"
                            "a",
                            "\xe2\x96\x81\xe2\x96\x81",
                            "b\xe2\x96\x81"
                            "a",
                            "\xc3\xa9", "<", "s", "<s"}) {
    made.Add(token, 1);
  }
  return made;
}

std::string_view NextLine(std::string_view* rest) {
  const size_t end = rest->find('\n');
  const std::string_view line = rest->substr(0, end);
  rest->remove_prefix(end == std::string_view::npos ? rest->size() : end + 1);
  return line;
}

Made FromInput(uint8_t selector, uint8_t flags, std::string_view* rest) {
  Made made;
  made.vocab.model = flags & kSpm ? "llama" : "gpt2";
  made.vocab.pre = kPres[selector % kNumPres];
  while (true) {
    const std::string_view line = NextLine(rest);
    if (line.empty()) break;
    if (line[0] == 'M') {
      made.vocab.merges.push_back(made.strings.emplace_back(line.substr(1)));
    } else {
      made.Add(std::string(line.substr(1)), line[0] - '0');
    }
  }
  made.vocab.bos = selector & 1 ? 0 : -1;
  made.vocab.unk = selector & 2 ? 1 : -1;
  return made;
}

void CheckIds(const Tokenizer& tokenizer, std::string_view text, uint8_t flags,
              std::string* decoded) {
  const auto ids = tokenizer.Encode(text, {.add_special = (flags & kAddSpecial) != 0,
                                           .parse_special = (flags & kParseSpecial) != 0});
  for (const int32_t id : ids) Require(id >= 0 && id < tokenizer.size());
  *decoded = tokenizer.Decode(ids);
  StreamDecoder stream(tokenizer);
  std::string streamed;
  for (const int32_t id : ids) streamed += stream.Push(id);
  streamed += stream.Flush();
  slm::text::Utf8Stream whole;
  std::string want = whole.Feed(*decoded);
  want += whole.Flush();
  Require(streamed == want);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const uint8_t selector = data[0];
  const uint8_t flags = data[1];
  std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  std::string decoded;
  if (selector >= kMadeUp) {
    const Made made = FromInput(selector, flags, &text);
    try {
      CheckIds(Tokenizer(made.vocab), text, flags, &decoded);
    } catch (const slm::Error&) {
    }
    return 0;
  }
  if (flags & kSpm) {
    static const Tokenizer tokenizers[] = {Tokenizer(SentencePiece(false).vocab),
                                           Tokenizer(SentencePiece(true).vocab)};
    CheckIds(tokenizers[flags & kPrefix ? 1 : 0], text, flags, &decoded);
    std::string want;
    for (size_t i = 0; i < text.size(); ++i) {
      const bool mark = text.substr(i, 3) == "\xe2\x96\x81";
      want += mark ? ' ' : text[i];
      if (mark) i += 2;
    }
    Require((flags & kParseSpecial) || decoded == want);
    return 0;
  }
  static const auto tokenizers = [] {
    std::vector<Tokenizer> all;
    for (const char* pre : kPres) {
      all.emplace_back(ByteLevel(pre, true).vocab);
      all.emplace_back(ByteLevel(pre, false).vocab);
    }
    return all;
  }();
  const size_t pre = selector % kNumPres;
  const Tokenizer& tokenizer = tokenizers[2 * pre + (flags & kNoMerges ? 1 : 0)];
  CheckIds(tokenizer, text, flags, &decoded);
  if (flags & kParseSpecial) return 0;
  // <tool> parts the text, and NFC looks at each part by itself.
  const bool parted = text.find("<tool>") != std::string_view::npos;
  if (std::string_view(kPres[pre]) != "qwen2") {
    Require(decoded == text);
  } else if (!parted) {
    Require(decoded == slm::text::NormalizeNfc(text).value_or(std::string(text)));
  }
  return 0;
}
