#!/usr/bin/env python3
"""Adapters of slm in llama.cpp, and those of its converter in slm: logits of eight families in float32, and of a quantized model.

usage: check_adapters_llama.py [--slm BINARY] [--data SLM_DATA] [--models DIR]
  finetune  adapter.gguf of `slm finetune`
  convert   PEFT adapters that `slm convert` makes GGUF files of: plain, with rsLoRA's scale, with an alpha_pattern
  theirs    PEFT adapters as llama.cpp's convert_lora_to_gguf.py writes them, in slm: one alpha, rows of q and k permuted
  quantized an adapter from a few steps on a quantized model: KL divergence of llama.cpp's answers from slm's, on WikiText-2. Both
            round activations, each in its way, which is seen without an adapter: it may add little to that
Needs llama-cpp-python, gguf, numpy. Prints a row for each check and fails when one does.
"""
import json
import os
import pathlib
import sys
import tempfile

import gguf
import kl_statistics
import llama_peer
import numpy as np
from adapter_checks import FAMILIES, Checker, arguments

LIMIT = 1e-2  # llama.cpp takes GELU from a table in half precision
KLD_LIMIT = 2e-3
MODELS = ["qwen2.5-coder-0.5b-instruct-Q4_K_M.gguf", "SmolLM2-135M-Instruct.Q4_1.gguf"]
ARCHITECTURES = {"phi4": "phi3", "phi4mini": "phi3", "ministral3": "mistral3"}
NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.qkv_proj": "attn_qkv",
         "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.gate_up_proj": "ffn_up",
         "mlp.down_proj": "ffn_down"}


def read_safetensors(path):
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    for name, entry in json.loads(data[8:8 + size]).items():
        if name != "__metadata__":
            assert entry["dtype"] == "F32"
            begin, end = (8 + size + at for at in entry["data_offsets"])
            yield name, np.frombuffer(data[begin:end], "<f4").reshape(entry["shape"])


def convert_as_they_do(adapter, hf, family, out):
    """What convert_lora_to_gguf.py writes by default: alpha as it is, float32, Llama's q and k with their halves interleaved."""
    config, base = (json.loads(path.read_text()) for path in (adapter / "adapter_config.json", hf / "config.json"))
    writer = gguf.GGUFWriter(out, ARCHITECTURES.get(family, family))
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", config["lora_alpha"])
    heads = {"q_proj": base["num_attention_heads"], "k_proj": base["num_key_value_heads"]}
    for name, values in read_safetensors(adapter / "adapter_model.safetensors"):
        layer, rest = name.removeprefix("base_model.model.model.layers.").removesuffix(".weight").split(".", 1)
        module, part = rest.rsplit(".lora_", 1)
        if part == "B" and family in ("llama", "ministral3") and module[-6:] in heads:
            count = heads[module[-6:]]
            values = values.reshape(count, 2, -1, values.shape[1]).swapaxes(1, 2).reshape(values.shape)
        writer.add_tensor(f"blk.{layer}.{NAMES[module]}.weight.lora_{part.lower()}", np.ascontiguousarray(values))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


