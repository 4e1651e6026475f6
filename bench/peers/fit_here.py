#!/usr/bin/env python3
"""Which shares of this machine's peak and bandwidth slm reaches, fitted on answers of slm bench.

    slm bench -m A.gguf -p 448 -n 0 -r 5 --json >>here.jsonl          # several lengths of a prompt
    slm bench -m A.gguf -p 0 -n 32 -d 472 -r 5 --json >>here.jsonl    # several depths, of two models or more
    bench/peers/fit_here.py SLM here.jsonl

The formulas are those of src/plan/serving_speed.cpp, for prompts of so many tokens that reading the weights is little beside
multiplying by them, and for models without windows. Each answer weighs the same, by the logarithm of how far it is off. The figures
go into the record of the kernels in catalog/efficiencies.json by hand.
"""
import itertools
import json
import math
import subprocess
import sys

slm, answers = sys.argv[1], [answer for line in open(sys.argv[2]) for answer in json.loads(line)]


def shape(model):
    """Layers, and elements of all heads of queries of all layers."""
    meta = json.loads(subprocess.run([slm, "inspect", model, "--json"], check=True, capture_output=True).stdout)["metadata"]
    of = lambda name, usual=None: meta.get(f"{meta['general.architecture']}.{name}", usual)
    assert not of("attention.sliding_window"), f"{model} has windows"
    heads, layers = of("attention.head_count"), of("block_count")
    head = of("attention.key_length", of("embedding_length") // heads)
    return layers, heads * head * layers


shapes = {model: shape(model) for model in {a["model"] for a in answers}}
assert all(a["cache_type_k"] == a["cache_type_v"] == "f16" for a in answers), "the cache is to be in f16"
assert len({a["kernels"] for a in answers}) == 1, "the kernels are to be the same"


def seconds_of_attention(a, tokens, share):
    return 2 * shapes[a["model"]][1] * tokens / (a["peak_int8_gmac_per_second"] * 1e9 * share)


def prefill(a, share, of_attention):
    n = int(a["test"][2:])
    return 1 / (a["macs_per_token"] / (a["peak_int8_gmac_per_second"] * 1e9 * share) + seconds_of_attention(a, (n + 1) / 2, of_attention))


def decode(a, share, of_attention, seconds_per_layer):
    predicted, depth = a["test"][2:].split("@d")
    return 1 / (a["bytes_per_token"] / (a["peak_read_gb_per_second"] * 1e9 * share) +
                seconds_of_attention(a, int(depth) + 1 + int(predicted) / 2, of_attention) + shapes[a["model"]][0] * seconds_per_layer)


def fit(kind, predict, grid):
    """The best of the grid; says how near it comes."""
    ours = [a for a in answers if a["test"].startswith(kind)]
    best = min(grid, key=lambda c: sum(math.log(predict(a, *c) / a["tokens_per_second"]) ** 2 for a in ours))
    for a in ours:
        rate = predict(a, *best)
        print(f"{a['model'].rsplit('/', 1)[-1]:40} {a['test']:12} {rate:8.1f} for {a['tokens_per_second']:8.1f}, {rate / a['tokens_per_second']:.2f}")
    return best


hundredths = [s / 100 for s in range(2, 131)]
compute, attention = fit("pp", prefill, itertools.product(hundredths, hundredths))
bandwidth, _, seconds = fit("tg", decode, itertools.product(hundredths, [attention], [s * 1e-6 for s in range(0, 201, 10)]))
print(f"compute_share {compute}, attention_share {attention}, bandwidth_share {bandwidth}, seconds_per_layer {seconds:.6g}")
