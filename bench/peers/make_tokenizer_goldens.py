"""Makes tests/golden/tokenizers: what the publishers' tokenizers give for a fixed list of strings.

usage: make_tokenizer_goldens.py --vocab DIR --models DIR --peers DIR --text FILE
  --vocab   the GGUF vocabularies (SLM_DATA/vocab)
  --models  the real models
  --peers   cl100k_base.tiktoken, o200k_base.tiktoken and tekken.json (SLM_PEER_VOCABS)
  --text    WikiText-2 raw test
Needs gguf, mistral-common, protobuf, sentencepiece, tiktoken, tokenizers.
"""
import argparse
import importlib.metadata
import io
import json
import pathlib
import random

import sentencepiece
import tokenizer_references as ref
from mistral_common.tokens.tokenizers.tekken import Tekkenizer
from sentencepiece import sentencepiece_model_pb2 as spm_pb
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "tokenizers"
MADE_BY = "bench/peers/make_tokenizer_goldens.py"

HAND = [
    "", " ", "  ", "   ", "\n", "\n\n", "\n\n\n", "\t", "\t\t", " \n", "\n ", " \n \n  ", "\r\n", "\r\r\n\n", "\u00a0", "\u3000\u3000 x",
    "\u2028a\u2029b", "\x85x\x85 ", "a ", " a", "a  b", "a   b    c", "a\n  ", "a \n\n\n  b", "    return x\n", "\tif x:\n\t\ty = 1\n",
    "Hello, world!", "Hello world", " Hello  World ", "The quick brown fox jumps over the lazy dog.", "HELLO WORLD", "helloWORLDhello",
    "camelCaseAndPascalCase snake_case kebab-case", "I'm you're we've they'll he'd it's don't", "I'M YOU'RE WE'VE THEY'LL HE'D IT'S DON'T",
    "I'm You'Re we'vE", "'s't're've'm'll'd", "'S'T'RE'VE'M'LL'D", "''s '' 'x 'S' 't", "it\u2019s \u2019s", "a'\u017fb '\u017f x'\u017fy", "'\u212a 'k",
    "0", "12", "123", "1234", "12345678901234567890", "3.14159 1,000,000 -5 +6 1e-10 0x1F", "1 22 333 4444", "x1y22z333", "\u0967\u0968\u0969\u096a",
    "\u0663\u0664\u0665 \u00b2\u00b3\u00b9 \u2167 \u00bd \u2460 \uff11\uff12\uff13\uff14", "1\u00b2345678", "$100.00 \u20ac5 \u00a35 \u00a5100 50%",
    "a+b=c; a<b>c; a|b ^ c ~ d", "!!!", "...", " ...", "?!?!\n\n", "!\n", "!/\n", "/path/to/file", "http://example.com/a?b=c&d=e#f", "a//b///\n/c",
    "C:\\Users\\x\\n", "user@example.com", "#include <stdio.h>\nint main(void) {\n    printf(\"%d\\n\", 42);\n    return 0;\n}\n",
    "def f(x):\n    \"\"\"Doc.\"\"\"\n    return [i ** 2 for i in range(x) if i % 2 == 0]\n", "for (int i = 0; i < n; ++i) { a[i] += b[i]; }",
    "SELECT * FROM t WHERE a = 'b' AND c >= 10;", "{\"a\": [1, 2.5, null, true], \"b\": {\"c\": \"d\\u00e9\"}}", "<div class=\"a\"><b>x</b></div><table><tr>",
    "```python\nprint('hi')\n```", "| a | b |\n|---|---|\n| 1 | 2 |", "$$\\sum_{i=0}^{n} x_i^2$$", "\\begin{align}\nx &= y\n\\end{align}",
    "na\u00efve caf\u00e9 r\u00e9sum\u00e9 \u00dcber stra\u00dfe \u00c5ngstr\u00f6m", "nai\u0308ve cafe\u0301 re\u0301sume\u0301 U\u0308ber A\u030angstro\u0308m",
    "e\u0301\u0301\u0301", "\u0301", " \u0301", "a \u0301b", "\u0301ABC \u0301abc", "q\u0323\u0307 q\u0307\u0323", "\u1e9b\u0323", "\u212b \u2126 \u00c5",
    "\u01c5 \u01c8 \u01cb D\u017e", "\u02b0\u02b1a \u00aa\u00ba", "\u0410\u0411\u0412\u0430\u0431\u0432 \u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440!",
    "\u0395\u03bb\u03bb\u03b7\u03bd\u03b9\u03ba\u03ac \u03ba\u03b1\u03b9 \u1f08\u03c1\u03c7\u03b1\u03af\u03b1", "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd \u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd",
    "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645 \u0645\u064e\u0631\u0652\u062d\u064e\u0628\u064b\u0627", "\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e",
    "\u0ba4\u0bae\u0bbf\u0bb4\u0bcd \u0bae\u0bca\u0bb4\u0bbf", "\u09ac\u09be\u0982\u09b2\u09be \u09ad\u09be\u09b7\u09be \u09c7\u09be", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e0a\u0e32\u0e27\u0e42\u0e25\u0e01",
    "\u1019\u103c\u1014\u103a\u1019\u102c\u1018\u102c\u101e\u102c", "\u10e5\u10d0\u10e0\u10d7\u10e3\u10da\u10d8 \u0540\u0561\u0575\u0565\u0580\u0565\u0576 \u12a0\u121b\u122d\u129b",
    "\u4f60\u597d\uff0c\u4e16\u754c\uff01", "\u3053\u3093\u306b\u3061\u306f\u4e16\u754c\u3002\u30ab\u30bf\u30ab\u30ca", "\uc548\ub155\ud558\uc138\uc694 \uc138\uacc4", "\u1112\u1161\u11ab\u1100\u1173\u11af",
    "\u4e2d\u6587English\u6df7\u5408123\u6587\u672c", "\u4e2dABC\u6587abc\u5b57Abc", "ABC\u4e2d \u65e5A a\u65e5A", "\ufb01 \ufb06 \ufb00", "\uf900\uf901 \U0002f800", "\U00020000\U00020001 \U0002a6d6",
    "\U0001f600", "\U0001f600\U0001f601\U0001f602", "a\U0001f600b \U0001f600 c", "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466", "\U0001f44d\U0001f3fd \U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7",
    "\u2764\ufe0f \u2603 \u2714\ufe0e", "\U0001d4d0\U0001d4d1 \U0001d54f \U0001d7d8", "\u200b\u200c\u200d\ufeff", "\ufeffHello", "a\u00adb", "\u202eabc\u202c",
    "\x00", "a\x00b", "\x01\x02\x1f\x7f", "\x1b[31mred\x1b[0m", "\x0b\x0c", "\ufffd", "a\ufffd\ufffdb", "\ue000\ue001", "\U0010ffff", "\u0378\u0379",
    "\u2581", "a\u2581b", "\u2581a", "a" * 100, "ab" * 64, "A" * 65, "aA" * 40, " " * 17, " " * 100 + "x", "\n" * 35, "\t" * 40, "=" * 80, "-" * 33 + "\n", "9" * 50,
    "\u4e00" * 70, "\U0001f600" * 20, "e\u0301" * 40, "x " * 50, "Donaudampfschifffahrtsgesellschaftskapit\u00e4n", "pneumonoultramicroscopicsilicovolcanoconiosis",
    "antidisestablishmentarianism's", "lol\u2026\u2014\u2013\u201cquoted\u201d \u2018x\u2019", "a.b.c...d", "(a)[b]{c}<d>", " (x) ", "(\n", ")\n\n(", "*\n*\n", "a\r\nb\r\n\r\nc", "\r", "a\rb",
    "1\n2\n3", "1 \n2", "x\t1", " 1", "  1", "   12", "1  ", "a 1 b 2", "1a2b", "\u0661a", "._.", "__init__", "_", " _", "a_b", "--help -v", "\"a\" 'b' `c`", "\"'s\"", "5's 10'S",
]
SPECIAL = [
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", "<|im_start|> a <|im_end|> b", "<|begin_of_text|>Hello", "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>",
    "<|endoftext|>", "a<|endoftext|>b", "<s>", "<s>Hello</s>", " <s> x </s> ", "<unk>", "<s><s>", "<|user|>\nHi<|end|>\n<|assistant|>\n", "<|user|> \n\u3000Hi <|end|> x",
    "<bos><start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\n", "<|im_start", "<|im_start|", "|im_start|>", "<|im_start|><|im_start|>", "<<|im_start|>>", "<|eot_id|>\n\n  <|eot_id|>",
    "<tool_call>\n{\"name\": \"f\"}\n</tool_call>", "<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>", "<0x41><0x0A>", "<0x41", "[PAD151665]", "<unused0>x<unused1>", "<table><tr><td>1</td></tr></table>",
    "[INST] Hi [/INST]", "<<SYS>>x<</SYS>>", "<|reserved_special_token_5|> <|python_tag|>",
]
BLOCKS = [(0x20, 0x7f)] * 6 + [(0xa1, 0x250), (0x300, 0x370), (0x370, 0x530), (0x5d0, 0x5eb), (0x620, 0x660), (0x904, 0x94e),
          (0xe01, 0xe3b), (0x10a0, 0x10c6), (0x1e00, 0x1f00), (0x2000, 0x2070), (0x20a0, 0x20c0), (0x2150, 0x2200),
          (0x2500, 0x25a0), (0x3041, 0x3097), (0x30a1, 0x30fb), (0x4e00, 0x9fa5), (0xac00, 0xd7a4), (0xff01, 0xff5f),
          (0x10400, 0x10450), (0x1d400, 0x1d455), (0x1f300, 0x1f600)]
