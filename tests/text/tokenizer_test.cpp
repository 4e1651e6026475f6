#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <chrono>
#include <limits>
#include <random>
#include <thread>

#include "base/error.h"
#include "text/vocab_files.h"

namespace slm::text {
namespace {

using Ids = std::vector<int32_t>;

// Bytes 0-255, then <bos> 256, <eos> 257 (both control), <tool> 258 (user-defined).
VocabFile ByteVocab(const std::string& pre = "llama-bpe") {
  std::vector<std::string> tokens = ByteTokens();
  std::vector<TokenType> types(256, TokenType::kNormal);
  for (const char* token : {"<bos>", "<eos>", "<tool>"}) tokens.push_back(token);
  types.insert(types.end(), {TokenType::kControl, TokenType::kControl, TokenType::kUserDefined});
  VocabFile file = MakeVocab("gpt2", pre, tokens, types);
  file.vocab.bos = 256;
  file.vocab.eos = 257;
  return file;
}

TEST(TokenizerTest, BosAndEosOnce) {
  VocabFile file = ByteVocab();
  file.vocab.add_eos = true;
  const Tokenizer tokenizer(file.vocab);
  const EncodeOptions both{.add_special = true, .parse_special = true};
  EXPECT_EQ(tokenizer.Encode("a", both), (Ids{256, 'a', 257}));
  EXPECT_EQ(tokenizer.Encode("<bos>a", both), (Ids{256, 'a', 257}));
  EXPECT_EQ(tokenizer.Encode("<bos><bos>a<eos>", both), (Ids{256, 256, 'a', 257}));
  EXPECT_EQ(tokenizer.Encode("a<bos>", both), (Ids{256, 'a', 256, 257}));
  EXPECT_EQ(tokenizer.Encode("", both), (Ids{256, 257}));
  EXPECT_EQ(tokenizer.Encode("<bos>", both), (Ids{256, 257}));
  EXPECT_EQ(tokenizer.Encode("", {}), Ids());
  EXPECT_EQ(tokenizer.Encode("a", {.add_special = true}), (Ids{256, 'a', 257}));
  EXPECT_EQ(tokenizer.Encode("<bos>", {.parse_special = true}), (Ids{256}));
  // Written by a stranger, it is text, and the real one goes in front.
  EXPECT_EQ(tokenizer.Encode("<b", {.add_special = true}).size(), 4u);
  EXPECT_EQ(tokenizer.Encode("<bos>", {.add_special = true}).size(), 7u);
}

TEST(TokenizerTest, DefaultsFollowThePreTokenizer) {
  EXPECT_TRUE(Tokenizer(ByteVocab("llama-bpe").vocab).adds_bos());
  EXPECT_TRUE(Tokenizer(ByteVocab("tekken").vocab).adds_bos());
  for (const char* pre : {"qwen2", "smollm", "gpt-2", "gpt-4o", "dbrx", "smaug-bpe", "default", ""})
    EXPECT_FALSE(Tokenizer(ByteVocab(pre).vocab).adds_bos()) << pre;
  VocabFile file = ByteVocab();
  file.vocab.add_bos = false;
  EXPECT_FALSE(Tokenizer(file.vocab).adds_bos());
  file.vocab.add_bos.reset();
  file.vocab.bos = -1;  // wanted by default, but there is none
  EXPECT_FALSE(Tokenizer(file.vocab).adds_bos());
}

TEST(TokenizerTest, SpecialTokensInText) {
  const VocabFile file = ByteVocab();
  const Tokenizer tokenizer(file.vocab);
  EXPECT_EQ(tokenizer.Encode("a<tool>b"), (Ids{'a', 258, 'b'}));
  EXPECT_EQ(tokenizer.Encode("<eos>").size(), 5u);
  EXPECT_EQ(tokenizer.Encode("<eos>", {.parse_special = true}), (Ids{257}));
  EXPECT_TRUE(tokenizer.IsControl(257));
  EXPECT_FALSE(tokenizer.IsControl(258));
  EXPECT_EQ(tokenizer.Decode(Ids{256, 'a', 258, 257}), "a<tool>");
  EXPECT_EQ(tokenizer.Decode(Ids{256, 'a', 258, 257}, true), "<bos>a<tool><eos>");
}

TEST(TokenizerTest, AnyBytesComeBack) {
  std::mt19937 random(1);
  for (const char* pre : {"llama-bpe", "gpt-4o", "tekken", "smollm", "gpt-2", "default", "dbrx"}) {
    const VocabFile file = ByteVocab(pre);
    const Tokenizer tokenizer(file.vocab);
    for (int round = 0; round < 300; ++round) {
      std::string bytes(random() % 60, 0);
      for (char& c : bytes) {
        c = static_cast<char>(random());
        if (random() % 3 == 0) c = " \n'1aA"[random() % 6];
      }
      ASSERT_EQ(tokenizer.Decode(tokenizer.Encode(bytes)), bytes);
    }
  }
  const VocabFile file = ByteVocab("qwen2");
  const Tokenizer tokenizer(file.vocab);
  EXPECT_EQ(tokenizer.Decode(tokenizer.Encode("e\xcc\x81\xff\xe4\xb8")), "\xc3\xa9\xff\xe4\xb8");
}

// As in Hugging Face's tokenizers without an unknown token; the neighbours can still merge.
TEST(TokenizerTest, BytesWithoutATokenVanish) {
  const VocabFile file = MakeVocab("gpt2", "gpt-2", {"a", "b", "ab"}, {}, {"a b"});
  const Tokenizer tokenizer(file.vocab);
  EXPECT_EQ(tokenizer.Encode("abc"), (Ids{2}));
  EXPECT_EQ(tokenizer.Encode("acb"), (Ids{2}));
  EXPECT_EQ(tokenizer.Encode("\xff"), Ids());
}

TEST(TokenizerTest, ATokenIsNotAlwaysItsOwnResult) {
  // "abc" is a token, but "b c" comes first and "a bc" is no merge.
  const std::vector<std::string> tokens = {"a", "b", "c", "ab", "bc", "abc"};
  const std::vector<std::string> merges = {"b c", "a b", "ab c"};
  const VocabFile split = MakeVocab("gpt2", "gpt-2", tokens, {}, merges);
  const Tokenizer tokenizer(split.vocab);
  for (int round = 0; round < 2; ++round) EXPECT_EQ(tokenizer.Encode("abc"), (Ids{0, 4}));
  const VocabFile whole = MakeVocab("gpt2", "llama-bpe", tokens, {}, merges);  // ignore_merges
  EXPECT_EQ(Tokenizer(whole.vocab).Encode("abc"), (Ids{5}));
  // Without merges the ids are the ranks: ab before bc, and a whole piece needs none.
  const VocabFile ranked = MakeVocab("gpt2", "gpt-2", tokens);
  EXPECT_EQ(Tokenizer(ranked.vocab).Encode("abc"), (Ids{5}));
  EXPECT_EQ(Tokenizer(ranked.vocab).Encode("abcb"), (Ids{5, 1}));
}

Code CodeOf(const VocabFile& file) {
  try {
    const Tokenizer tokenizer(file.vocab);
  } catch (const Error& error) {
    EXPECT_GT(std::string(error.what()).size(), 10u);
    return error.code();
  }
  ADD_FAILURE() << "accepted";
  return Code::kFailed;
}

TEST(TokenizerTest, RefusesBadVocabularies) {
  const auto with = [](const auto& change) {
    VocabFile file = ByteVocab();
    change(&file);
    return CodeOf(file);
  };
  EXPECT_EQ(with([](VocabFile* f) { f->vocab.model = "bert"; }), Code::kUnsupported);
  EXPECT_EQ(with([](VocabFile* f) { f->vocab.pre = "qwen99"; }), Code::kUnsupported);
  EXPECT_EQ(with([](VocabFile* f) { f->vocab.tokens.clear(); }), Code::kBadInput);
  EXPECT_EQ(with([](VocabFile* f) { f->vocab.types.pop_back(); }), Code::kBadInput);
  EXPECT_EQ(with([](VocabFile* f) { f->vocab.bos = 259; }), Code::kBadInput);
  EXPECT_EQ(with([](VocabFile* f) { f->vocab.pad = -2; }), Code::kBadInput);
  EXPECT_EQ(with([](VocabFile* f) { f->vocab.eot = INT32_MIN; }), Code::kBadInput);
  EXPECT_EQ(with([](VocabFile* f) { f->vocab.tokens[1] = f->vocab.tokens[0]; }), Code::kBadInput);
  EXPECT_EQ(with([](VocabFile* f) {
              f->vocab.add_bos = true;
              f->vocab.bos = -1;
            }),
            Code::kBadInput);
  const std::string long_token(5000, 'x');
  EXPECT_EQ(with([&](VocabFile* f) { f->vocab.tokens[258] = long_token; }), Code::kBadInput);
  for (const char* merge : {"", " ", "ab", "a ", " b", "a b", "a zz", "a \xff"}) {
    EXPECT_EQ(with([&](VocabFile* f) { f->vocab.merges.push_back(merge); }), Code::kBadInput)
        << merge;
  }
  const auto spm = [](const auto& change) {
    VocabFile file = MakeVocab("llama", "", {"<unk>", "<s>", "</s>", "a", "<0x41>"});
    file.vocab.types = {2, 3, 3, 1, 6};
    change(&file.vocab);
    return CodeOf(file);
  };
  EXPECT_EQ(spm([](Vocab* v) { v->scores.pop_back(); }), Code::kBadInput);
  EXPECT_EQ(spm([](Vocab* v) { v->scores[3] = std::numeric_limits<float>::quiet_NaN(); }),
            Code::kBadInput);
  EXPECT_EQ(spm([](Vocab* v) { v->types[3] = 6; }), Code::kBadInput);
}

TEST(TokenizerTest, OddVocabulariesAreFine) {
  VocabFile file = MakeVocab("llama", "", {"<unk>", "", "", "\xff", "a"});
  file.vocab.types = {2, 1, 3, 1, 77};
  file.vocab.scores[3] = -std::numeric_limits<float>::infinity();
  const Tokenizer tokenizer(file.vocab);
  EXPECT_EQ(tokenizer.Decode(tokenizer.Encode("\xff a")), "\xff");
  const VocabFile one = MakeVocab("gpt2", "", {"\xe4\xb8\xad"});  // outside GPT-2's alphabet
  EXPECT_EQ(Tokenizer(one.vocab).Encode("\xe4\xb8\xad"), Ids());
}

TEST(TokenizerTest, IdsOutOfRangeThrow) {
  const VocabFile file = ByteVocab();
  const Tokenizer tokenizer(file.vocab);
  for (const int32_t id : {-1, 259, INT32_MIN, INT32_MAX}) {
    EXPECT_THROW((void)tokenizer.Decode(Ids{id}), Error);
    EXPECT_THROW((void)tokenizer.TokenBytes(id), Error);
    EXPECT_THROW((void)tokenizer.IsControl(id), Error);
    EXPECT_FALSE(tokenizer.IsEndOfGeneration(id));
  }
}

TEST(TokenizerTest, OneLongWordTakesNoSquareOfTime) {
  std::vector<std::string> tokens = ByteTokens();
  for (const char* token : {"aa", "aaaa", "ab", "ba"}) tokens.push_back(token);
  const VocabFile file = MakeVocab("gpt2", "llama-bpe", tokens, {}, {"a a", "aa aa", "a b", "b a"});
  const Tokenizer tokenizer(file.vocab);
  const auto start = std::chrono::steady_clock::now();
  std::string word(3'000'000, 'a');
  EXPECT_EQ(tokenizer.Encode(word).size(), word.size() / 4);
  for (size_t i = 0; i < word.size(); i += 2) word[i] = 'b';
  EXPECT_EQ(tokenizer.Encode(word).size(), word.size() / 2 + 1);  // b, ab, ab, ..., a
  const VocabFile spm = MakeVocab("llama", "", {"<unk>", "a", "aa", "aaaa"});
  EXPECT_EQ(Tokenizer(spm.vocab).Encode(std::string(1'000'000, 'a')).size(), 250'001u);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  EXPECT_LT(seconds.count(), 60);  // a square would take hours
}

TEST(TokenizerTest, ThreadsMayShareOne) {
  std::vector<std::string> tokens = ByteTokens();
  for (const char* token : {"th", "the", "in"}) tokens.push_back(token);
  const VocabFile file = MakeVocab("gpt2", "gpt-2", tokens, {}, {"t h", "th e", "i n"});
  const Tokenizer tokenizer(file.vocab);
  std::string text;
  for (int i = 0; i < 2000; ++i) text += i % 3 ? "the in th" : "then\n";
  const Ids want = Tokenizer(file.vocab).Encode(text);
  std::vector<Ids> got(4);
  std::vector<std::thread> threads;
  for (Ids& ids : got) threads.emplace_back([&] { ids = tokenizer.Encode(text); });
  for (std::thread& thread : threads) thread.join();
  for (const Ids& ids : got) EXPECT_EQ(ids, want);
}

TEST(StreamDecoderTest, StreamsWholeCharacters) {
  const VocabFile file = ByteVocab();
  const Tokenizer tokenizer(file.vocab);
  StreamDecoder stream(tokenizer);
  EXPECT_EQ(stream.Push(256), "");
  EXPECT_EQ(stream.Push(0xc3), "");
  EXPECT_EQ(stream.Push(0xa9), "\xc3\xa9");
  EXPECT_EQ(stream.Push(0xff), "\xef\xbf\xbd");
  EXPECT_EQ(stream.Push(0xe4), "");
  EXPECT_EQ(stream.Flush(), "\xef\xbf\xbd");
}

TEST(StreamDecoderTest, TakesTheSpacePrefixOff) {
  const VocabFile file = MakeVocab("llama", "",
                                   {"<unk>", "<s>", "</s>",
                                    "\xe2\x96\x81"
                                    "a",
                                    "b"},
                                   {TokenType::kUnknown, TokenType::kControl, TokenType::kControl});
  const Tokenizer tokenizer(file.vocab);
  StreamDecoder stream(tokenizer);
  EXPECT_EQ(stream.Push(1), "");
  EXPECT_EQ(stream.Push(3), "a");
  EXPECT_EQ(stream.Push(3), " a");
  EXPECT_EQ(tokenizer.Decode(Ids{1, 3, 3}), "a a");
  EXPECT_EQ(tokenizer.Decode(Ids{1, 3, 3}, true), "<s>a a");
  EXPECT_EQ(tokenizer.TokenBytes(3), " a");
}

}  // namespace
}  // namespace slm::text
