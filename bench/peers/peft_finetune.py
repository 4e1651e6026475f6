#!/usr/bin/env python3
"""What `slm finetune` does, by transformers, PyTorch and PEFT: the same data and hyper-parameters, to compare the results.

    peft_finetune.py MODEL TRAIN.jsonl OUT [--rank 16 --alpha 32 --lr 1e-3 --epochs 6 --batch 16 --seed 0] [--labels TEST.jsonl]

MODEL is a folder of transformers (`slm convert MODEL.gguf --to hf --bits 32`). Lines of TRAIN are OpenAI messages whose last one is
trained, up to the token that ends it. Float32, AdamW, cosine with 3 % warm-up, clipped at 1; the loss is the mean over all trained
tokens of a step. --labels: the share of TEST whose label, of all labels in it, is the likeliest. Runs on a GPU where there is one.
"""
import argparse
import json
import math
import os
import random
import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("model")
parser.add_argument("train")
parser.add_argument("out")
parser.add_argument("--rank", type=int, default=16)
parser.add_argument("--alpha", type=float, default=32)
parser.add_argument("--dropout", type=float, default=0)
parser.add_argument("--lr", type=float, default=1e-3)
parser.add_argument("--epochs", type=int, default=6)
parser.add_argument("--batch", type=int, default=16)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--labels")
args = parser.parse_args()

device = "cuda" if torch.cuda.is_available() else "cpu"
torch.manual_seed(args.seed)
tokenizer = AutoTokenizer.from_pretrained(args.model)
model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32).to(device)
model = get_peft_model(model, LoraConfig(r=args.rank, lora_alpha=args.alpha, lora_dropout=args.dropout, target_modules="all-linear",
                                         task_type="CAUSAL_LM"))


def read(path):
    return [json.loads(line)["messages"] for line in open(path)]


def tokenize(messages):
    """Ids up to the end token of the answer, and how many are the prompt's."""
    text = tokenizer.apply_chat_template(messages[:-1], tokenize=False, add_generation_prompt=True)
    prompt = tokenizer(text, add_special_tokens=False)["input_ids"]
    answer = tokenizer(messages[-1]["content"], add_special_tokens=False)["input_ids"]
    return prompt + answer + [tokenizer.eos_token_id], len(prompt)


def pad(rows):
    ids = torch.zeros(len(rows), max(len(row) for row, _ in rows), dtype=torch.long)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, -100)
    for i, (row, prompt) in enumerate(rows):
        ids[i, :len(row)] = torch.tensor(row)
        mask[i, :len(row)] = 1
        labels[i, prompt:len(row)] = ids[i, prompt:len(row)]
    return ids.to(device), mask.to(device), labels.to(device)


def negative_log_likelihood(rows):
    """Of each row's trained tokens."""
    ids, mask, labels = pad(rows)
    hidden = model.base_model.model.model(input_ids=ids, attention_mask=mask, use_cache=False)[0][:, :-1]
    chosen = labels[:, 1:] != -100
    losses = torch.nn.functional.cross_entropy(model.base_model.model.lm_head(hidden[chosen]).float(), labels[:, 1:][chosen], reduction="none")
    return losses, chosen


def train(rows):
    steps = args.epochs * math.ceil(len(rows) / args.batch)
    warmup = math.ceil(0.03 * steps)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=args.lr, weight_decay=0)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: s / warmup if s < warmup else 0.5 * (1 + math.cos(math.pi * (s - warmup) / max(1, steps - warmup))))
    model.train()
    generator, begin, step = random.Random(args.seed), time.time(), 0
    for epoch in range(args.epochs):
        order = list(range(len(rows)))
        generator.shuffle(order)
        total = 0
        for i in range(0, len(order), args.batch):
            losses, _ = negative_log_likelihood([rows[j] for j in order[i:i + args.batch]])
            losses.mean().backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
            total += losses.mean().item()
            step += 1
        print(f"epoch {epoch + 1} loss {total / math.ceil(len(order) / args.batch):.4f} {time.time() - begin:.0f} s", flush=True)


def score_labels(path):
    tests = read(path)
    labels = sorted({messages[-1]["content"] for messages in tests})
    right = 0
    model.eval()
    with torch.no_grad():
        for messages in tests:
            rows = [tokenize(messages[:-1] + [{"role": "assistant", "content": label}]) for label in labels]
            losses, chosen = negative_log_likelihood(rows)
            scores = torch.zeros(chosen.shape, device=device)
            scores[chosen] = losses
            right += labels[int(scores.sum(1).argmin())] == messages[-1]["content"]
    return right / len(tests)


train([tokenize(messages) for messages in read(args.train)])
model.save_pretrained(args.out)
result = {"args": vars(args), "torch": torch.__version__, "device": device}
if args.labels:
    result["score"] = score_labels(args.labels)
print(json.dumps(result))
with open(os.path.join(args.out, "result.json"), "w") as file:
    json.dump(result, file)
