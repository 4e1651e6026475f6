#!/usr/bin/env python3
"""Writes tests/golden/full_finetune.json: what PyTorch makes of training all weights of tests/golden/families.

    pip install torch==2.15.0 transformers==5.23.0 gguf==0.19.0
    python3 bench/peers/make_full_finetune_goldens.py

Per family, in float64 but for what transformers does in float32: the loss of a batch, the norm of every tensor's gradient and some of its numbers,
by GGUF's names and in its order of rows; and the losses of 10 steps of AdamW, whose weight decay is of
matrices alone, as transformers' Trainer has it.
"""

import json
import pathlib

import torch

from make_family_goldens import FAMILIES, make_model, tensors

STEPS, LEARNING_RATE, WEIGHT_DECAY = 10, 2e-3, 0.05
NUMBERS = 12  # of a gradient, evenly spread
LEFT_OUT = "gemma2_27b"  # 46 layers that say no more than gemma2's
IGNORED = -100


def make_batch(vocab, rng):
    """Three samples of different lengths, of which not all is trained, and with ids that occur again."""
    batch = []
    for length in (33, 12, 25):
        ids = torch.randint(3, vocab // 2, (length,), generator=rng).tolist()
        labels = [i if t >= length // 3 and t % 5 else IGNORED for t, i in enumerate(ids)]
        batch.append((ids, labels))
    return batch


def loss_of(model, batch):
    """The mean over the trained tokens of all samples."""
    total, count = 0, 0
    for ids, labels in batch:
        logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, :-1]
        total = total + torch.nn.functional.cross_entropy(
            logits, torch.tensor(labels[1:]), ignore_index=IGNORED, reduction="sum")
        count += sum(label != IGNORED for label in labels[1:])
    return total / count


def make(name, seed):
    arch, prefix, config = FAMILIES[name]
    model = make_model(prefix, config, seed).double()
    batch = make_batch(config["vocab_size"], torch.Generator().manual_seed(7))
    groups = [{"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
              {"params": [p for p in model.parameters() if p.ndim == 1], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE)
    losses, gradients = [], {}
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = loss_of(model, batch)
        loss.backward()
        losses.append(float(loss.detach()))
        if step == 0:
            state = {key: p.grad for key, p in model.named_parameters()}
            for key, gradient in tensors(arch, model, state).items():
                flat = gradient.reshape(-1)
                each = max(1, len(flat) // NUMBERS)
                gradients[key] = {"norm": float((flat.astype("f8") ** 2).sum() ** 0.5), "each": each,
                                  "numbers": [float(f"{x:.7g}") for x in flat[::each]]}
        optimizer.step()
    return {"ids": [ids for ids, _ in batch], "labels": [labels for _, labels in batch],
            "losses": losses, "gradients": gradients}


def main():
    torch.set_num_threads(1)
    folder = pathlib.Path(__file__).resolve().parents[2] / "tests/golden"
    goldens = {"learning_rate": LEARNING_RATE, "weight_decay": WEIGHT_DECAY}
    for name in FAMILIES:
        if name == LEFT_OUT:
            continue
        about = json.loads((folder / "families" / f"{name}.json").read_text())["about"]
        goldens[name] = make(name, about["seed"])
        print(name, goldens[name]["losses"][0], goldens[name]["losses"][-1])
    text = json.dumps(goldens).replace('}, "', '},\n"')
    (folder / "full_finetune.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
