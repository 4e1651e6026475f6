#!/usr/bin/env python3
"""Holds the statistics of `slm compare` against NumPy, and makes tests/golden/kl_divergence.json.

    slm compare --base B.gguf A.gguf -f TEXT --chunks 4 --no-speed --json \\
        --save-logits base.logits --logits-file both.npy > slm.json
    python3 bench/peers/check_kl.py slm.json both.npy base.logits
    python3 bench/peers/check_kl.py --golden > tests/golden/kl_divergence.json

Checks that all figures agree to 6 digits with those of the stored logits, and that the base-logit file holds the
base's logits to half a code.
"""

import argparse
import json
import sys

import numpy as np

import kl_statistics


def golden():
    """Logits in steps of 1/128, some far below the cut at ln p = -16, and a base that rounds to others."""
    rng = np.random.default_rng(5)
    rows, vocab = 130, 21
    base = rng.normal(0, 3, (rows, vocab)) - 25 * (rng.random((rows, vocab)) < 0.1)
    model = base + rng.normal(0, 0.4, base.shape)
    base, model = (np.rint(x * 128).astype(int) for x in (base, model))
    targets = rng.integers(0, vocab, rows)
    tokens = kl_statistics.Tokens()
    tokens.add(*(kl_statistics.log_softmax(x / 128) for x in (base, model)), targets)
    codes = kl_statistics.encode_rows((base / 128).astype(np.float32))
    out = {"about": f"made by bench/peers/check_kl.py, numpy {np.__version__}; logits are in 128ths",
           "vocab": vocab, "targets": targets.tolist(), "base": base.ravel().tolist(),
           "model": model.ravel().tolist(), "statistics": tokens.summary(), "row0": codes[0].tolist()}
    print(json.dumps(out))


def compare(name, ours, theirs, worst):
    if isinstance(theirs, dict):
        for key, value in theirs.items():
            compare(f"{name}.{key}", ours[key], value, worst)
        return
    error = abs(ours - theirs) / max(abs(theirs), 1e-9)
    worst.append((error, name, ours, theirs))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("json", nargs="?", help="what slm compare --json printed")
    parser.add_argument("npy", nargs="?", help="its --logits-file")
    parser.add_argument("base", nargs="?", help="its --save-logits")
    parser.add_argument("--golden", action="store_true")
    args = parser.parse_args()
    if args.golden:
        return golden()

    stored = kl_statistics.BaseLogits(args.base)
    logits = np.load(args.npy, mmap_mode="r")
    tokens, worst_code = kl_statistics.Tokens(), 0.0
    for chunk in range(stored.chunks):
        part = logits[chunk * stored.scored:(chunk + 1) * stored.scored]
        base, model = (kl_statistics.log_softmax(np.array(part[:, i])) for i in (0, 1))
        tokens.add(base, model, stored.targets(chunk))
        step = np.array(stored.rows[chunk, :, :2]).view("<f4")
        kept = base > base.max(axis=1, keepdims=True) - 16
        codes = np.where(kept, np.abs(stored.log_probs(chunk) - base), 0) / step
        worst_code = max(worst_code, codes.max())
    found = []
    with open(args.json) as file:
        compare("", json.load(file)[0], tokens.summary(), found)
    found.sort(reverse=True)
    for error, name, ours, theirs in found[:5]:
        print(f"{name[1:]}: slm {ours:.9g}, numpy {theirs:.9g}, relative difference {error:.1e}")
    print(f"{len(found)} figures; base-logit file within {worst_code:.3f} codes")
    # A difference of two means is as exact as what it is a difference of.
    if found[0][0] > 5e-7 or worst_code > 0.6:
        sys.exit("they differ")


main()