class LlamaChecker(Checker):
    def compare(self, family, name, in_llama, in_slm=None):
        worst, effect = 0, np.inf
        for ids in self.prompts(family):
            # The context decides on the factors of long rope.
            peer = llama_peer.LlamaPeer(self.base(family), len(ids) + 16, 1, batch=2048, is_f32=True)
            peer.decode(ids, 0)
            before = peer.logits()[0].copy()
            peer.use_adapter(in_llama)
            peer.clear()
            peer.decode(ids, 0)
            theirs = peer.logits()[0]
            worst = max(worst, np.abs(self.logits(self.base(family), in_slm or in_llama, ids) - theirs).max())
            effect = min(effect, np.abs(before - theirs).max())
        self.report(f"{family} {name}", f"logits differ by {worst:.1e}, limit {LIMIT:g}; the adapter changes them by {effect:.2f} and more",
                    worst <= LIMIT and effect > 0.1)

    def tiny(self):
        for family in FAMILIES:
            source = self.args.data / "tiny" / family
            trained = self.train(family)
            self.compare(family, "finetune", trained / "adapter.gguf", trained)
            self.compare(family, "convert", self.convert(family, source / "lora", "lora.gguf"), source / "lora")
            if (source / "rslora").exists():
                self.compare(family, "convert, rsLoRA", self.convert(family, source / "rslora", "rslora.gguf"), source / "rslora")
            patterns = self.with_patterns(family)
            self.compare(family, "convert, patterns", self.convert(family, patterns, "patterns.gguf"), patterns)
            theirs = self.folder / f"{family}-theirs.gguf"
            convert_as_they_do(source / "lora", source / "hf", family, theirs)
            self.compare(family, "theirs", theirs)
            self.compare(family, "theirs, slm with PEFT's", theirs, source / "lora")

    def quantized(self, name):
        model, text = self.args.models / name, self.args.data / "text" / "wikitext-2-raw-test.txt"
        data, adapter, ours = self.folder / "text.jsonl", self.folder / name, self.folder / "logits.npy"
        verse = "Whose woods these are I think I know. His house is in the village though; he will not see me stopping here. "
        data.write_text(json.dumps({"text": verse * 4}) + "\n")
        self.slm("finetune", "-m", model, "-d", data, "-o", adapter, "--steps", 8, "--batch", 1, "--warmup", 0, "--lr", 0.003)
        self.slm("compare", "--base", model, model, "--lora", adapter, "-f", text, "-c", 512, "--chunks", 2, "--no-speed", "--logits-file", ours,
                 "-ctk", "f32", "-ctv", "f32")
        ours = np.load(ours, mmap_mode="r")
        peer = llama_peer.LlamaPeer(model, 512, 2, batch=512, is_f32=True)
        ids = peer.tokenize(text.read_bytes())
        base, with_adapter, effect = (kl_statistics.Tokens() for _ in range(3))
        scored = len(ours) // 2
        for use in (False, True):
            if use:
                peer.use_adapter(adapter / "adapter.gguf")
            for chunk in range(2):
                part = ids[512 * chunk:512 * (chunk + 1)]
                run = part if peer.bos() is None else [peer.bos()] + part[1:]
                peer.clear()
                peer.decode(run, 0, logits_from=256)
                theirs = kl_statistics.log_softmax(peer.logits(256, 256)[:-1].copy())
                plain, adapted = (kl_statistics.log_softmax(np.array(ours[scored * chunk:scored * (chunk + 1), i])) for i in (0, 1))
                targets = np.array(part[257:])
                (with_adapter if use else base).add(adapted if use else plain, theirs, targets)
                if use:
                    effect.add(plain, adapted, targets)
        found, without, of_adapter = (tokens.summary() for tokens in (with_adapter, base, effect))
        limit = max(KLD_LIMIT, without["mean_kld"] + KLD_LIMIT / 2)
        self.report(name.removesuffix(".gguf"), f"mean KLD {found['mean_kld']:.5f}, limit {limit:.5f}; without an adapter {without['mean_kld']:.5f}; "
                    f"same top {found['same_top']:.3f}; {found['tokens']} tokens; the adapter itself {of_adapter['mean_kld']:.2f}",
                    found["mean_kld"] <= limit and of_adapter["mean_kld"] > 0.1)


def main():
    parser = arguments(__doc__)
    parser.add_argument("--models", default=os.environ.get("SLM_MODELS", "models"), type=pathlib.Path)
    with tempfile.TemporaryDirectory() as folder:
        checker = LlamaChecker(parser.parse_args(), folder)
        checker.tiny()
        for model in MODELS:
            checker.quantized(model)
    print(f"{llama_peer.VERSION}: {checker.failures} failures")
    return checker.failures > 0


if __name__ == "__main__":
    sys.exit(main())
