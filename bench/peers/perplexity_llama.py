#!/usr/bin/env python3
"""Perplexity by llama.cpp, for checking `slm perplexity` on the same machine, file and chunks.

    python3 bench/peers/perplexity_llama.py -m model.gguf -f wiki.test.raw -c 512 --chunks 4

The protocol of llama.cpp's own tool: the whole text is tokenized at once (with the start token where the
model wants one) and cut into chunks of -c tokens; the first token of each chunk is replaced by the start
token, where the model wants one; tokens of the second half of the chunk, all but its very first, are
predicted from all before them in the chunk. The tool runs several chunks in one batch; here it is one, which
changes only how sums are rounded.
"""

import argparse
import json
import math
import time

import numpy as np

import llama_peer


def nll_of(logits, targets):
    """-ln of the probabilities that [n, V] logits give to [n] targets."""
    x = logits.astype(np.float64)
    highest = x.max(axis=1)
    total = np.log(np.exp(x - highest[:, None]).sum(axis=1)) + highest
    return total - x[np.arange(len(targets)), targets]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", required=True)
    parser.add_argument("-f", "--file", required=True, help="text to measure on")
    parser.add_argument("-c", "--context", type=int, default=512, help="tokens of a chunk")
    parser.add_argument("--chunks", type=int, default=-1, help="-1: all")
    parser.add_argument("-t", "--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()

    start = time.monotonic()
    peer = llama_peer.LlamaPeer(args.model, args.context, args.threads, batch=args.context)
    with open(args.file, "rb") as file:
        ids = peer.tokenize(file.read())
    size = args.context
    chunks = len(ids) // size
    if args.chunks >= 0:
        chunks = min(chunks, args.chunks)
    if chunks == 0:
        raise SystemExit(f"{args.file}: {len(ids)} tokens do not make a chunk of {size}")
    bos, first, all_nll = peer.bos(), size // 2, []
    for i in range(chunks):
        chunk = ids[i * size:(i + 1) * size]
        run = chunk if bos is None else [bos] + chunk[1:]
        peer.clear()
        peer.decode(run, 0, logits_from=first)
        logits = peer.logits(first, size - first)[:-1]
        all_nll.append(nll_of(logits, chunk[first + 1:]))
        if not args.json:
            so_far = math.exp(np.concatenate(all_nll).mean())
            print(f"[{i + 1}] {so_far:.4f}", flush=True)
    nll = np.concatenate(all_nll)
    ppl = math.exp(nll.mean())
    error = ppl * float(np.sqrt(nll.var() / (len(nll) - 1)))
    if args.json:
        print(json.dumps({"perplexity": ppl, "stderr": error, "tokens": len(nll),
                          "seconds": time.monotonic() - start}))
    else:
        print(f"perplexity {ppl:.4f} +/- {error:.4f} over {len(nll)} tokens")


main()