JOINTS = [" ", " ", " ", "  ", "\n", "\n\n", "\t", "'s", "'LL", "1", "42", "2024", ".", ", ", "-", "/", "\u0301", "\u00a0", "'", "\r\n"]


def make_strings(count=330):
    rnd = random.Random(20240601)
    strings = HAND + SPECIAL
    while len(strings) < count:
        text = ""
        for _ in range(rnd.randint(1, 12)):
            first, last = rnd.choice(BLOCKS)
            text += "".join(chr(rnd.randrange(first, last)) for _ in range(rnd.randint(1, 5))) + rnd.choice(JOINTS)
        strings.append(text)
    return strings


def versions(*packages):
    return {p: importlib.metadata.version(p) for p in packages}


def fnv1a(ids):
    """64-bit FNV-1a of the ids as little-endian int32."""
    h = 0xcbf29ce484222325
    for i in ids:
        for byte in i.to_bytes(4, "little"):
            h = (h ^ byte) * 0x100000001b3 & 0xffffffffffffffff
    return f"{h:016x}"


def write(name, data):
    """One line for each entry, so that diffs can be read."""
    OUT.mkdir(parents=True, exist_ok=True)
    with io.open(OUT / name, "w", newline="\n") as f:
        rows = [json.dumps(k) + ":" + json.dumps(v, separators=(",", ":")) for k, v in data.items()]
        f.write("{" + ",\n".join(rows) + "}\n")


