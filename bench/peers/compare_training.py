#!/usr/bin/env python3
"""Speed and memory of LoRA training: slm finetune and PyTorch + PEFT in turns, on the same tokens.

    compare_training.py --slm build/release/slm --model SmolLM2-135M-Instruct.Q4_1.gguf --shape smollm2-135m \
        [--rounds 3] [--batch 4] [--tokens 512] [--steps 3] [--peers f32,f32+checkpointing,bf16,bf16+checkpointing] \
        [--ours int8,int16,f32,int16+checkpointing] [--patience 400]

The interpreter that runs this has torch, transformers and peft. Rank 16, all linear layers, random tokens. What fails, or
has not done its steps in `patience` seconds, is given up and not tried again. Prints each run, then medians over the rounds and
the ratios to the peer that was fastest.
"""
import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

parser = argparse.ArgumentParser()
parser.add_argument("--slm", required=True)
parser.add_argument("--model", required=True)
parser.add_argument("--shape", required=True)
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--batch", type=int, default=4)
parser.add_argument("--tokens", type=int, default=512)
parser.add_argument("--steps", type=int, default=3)
parser.add_argument("--peers", default="f32,f32+checkpointing,bf16,bf16+checkpointing")
parser.add_argument("--ours", default="int8,int16,f32,int16+checkpointing")
parser.add_argument("--patience", type=float, default=400)
args = parser.parse_args()

HERE = pathlib.Path(__file__).parent


def run(command):
    """Standard output, peak bytes of resident memory; nothing where it takes too long or fails."""
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL)
        begin = time.time()
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if time.time() - begin > args.patience:
                process.kill()
                os.wait4(process.pid, 0)
                return None
            time.sleep(0.1)
        if status != 0:  # too little memory, it may be
            print(f"{' '.join(map(str, command))}: status {status}", flush=True)
            return None
        out.seek(0)
        return out.read(), usage.ru_maxrss * 1024


with tempfile.TemporaryDirectory() as folder:
    data, adapter = f"{folder}/data.jsonl", f"{folder}/adapter"
    generator = random.Random(1)
    with open(data, "w") as file:
        for _ in range(args.batch * args.steps):
            ids = [generator.randrange(300, 40000) for _ in range(args.tokens)]
            file.write(json.dumps({"ids": ids, "labels": ids}) + "\n")

    def ours(name):
        precision, *more = name.split("+")
        done = run([args.slm, "finetune", "-m", args.model, "--token-data", data, "-o", adapter, "--fresh", "--batch",
                    str(args.batch), "--steps", str(args.steps), "--report", "off", "--precision", precision,
                    "--checkpointing", "on" if "checkpointing" in more else "off"])
        if done is None:
            return None
        steps = [json.loads(line) for line in open(f"{adapter}/log.jsonl")]
        return [step["tokens"] / step["seconds"] for step in steps[1:]], done[1]

    def peer(name):
        dtype, *more = name.split("+")
        done = run([sys.executable, str(HERE / "peft_train.py"), args.shape, data, "--dtype", dtype, "--batch", str(args.batch),
                    "--steps", str(args.steps), *(f"--{flag}" for flag in more)])
        return None if done is None else (json.loads(done[0])["tokens_per_second"], done[1])

    runs = {f"PyTorch {name}": (lambda name=name: peer(name)) for name in args.peers.split(",")}
    runs |= {f"slm {name}": (lambda name=name: ours(name)) for name in args.ours.split(",")}
    speeds, peaks = {name: [] for name in runs}, {name: 0 for name in runs}
    for _ in range(args.rounds):
        for name in list(runs):
            result = runs[name]()
            if result is None:
                print(f"{name}: given up", flush=True)
                del runs[name]
                continue
            speeds[name].append(statistics.mean(result[0]))
            peaks[name] = max(peaks[name], result[1])
            print(f"{name}: {', '.join(f'{s:.1f}' for s in result[0])} tokens/s, {result[1] / 1e9:.2f} GB", flush=True)

peers = [name for name in runs if name.startswith("PyTorch")]
if not peers:
    sys.exit("no peer did its steps")
fastest = max(peers, key=lambda name: statistics.median(speeds[name]))
print(f"\nmedians of {args.rounds} rounds; ratios to {fastest}")
for name in runs:
    ratios = [own / other for own, other in zip(speeds[name], speeds[fastest])]
    print(f"{name:28} {statistics.median(speeds[name]):7.1f} tokens/s {statistics.median(ratios):6.2f}x "
          f"{peaks[name] / 1e9:6.2f} GB  1/{peaks[fastest] / peaks[name]:.1f}")
