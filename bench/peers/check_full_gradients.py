#!/usr/bin/env python3
"""Gradients of `slm finetune --full` by transformers' names against those of PyTorch.

    check_full_gradients.py SLM FOLDER..

Each FOLDER is a checkpoint of transformers with tensors in float32. Prints, per folder, the largest distance of a
tensor's gradients, |a - b| / |b|, and fails above 1e-4 or where a tensor is missing.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

LIMIT = 1e-4


def check(slm, folder):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager")
    vocab = model.config.vocab_size
    ids = torch.randint(3, vocab, (40,), generator=torch.Generator().manual_seed(3)).tolist()
    labels = [i if t > 9 else -100 for t, i in enumerate(ids)]
    model(input_ids=torch.tensor([ids]), labels=torch.tensor([labels]), use_cache=False).loss.backward()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        (scratch / "data.jsonl").write_text(json.dumps({"ids": ids, "labels": labels}) + "\n")
        subprocess.run([slm, "finetune", "--full", "-m", folder, "--token-data", scratch / "data.jsonl", "-o", scratch / "out",
                        "--steps", "1", "--clip", "0", "--report", "off", "--dump-gradients", scratch / "g.safetensors"],
                       check=True, stderr=subprocess.DEVNULL)
        got = load_file(scratch / "g.safetensors")
    worst, of = 0.0, ""
    for name, p in model.named_parameters():
        distance = float((got[name].double() - p.grad).norm() / p.grad.norm())
        if distance > worst:
            worst, of = distance, name
    print(f"{folder}: {len(got)} tensors, at most {worst:.1e}, of {of}")
    return worst <= LIMIT and len(got) == len(list(model.named_parameters()))


if not all([check(sys.argv[1], folder) for folder in sys.argv[2:]]):
    raise SystemExit("too far apart")
