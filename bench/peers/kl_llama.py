#!/usr/bin/env python3
"""`llama-perplexity --kl-divergence` over llama-cpp-python, which does not come with that program.

    python3 bench/peers/kl_llama.py save -m base.gguf -f wiki.test.raw -c 512 --chunks 4 -o base.logits
    python3 bench/peers/kl_llama.py compare -m model.gguf -b base.logits

The protocol, the base-logit file and the statistics are those of llama.cpp's tool; slm compare reads the files
that `save` writes (--base-logits) and the other way round (--save-logits).
"""

import argparse
import json

import numpy as np

import kl_statistics
import llama_peer


def scored_logits(peer, ids):
    """Logits of the scored positions of a chunk, [n, V]."""
    size, first = len(ids), len(ids) // 2
    run = ids if peer.bos() is None else [peer.bos()] + ids[1:]
    peer.clear()
    peer.decode(run, 0, logits_from=first)
    return peer.logits(first, size - first)[:-1]


def save(args):
    peer = llama_peer.LlamaPeer(args.model, args.context, args.threads, batch=args.context)
    with open(args.file, "rb") as file:
        ids = peer.tokenize(file.read())
    chunks = len(ids) // args.context
    if args.chunks >= 0:
        chunks = min(chunks, args.chunks)
    ids = np.array(ids[:chunks * args.context], dtype="<i4").reshape(chunks, args.context)
    with open(args.output, "wb") as file:
        file.write(b"_logits_")
        file.write(np.array([args.context, peer.vocab_size, chunks], dtype="<i4").tobytes())
        file.write(ids.tobytes())
        for chunk in ids.tolist():
            file.write(kl_statistics.encode_rows(scored_logits(peer, chunk)).tobytes())


def compare(args):
    base = kl_statistics.BaseLogits(args.base)
    peer = llama_peer.LlamaPeer(args.model, base.size, args.threads, batch=base.size)
    assert peer.vocab_size == base.vocab, f"a vocabulary of {peer.vocab_size}, the base's has {base.vocab}"
    tokens = kl_statistics.Tokens()
    for chunk in range(base.chunks):
        model = kl_statistics.log_softmax(scored_logits(peer, base.ids[chunk].tolist()))
        tokens.add(base.log_probs(chunk), model, base.targets(chunk))
    print(json.dumps(tokens.summary()))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for run in (save, compare):
        command = commands.add_parser(run.__name__)
        command.set_defaults(run=run)
        command.add_argument("-m", "--model", required=True)
        command.add_argument("-t", "--threads", type=int, default=2)
        if run is compare:
            command.add_argument("-b", "--base", required=True, help="base-logit file")
        else:
            command.add_argument("-f", "--file", required=True, help="text to measure on")
            command.add_argument("-o", "--output", required=True)
            command.add_argument("-c", "--context", type=int, default=512, help="tokens of a chunk")
            command.add_argument("--chunks", type=int, default=-1, help="-1: all")
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
