#!/usr/bin/env python3
"""Runs files in llama.cpp and in slm, and says how far apart the logits are: what `slm quantize` writes has to work there.

    python3 bench/peers/check_quantized_llama.py -f wiki.test.raw --chunks 8 quantized.gguf..
    python3 bench/peers/check_quantized_llama.py -f wiki.test.raw --f32 float.gguf..

2,040 tokens are 8 chunks of 512, whose second halves count. --f32: keys and values are floats in both, and the greatest
difference of logits is what is looked at. SLM_ISA=ref gives slm without rounded activations.
"""

import argparse
import pathlib
import subprocess
import tempfile

import numpy as np

import kl_llama
import kl_statistics
import llama_peer

SIZE = 512


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--slm", default="build/release/slm")
    parser.add_argument("-f", "--file", required=True)
    parser.add_argument("--chunks", type=int, default=8)
    parser.add_argument("--f32", action="store_true")
    parser.add_argument("-t", "--threads", type=int, default=2)
    args = parser.parse_args()
    for model in args.models:
        with tempfile.TemporaryDirectory() as folder:
            base, both = pathlib.Path(folder, "base.logits"), pathlib.Path(folder, "both.npy")
            peer = llama_peer.LlamaPeer(model, SIZE, args.threads, batch=SIZE, is_f32=args.f32)
            ids = np.array(peer.tokenize(pathlib.Path(args.file).read_bytes())[:SIZE * args.chunks], "<i4").reshape(-1, SIZE)
            theirs = [kl_llama.scored_logits(peer, chunk).copy() for chunk in ids.tolist()]
            with open(base, "wb") as file:
                file.write(b"_logits_" + np.array([SIZE, peer.vocab_size, len(ids)], "<i4").tobytes() + ids.tobytes())
                for logits in theirs:
                    file.write(kl_statistics.encode_rows(logits).tobytes())
            caches = ["--cache-type-k", "f32", "--cache-type-v", "f32"] if args.f32 else []
            subprocess.run([args.slm, "compare", "--base-logits", base, model, "--logits-file", both, "--no-speed", "--json",
                            "-t", str(args.threads), *caches], check=True, capture_output=True)
            ours = np.load(both, mmap_mode="r")
            count, kld, same, worst, at = 0, 0.0, 0, 0.0, 0
            for logits in theirs:
                mine = ours[at:at + len(logits), 1]
                at += len(logits)
                p, q = kl_statistics.log_softmax(logits), kl_statistics.log_softmax(mine)
                kld += float((np.exp(p) * (p - q)).sum())
                same += int((logits.argmax(-1) == mine.argmax(-1)).sum())
                worst = max(worst, float(np.abs(logits - mine).max()))
                count += len(logits)
            assert at == len(ours)
            print(f"{pathlib.Path(model).name}: {count} tokens, mean KLD {kld / count:.6f}, same top {same / count:.4f}, "
                  f"greatest difference {worst:.2e}", flush=True)


if __name__ == "__main__":
    main()