def golden(name, encode, strings, text, parse_special, packages, **where):
    ids = [list(encode(s)) for s in strings]
    whole = list(encode(text))
    write(name + ".json", {"made_by": MADE_BY, "versions": versions(*packages), **where, "parse_special": parse_special,
                           "wikitext": {"tokens": len(whole), "fnv1a": fnv1a(whole)}, "ids": ids})
    print(name, len(whole))


def hf(tokenizer):
    return lambda s: tokenizer.encode(s, add_special_tokens=False).ids


def tiny_bpe(strings):
    """A vocabulary of 256 bytes, 400 merges that pay no heed to words, and two special tokens; one hash of ids for each string and pre-tokenizer."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = ref.byte_level()
    tokenizer.train_from_iterator(strings * 2, trainers.BpeTrainer(
        vocab_size=656, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False, max_token_length=12))
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    merges = [m if isinstance(m, list) else m.split(" ") for m in model["merges"]]
    results = {}
    for pre in sorted(ref.RECIPES):
        made = ref.bpe_from_parts(pre, {t: i for i, t in enumerate(tokens)}, [tuple(m) for m in merges])
        made.add_special_tokens(["<|endoftext|>", "<|im_start|>"])
        results[pre] = [fnv1a(made.encode(s).ids)[:8] for s in strings]
    write("tiny_bpe.json", {"made_by": MADE_BY, "versions": versions("tokenizers"), "tokens": tokens + ["<|endoftext|>", "<|im_start|>"],
                            "merges": [" ".join(m) for m in merges], "hashes": results})


def tiny_spm(strings):
    """A SentencePiece model with byte fallback and user-defined pieces, under three normalizer settings."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([s for s in HAND if "\0" not in s] * 3), model_writer=model, model_type="bpe", vocab_size=1000,
        byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False, add_dummy_prefix=False,
        character_coverage=0.98, user_defined_symbols=["<table>", "\u2581\u2581", "\n\n"], minloglevel=2, hard_vocab_limit=False)
    proto = spm_pb.ModelProto.FromString(model.getvalue())
    user_defined = [i for i, p in enumerate(proto.pieces) if p.type == 4]
    results = {}
    for name, prefix, extra in (("user_defined", False, False), ("prefix", True, False), ("prefix_no_extra", True, True)):
        proto.normalizer_spec.add_dummy_prefix = prefix
        proto.normalizer_spec.remove_extra_whitespaces = extra
        for i in user_defined:
            proto.pieces[i].type = 1 if prefix else 4
            proto.pieces[i].score = -10000 if prefix else 0
        processor = sentencepiece.SentencePieceProcessor(model_proto=proto.SerializeToString())
        results[name] = [fnv1a(processor.encode(s))[:8] for s in strings]
    write("tiny_spm.json", {"made_by": MADE_BY, "versions": versions("sentencepiece"),
                            "pieces": [p.piece for p in proto.pieces], "scores": [int(p.score) for p in proto.pieces],
                            "types": [p.type for p in proto.pieces], "user_defined": user_defined, "hashes": results})


