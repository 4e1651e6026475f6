"""What check_adapters_peft.py and check_adapters_llama.py share: slm, its logits, a training of a few steps, and adapters with scales of
their own."""

import argparse
import json
import os
import pathlib
import subprocess

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
FAMILIES = ["llama", "qwen2", "qwen3", "phi4", "phi4mini", "gemma2", "gemma3", "ministral3"]
PATTERNS = {r"layers\.(0|2)\..*": 3, "self_attn.(q_proj|qkv_proj)": 20, "o_proj": 0.5}


def arguments(description):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slm", default=ROOT / "build" / "release" / "slm", type=pathlib.Path)
    parser.add_argument("--data", default=os.environ.get("SLM_DATA", ROOT / ".." / "shared" / "data"), type=pathlib.Path)
    return parser


class Checker:
    def __init__(self, args, folder):
        self.args = args
        self.folder = pathlib.Path(folder)
        self.failures = 0

    def report(self, name, what, is_good):
        self.failures += not is_good
        print(f"{'ok  ' if is_good else 'FAIL'} {name:34} {what}", flush=True)

    def slm(self, *command):
        result = subprocess.run([self.args.slm, *map(str, command)], capture_output=True, check=False)
        if result.returncode:
            raise RuntimeError(f"slm {command}: {result.stderr.decode()}")
        return result.stdout

    def base(self, family):
        return self.args.data / "tiny" / family / "model-f32.gguf"

    def prompts(self, family):
        """The rows that the adapters of tiny/ are tried on, and the long list of logits.json."""
        source = self.args.data / "tiny" / family
        return json.loads((source / "lora" / "training.json").read_text())["ids"] + [json.loads((source / "logits.json").read_text())["long"]["ids"]]

    def logits(self, gguf, adapter, ids):
        """Of slm after the last id, with a cache in floats."""
        rows = json.loads(self.slm("logits", "-m", gguf, *(["--lora", adapter] if adapter else []), "--ids", ",".join(map(str, ids)), "--top", 0,
                                   "--json", "-ctk", "f32", "-ctv", "f32", "-c", len(ids)))["logits"]
        ours = np.zeros(len(rows))
        for row in rows:
            ours[row["id"]] = row["logit"]
        return ours

    def train(self, family, *flags):
        """A few steps at a rate so high that the adapter matters."""
        out = self.folder / "-".join([family, "trained", *(flag.strip("-") for flag in flags)])
        rows = json.loads((self.args.data / "tiny" / family / "lora" / "training.json").read_text())
        data = self.folder / "rows.jsonl"
        data.write_text("".join(json.dumps({"ids": i, "labels": l}) + "\n" for i, l in zip(rows["ids"], rows["labels"])))
        self.slm("finetune", "-m", self.base(family), "--token-data", data, "-o", out, "--steps", 30, "--batch", 2, "--warmup", 0, "--lr", 0.02,
                 "--rank", 6, *flags)
        return out

    def with_patterns(self, family):
        """The PEFT adapter of tiny/ with an alpha of its own for some modules."""
        source, out = self.args.data / "tiny" / family / "lora", self.folder / f"{family}-patterns"
        out.mkdir()
        config = json.loads((source / "adapter_config.json").read_text())
        (out / "adapter_config.json").write_text(json.dumps({**config, "alpha_pattern": PATTERNS}, sort_keys=True))
        (out / "adapter_model.safetensors").write_bytes((source / "adapter_model.safetensors").read_bytes())
        return out

    def convert(self, family, adapter, name):
        out = self.folder / f"{family}-{name}"
        self.slm("convert", adapter, "-m", self.base(family), "-o", out)
        return out
