#!/usr/bin/env python3
"""Holds the folders of `slm convert --to hf` against transformers: tensors, logits, token ids, rendered chats.

usage: check_hf_folder.py [--slm BINARY] [--data SLM_DATA] [--models DIR] [--keep DIR] [tiny] [packed] [recipes] [vocab] [models]
  tiny    the checkpoints of tiny/: tensors of the folder equal the original ones, logits equal slm's (1e-4)
  packed  their Q4_0 files, the gguf package's (all matrices) and slm's, as compressed-tensors: logits equal slm's (1e-3)
  recipes made-up vocabularies under every pre-tokenizer, and SentencePiece ones: AutoTokenizer gives the golden ids
  vocab   every vocabulary: AutoTokenizer gives the ids of tests/golden/tokenizers
  models  the real models: ids, chats, and logits of float32 and of 4 bits
Needs torch, transformers, compressed-tensors, gguf. slm computes in its float reference with a float32 cache. Prints a row for each
check and fails when one does.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import gguf_variants
import numpy as np
import torch
import transformers
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden" / "tokenizers"
FAMILIES = ["llama", "qwen2", "qwen3", "phi4", "phi4mini", "gemma2", "gemma3", "ministral3"]
CHATS = [
    [{"role": "user", "content": "Hello, world!"}],
    [{"role": "user", "content": "  Two\n\nlines <|im_end|>  "}, {"role": "assistant", "content": "Yes.\n"}, {"role": "user", "content": "na\u00efve \u4f60\u597d \U0001f600"}],
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
]


def fnv1a(ids):
    h = 0xcbf29ce484222325
    for byte in b"".join(i.to_bytes(4, "little") for i in ids):
        h = (h ^ byte) * 0x100000001b3 & 0xffffffffffffffff
    return f"{h:016x}"


class Checker:
    def __init__(self, args, folder):
        self.args = args
        self.folder = folder
        self.failures = 0

    def report(self, name, what, is_good):
        self.failures += not is_good
        print(f"{'ok  ' if is_good else 'FAIL'} {name:34} {what}", flush=True)

    def slm(self, *command, **env):
        result = subprocess.run([self.args.slm, *map(str, command)], capture_output=True, env={**os.environ, **env}, check=False)
        if result.returncode:
            raise RuntimeError(f"slm {command}: {result.stderr.decode()}")
        return result.stdout

    def convert(self, gguf, *flags):
        out = self.folder / (gguf.parent.name + "-" + gguf.stem + "".join(map(str, flags)))
        self.slm("convert", gguf, "-o", out, "--to", "hf", *flags)
        return out

    def compare_logits(self, name, gguf, folder, ids, limit, context=0):
        made = self.slm("logits", "-m", gguf, "--ids", ",".join(map(str, ids)), "--top", 0, "--json", "-ctk", "f32", "-ctv", "f32",
                        "-c", context or len(ids), SLM_ISA="ref")
        ours = np.zeros(0)
        rows = json.loads(made)["logits"]
        ours = np.zeros(len(rows))
        for row in rows:
            ours[row["id"]] = row["logit"]
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        with torch.no_grad():
            theirs = model(torch.tensor([ids])).logits[0, -1].double().numpy()
        difference = np.abs(theirs - ours).max()
        self.report(name, f"logits differ by {difference:.2e} of {np.abs(theirs).max():.1f}, limit {limit:g}; same top: {theirs.argmax() == ours.argmax()}",
                    difference <= limit)

    def compare_tensors(self, name, folder, original, is_gemma):
        made, expected = load_file(folder / "model.safetensors"), load_file(original / "model.safetensors")
        exact = near = 0
        worst = 0.0
        for key, tensor in expected.items():
            if key not in made or made[key].shape != tensor.shape or made[key].dtype != tensor.dtype:
                self.report(name, f"{key} is missing or of another shape", False)
                return
            if torch.equal(made[key].view(torch.int32), tensor.view(torch.int32)):
                exact += 1
            else:
                near += 1
                worst = max(worst, (made[key] - tensor).abs().max().item())
        is_good = made.keys() == expected.keys() and (near == 0 or is_gemma and worst <= 2 ** -24)
        self.report(name, f"{exact} tensors bit-equal, {near} within {worst * 2 ** 24:.2f} * 2^-24", is_good)

    def tiny(self):
        for family in FAMILIES:
            source = self.args.data / "tiny" / family
            gguf = source / "model-f32.gguf"
            folder = self.convert(gguf, "--bits", 32)
            self.compare_tensors(f"tiny {family}", folder, source / "hf", family.startswith("gemma"))
            for length in ("short", "long"):
                ids = json.loads((source / "logits.json").read_text())[length]["ids"]
                self.compare_logits(f"tiny {family} {length}", gguf, folder, ids, 1e-4)

    def packed(self):
        for family in FAMILIES:
            source = self.args.data / "tiny" / family
            all_q4_0, ours = (self.folder / f"{family}-Q4_0-{maker}.gguf" for maker in ("gguf", "slm"))
            gguf_variants.quantize(source / "model-f32.gguf", all_q4_0)
            self.slm("quantize", source / "model-f32.gguf", ours, "Q4_0")
            for name, gguf in (("gguf's", all_q4_0), ("slm's", ours)):
                folder = self.convert(gguf, "--bits", 4)
                for length in ("short", "long"):
                    ids = json.loads((source / "logits.json").read_text())[length]["ids"]
                    self.compare_logits(f"packed {family}, {name}, {length}", gguf, folder, ids, 1e-3)

    def compare_ids(self, name, golden_name, folder, bos):
        strings = json.loads((GOLDEN / "strings.json").read_text())["strings"]
        golden = json.loads((GOLDEN / f"{golden_name}.json").read_text())["ids"]
        tokenizer = AutoTokenizer.from_pretrained(folder)
        plain = [tokenizer(s, add_special_tokens=False).input_ids for s in strings]
        special = [tokenizer(s).input_ids for s in strings]
        wrong = [i for i in range(len(strings)) if plain[i] != golden[i]]
        wrong_special = [i for i in range(len(strings)) if special[i] != bos + golden[i]]
        for i in (wrong + wrong_special)[:3]:
            print(f"     {strings[i]!r}: expected {golden[i]}, got {plain[i]}, with special tokens {special[i]}")
        self.report(name, f"{len(strings) - len(wrong)} of {len(strings)} strings, {len(strings) - len(wrong_special)} with special tokens", not (wrong or wrong_special))
        return tokenizer

    def vocab(self):
        for golden, file in (("gpt-2", "gpt-2"), ("llama-bpe", "llama-bpe"), ("qwen2", "qwen2"), ("llama-spm", "llama-spm"), ("phi-3", "phi-3")):
            gguf = self.folder / f"{golden}.gguf"
            gguf_variants.dress_vocabulary(self.args.data / "vocab" / f"ggml-vocab-{file}.gguf", gguf)
            self.compare_ids(f"vocab {golden}", golden, self.convert(gguf), self.bos_of(gguf))
        for golden, file, pre in (("cl100k", "cl100k_base.tiktoken", "cl100k"), ("o200k", "o200k_base.tiktoken", "gpt-4o"), ("tekken", "tekken.json", "tekken")):
            gguf = self.folder / f"{golden}.gguf"
            gguf_variants.dress_ranks(self.args.models / file, gguf, pre)
            self.compare_ids(f"ranks {golden}", golden, self.convert(gguf), self.bos_of(gguf))

    def compare_hashes(self, name, hashes, folder, without=()):
        """`without`: what stands for something else in the golden's tokenizer."""
        tokenizer = AutoTokenizer.from_pretrained(folder)
        rows = list(zip(json.loads((GOLDEN / "strings.json").read_text())["strings"], hashes))
        rows = [(text, golden) for text, golden in rows if not any(w in text for w in without)]
        wrong = [text for text, golden in rows if fnv1a(tokenizer(text).input_ids)[:8] != golden]
        self.report(name, f"{len(rows) - len(wrong)} of {len(rows)} strings" + "".join(f"\n     {text!r}" for text in wrong[:12]), not wrong)

    def recipes(self):
        bpe, spm = (json.loads((GOLDEN / f"tiny_{kind}.json").read_text()) for kind in ("bpe", "spm"))
        for pre, hashes in bpe["hashes"].items():
            gguf = self.folder / f"made-up-{pre}.gguf"
            gguf_variants.dress_made_up(bpe, gguf, pre)
            self.compare_hashes(f"recipe {pre}", hashes, self.convert(gguf))
        for name, hashes in spm["hashes"].items():
            gguf = self.folder / f"made-up-spm-{name}.gguf"
            gguf_variants.dress_made_up(spm, gguf, None, name != "user_defined", name == "prefix_no_extra")
            # SentencePiece never finds control pieces in text, and removes extra spaces before U+2581 becomes one.
            without = ["<s>", "</s>", "<unk>"] + (["\u2581"] if name == "prefix_no_extra" else [])
            self.compare_hashes(f"recipe spm {name}", hashes, self.convert(gguf), without)

    def bos_of(self, gguf):
        return json.loads(self.slm("tokenize", "-m", gguf, "-p", "", "--json"))["tokens"]

    def compare_chats(self, name, gguf, tokenizer):
        equal = 0
        for i, chat in enumerate(CHATS):
            messages = self.folder / "messages.json"
            messages.write_text(json.dumps(chat))
            for prompt in (False, True):
                ours = self.slm("template", "-m", gguf, "--messages", messages, *(["--add-generation-prompt"] if prompt else [])).decode()
                theirs = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=prompt)
                equal += ours == theirs
                if ours != theirs:
                    print(f"     {i}: slm {ours!r}, transformers {theirs!r}")
        self.report(name, f"{equal} of {2 * len(CHATS)} chats", equal == 2 * len(CHATS))

    def real(self):
        for golden, file in (("smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"), ("gemma-3", "gemma-3-270m-Q4_K_M.gguf"),
                             ("qwen2.5-coder", "qwen2.5-coder-0.5b-instruct-Q4_K_M.gguf")):
            gguf = self.args.models / file
            folder = self.convert(gguf, "--bits", 32)
            tokenizer = self.compare_ids(f"model {golden}", golden, folder, self.bos_of(gguf))
            self.compare_chats(f"model {golden}", gguf, tokenizer)
            ids = tokenizer("The quick brown fox jumps over the lazy dog, and then").input_ids
            self.compare_logits(f"model {golden} 32 bits", gguf, folder, ids, 1e-3, 512)
            packed = self.convert(gguf, "--bits", 4)
            model = AutoModelForCausalLM.from_pretrained(packed, dtype=torch.float32)
            text = tokenizer.decode(model.generate(torch.tensor([ids]), max_new_tokens=12, do_sample=False)[0])
            self.report(f"model {golden} 4 bits", repr(text), True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slm", default=ROOT / "build" / "release" / "slm", type=pathlib.Path)
    parser.add_argument("--data", default=os.environ.get("SLM_DATA", ROOT / ".." / "shared" / "data"), type=pathlib.Path)
    parser.add_argument("--models", default=os.environ.get("SLM_MODELS", "models"), type=pathlib.Path)
    parser.add_argument("--keep", type=pathlib.Path, help="write the folders here and keep them")
    parser.add_argument("checks", nargs="*", metavar="CHECK", default=["tiny", "packed", "recipes", "vocab", "models"])
    args = parser.parse_args()
    transformers.logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as name:
        folder = args.keep or pathlib.Path(name)
        folder.mkdir(exist_ok=True)
        checker = Checker(args, folder)
        for check in args.checks:
            getattr(checker, "real" if check == "models" else check)()
    print(f"{checker.failures} failures")
    return checker.failures > 0


if __name__ == "__main__":
    sys.exit(main())