def main():
    parser = argparse.ArgumentParser()
    for name in ("vocab", "models", "peers", "text"):
        parser.add_argument("--" + name, type=pathlib.Path, required=True)
    args = parser.parse_args()
    strings = make_strings()
    text = args.text.read_bytes().decode()
    write("strings.json", {"made_by": MADE_BY, "strings": strings})
    tiny_bpe(strings)
    tiny_spm(strings)

    for name in ("gpt-2", "llama-bpe", "qwen2"):
        file = f"ggml-vocab-{name}.gguf"
        golden(name, hf(ref.hf_bpe(ref.Gguf(args.vocab / file))), strings, text, True, ["tokenizers"], vocab=file)
    for name, file in (("smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"), ("qwen2.5-coder", "qwen2.5-coder-0.5b-instruct-Q4_K_M.gguf")):
        golden(name, hf(ref.hf_bpe(ref.Gguf(args.models / file))), strings, text, True, ["tokenizers"], model=file)
    for name, path, where in (("llama-spm", args.vocab / "ggml-vocab-llama-spm.gguf", "vocab"), ("phi-3", args.vocab / "ggml-vocab-phi-3.gguf", "vocab"),
                              ("gemma-3", args.models / "gemma-3-270m-Q4_K_M.gguf", "model")):
        gguf = ref.Gguf(path)
        golden(name, hf(ref.hf_spm(gguf)), strings, text, True, ["tokenizers"], **{where: path.name})
        if name != "phi-3":  # its .model is Llama 2's
            golden(name + "-sentencepiece", ref.sentencepiece_model(gguf).encode, strings, text, False, ["sentencepiece"], **{where: path.name})
    for name, pre in (("cl100k", "cl100k"), ("o200k", "gpt-4o")):
        file = name + "_base.tiktoken"
        golden(name, ref.tiktoken_encoding(name + "_base", args.peers / file).encode_ordinary, strings, text, False, ["tiktoken"], tiktoken=file, pre=pre)
    tekken = Tekkenizer.from_file(str(args.peers / "tekken.json"))
    golden("tekken", lambda s: tekken.encode(s, bos=False, eos=False), strings, text, False, ["mistral-common", "tiktoken"], tekken="tekken.json")


if __name__ == "__main__":
    main()
