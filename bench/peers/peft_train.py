#!/usr/bin/env python3
"""Steps of LoRA by PyTorch and PEFT on the CPU: what `slm finetune --token-data` is held against.

    peft_train.py SHAPE DATA.jsonl [--dtype f32|bf16] [--checkpointing] [--steps 3] [--threads 2] [--batch 4] [--rank 16]

SHAPE is smollm2-135m or llama-3.2-1b: random weights of its dimensions. DATA has lines {"ids": .., "labels": ..}. Prints one
JSON object: tokens per second of each step but the first, and the peak of resident memory.
"""
import argparse
import json
import os
import resource
import time

SHAPES = {
    "smollm2-135m": dict(vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30,
                         num_attention_heads=9, num_key_value_heads=3, tie_word_embeddings=True),
    "llama-3.2-1b": dict(vocab_size=128256, hidden_size=2048, intermediate_size=8192, num_hidden_layers=16,
                         num_attention_heads=32, num_key_value_heads=8, head_dim=64, tie_word_embeddings=True),
}

parser = argparse.ArgumentParser()
parser.add_argument("shape", choices=SHAPES)
parser.add_argument("data")
parser.add_argument("--dtype", default="f32", choices=["f32", "bf16"])
parser.add_argument("--checkpointing", action="store_true")
parser.add_argument("--steps", type=int, default=3)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--batch", type=int, default=4)
parser.add_argument("--rank", type=int, default=16)
args = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = str(args.threads)

import torch  # noqa: E402  after the threads are known
from peft import LoraConfig, get_peft_model  # noqa: E402
from transformers import LlamaConfig, LlamaForCausalLM  # noqa: E402

torch.set_num_threads(args.threads)
torch.manual_seed(0)
dtype = torch.float32 if args.dtype == "f32" else torch.bfloat16
config = LlamaConfig(max_position_embeddings=8192, use_cache=False, **SHAPES[args.shape])
torch.set_default_dtype(dtype)
model = LlamaForCausalLM(config)
torch.set_default_dtype(torch.float32)
if args.checkpointing:
    model.gradient_checkpointing_enable()
    model.enable_input_require_grads()
model = get_peft_model(model, LoraConfig(r=args.rank, lora_alpha=2 * args.rank, target_modules="all-linear", task_type="CAUSAL_LM"))
model.train()
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-4)
rows = [json.loads(line) for line in open(args.data)]
speeds = []
for step in range(args.steps):
    batch = [rows[(step * args.batch + i) % len(rows)] for i in range(args.batch)]
    ids = torch.tensor([row["ids"] for row in batch])
    labels = torch.tensor([row["labels"] for row in batch])
    begin = time.time()
    loss = model(input_ids=ids, labels=labels).loss
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    speeds.append(ids.numel() / (time.time() - begin))
print(json.dumps({"torch": torch.__version__, "dtype": args.dtype, "checkpointing": args.checkpointing,
                  "tokens_per_second": speeds[1:] or speeds,
                  "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
