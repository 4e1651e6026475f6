#!/usr/bin/env python3
"""Holds tests/golden/families against llama.cpp, as a second opinion on what the files mean.

    python3 bench/peers/check_goldens_llama.py

Prints the largest difference of a logit per family and input; keys and values are float32. Differences that
are known: the Gemmas, as llama.cpp takes GELU from a table in half precision, and mistral, whose window
llama.cpp does not apply to this architecture (the long input passes it).
"""

import json
import pathlib

import numpy as np

import llama_peer

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/families"


def main():
    for path in sorted(FOLDER.glob("*.gguf")):
        golden = json.loads(path.with_suffix(".json").read_text())
        results = []
        for name in ("short", "long"):
            ids, expected = golden[name]["ids"], np.array(golden[name]["logits"])
            # The context decides on the factors of long rope, as in tests/engine/logits_check.h.
            peer = llama_peer.LlamaPeer(path, len(ids) + 16, 1, batch=512, is_f32=True)
            peer.decode(ids, 0)
            difference = np.abs(peer.logits()[0] - expected).max()
            greedy = peer.greedy(ids, len(golden[name]["greedy"]))
            same = "same" if greedy == golden[name]["greedy"] else "other"
            results.append(f"{name} {difference:.1e} ({same} greedy tokens)")
        print(f"{path.stem:12} " + ", ".join(results))
    print(llama_peer.VERSION)


main()
