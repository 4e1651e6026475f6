# Holds loss and gradients of one step of `slm finetune --dropout` against PEFT, whose dropout is given the same masks.
# transformers 5.23.0, peft 0.21.0, torch 2.15.0.
#   check_dropout.py SLM FOLDER...
# A folder has the tokens, training.json, and an adapter; beside it are model-f32.gguf and the same model as hf/.
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

SHARE, SEED = 0.25, 5
SLOTS = 24  # model::Slot of src/model/tensor_table.h
SLOT_OF = {"q_proj": 7, "k_proj": 8, "v_proj": 9, "qkv_proj": 10, "o_proj": 17, "gate_proj": 20, "up_proj": 21,
           "gate_up_proj": 21, "down_proj": 22}
ALL = (1 << 64) - 1


def mix_bits(x):
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & ALL
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & ALL
    return x ^ (x >> 31)


def random_bits(seed, counter):
    return mix_bits(mix_bits(seed + 0x9E3779B97F4A7C15 & ALL) + (counter + 1) * 0x9E3779B97F4A7C15 & ALL)


class Mask(torch.nn.Module):
    sample = 0  # of the step, the first

    def __init__(self, layer, slot):
        super().__init__()
        self.tensor = layer * SLOTS + slot

    def forward(self, x):
        rows, k = x.shape[-2:]
        sample = random_bits(random_bits(mix_bits(SEED ^ 0x64726F706F757400), 0), Mask.sample)
        threshold = round(SHARE * 65536)
        mask = np.zeros((rows, k), dtype=np.float32)
        for row in range(rows):
            seed = random_bits(random_bits(sample, row), self.tensor)
            for i in range(k):
                bits = random_bits(seed, i // 4) >> 16 * (i % 4) & 0xFFFF
                mask[row, i] = 0 if bits < threshold else 65536 / (65536 - threshold)
        return x * torch.from_numpy(mask)


def by_slm(slm, adapter, tokens, work):
    lines = [json.dumps({"ids": i, "labels": l}) for i, l in zip(tokens["ids"], tokens["labels"])]
    (work / "tokens.jsonl").write_text("\n".join(lines))
    subprocess.run([slm, "finetune", "-m", adapter.parent / "model-f32.gguf", "--token-data", work / "tokens.jsonl", "-o",
                    work / "a", "--init-adapter", adapter, "--dropout", str(SHARE), "--seed", str(SEED), "--precision",
                    "f32", "--clip", "0", "--batch", str(len(lines)), "--steps", "1", "--lr", "1e-9", "--warmup", "0",
                    "--schedule", "constant", "--dump-gradients", work / "g.safetensors", "--log", work / "log.jsonl"],
                   check=True, capture_output=True)
    loss = json.loads((work / "log.jsonl").read_text().splitlines()[0])["loss"]
    return loss, load_file(work / "g.safetensors")


def by_peft(adapter, tokens):
    model = AutoModelForCausalLM.from_pretrained(adapter.parent / "hf", dtype=torch.float32, attn_implementation="eager")
    model = PeftModel.from_pretrained(model, adapter, is_trainable=True).train()
    for name, module in model.named_modules():
        if len(getattr(module, "lora_dropout", {})):
            layer = int(re.search(r"layers\.(\d+)\.", name).group(1))
            module.lora_dropout["default"] = Mask(layer, SLOT_OF[name.split(".")[-1]])
    trained = sum(label != -100 for labels in tokens["labels"] for label in labels[1:])
    total = 0
    for Mask.sample, (ids, labels) in enumerate(zip(tokens["ids"], tokens["labels"])):
        logits = model(input_ids=torch.tensor([ids])).logits[0, :-1]
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(labels[1:]), ignore_index=-100, reduction="sum")
        (loss / trained).backward()
        total += loss.item() / trained
    return total, {name.replace(".default", ""): p.grad for name, p in model.named_parameters() if p.grad is not None}


for folder in sys.argv[2:]:
    adapter = Path(folder)
    tokens = json.loads((adapter / "training.json").read_text())
    with tempfile.TemporaryDirectory() as work:
        loss, gradients = by_slm(sys.argv[1], adapter, tokens, Path(work))
    expected_loss, expected = by_peft(adapter, tokens)
    worst = 0
    for name, gradient in expected.items():
        got = gradients[name] if name in gradients else gradients[name.removesuffix(".weight")]
        worst = max(worst, ((got - gradient).norm() / gradient.norm()).item())
    print(f"{folder}: loss {loss:.6f}, PEFT's {expected_loss:.6f}; {len(expected)} gradients within {worst:.1e}")
    assert abs(loss / expected_loss - 1) < 1e-5 and worst < 1e-4
