#!/usr/bin/env python3
"""Speed of slm and llama.cpp on the same files, in pairs that take turns.

    python3 bench/peers/compare.py --slm build/release/slm --models <folder of .gguf files>

Machines drift, and other work comes and goes: so the two engines are measured right after each other, in
changing order, and the ratio of each pair counts. Printed per model and test: the median tokens/s of
both, the median of the ratios slm / llama.cpp with the least and the greatest. Tests: pp<P> prefills P
random tokens, tg<N> decodes N tokens one by one, @d<D> after D tokens. llama.cpp runs as llama-bench runs it
(llama_peer.py): one process per model that loads once and warms up; slm loads and warms up in each run.
Before that both continue a prompt greedily, and the number of tokens on which they agree is printed: a fast
engine that computes something else is no peer. --json writes everything to a file.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
PROMPT = ("The history of the lighthouse begins with fires on hilltops. Later, towers of stone were "
          "built so that the light")
GREEDY = 16


class Llama:
    """llama_peer.py in a process of its own."""

    def __init__(self, path, args):
        context = max(args.depth) + max(args.prompt, args.gen, 512) + 64
        self.process = subprocess.Popen(
            [sys.executable, HERE / "llama_peer.py", path, str(context), str(args.threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.about = self._read()

    def _read(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("the llama.cpp process ended")
        return json.loads(line)

    def ask(self, **command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return self._read()

    def speed(self, kind, count, depth):
        return self.ask(do=kind, count=count, depth=depth)["tokens_per_second"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Slm:
    def __init__(self, path, args):
        self.path, self.binary, self.threads = path, args.slm, args.threads

    def run(self, command, *options):
        line = [self.binary, command, "-m", self.path, "-t", str(self.threads), *options, "--json"]
        done = subprocess.run(line, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(map(str, line))}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def speed(self, kind, count, depth):
        p, n = (count, 0) if kind == "pp" else (0, count)
        rows = self.run("bench", "-p", str(p), "-n", str(n), "-d", str(depth), "-r", "1")
        return rows[0]["tokens_per_second"]


def check_greedy(slm, llama):
    ours = slm.run("run", "--raw", "-p", PROMPT, "-n", str(GREEDY), "--temp", "0")
    theirs = llama.ask(do="greedy", prompt=PROMPT, count=GREEDY)
    same = 0
    for a, b in zip(ours["tokens"], theirs["tokens"]):
        if a != b:
            break
        same += 1
    return {"agree": same, "of": GREEDY, "slm": ours["tokens"], "llama_cpp": theirs["tokens"],
            "prompt_tokens": [ours["prompt_tokens"], theirs["prompt_tokens"]]}


def measure(slm, llama, kind, count, depth, pairs):
    llama.speed(kind, count, depth)  # slm warms up by itself
    runs = []
    for pair in range(pairs):
        speeds = {}
        for name in ("slm", "llama_cpp") if pair % 2 == 0 else ("llama_cpp", "slm"):
            engine = slm if name == "slm" else llama
            speeds[name] = engine.speed(kind, count, depth)
        runs.append(speeds)
    ratios = [r["slm"] / r["llama_cpp"] for r in runs]
    return {"test": f"{kind}{count}" + (f"@d{depth}" if depth else ""),
            "slm": statistics.median(r["slm"] for r in runs),
            "llama_cpp": statistics.median(r["llama_cpp"] for r in runs),
            "ratio": statistics.median(ratios), "ratio_least": min(ratios),
            "ratio_greatest": max(ratios), "runs": runs}


def compare(path, args):
    slm, llama = Slm(path, args), Llama(path, args)
    greedy = check_greedy(slm, llama)
    print(f"{path.name}: greedy tokens agree for {greedy['agree']} of {greedy['of']}, prompt of "
          f"{greedy['prompt_tokens'][0]} and {greedy['prompt_tokens'][1]} tokens")
    rows = []
    for depth in args.depth:
        for kind, count in (("pp", args.prompt), ("tg", args.gen)):
            if count == 0:
                continue
            row = measure(slm, llama, kind, count, depth, args.pairs)
            print(f"{path.stem[:40]:40} {row['test']:>12} {row['slm']:10.1f} {row['llama_cpp']:10.1f} "
                  f"{row['ratio']:7.2f}  [{row['ratio_least']:.2f}, {row['ratio_greatest']:.2f}]",
                  flush=True)
            rows.append(row)
    llama.close()
    return {"model": path.name, "greedy": greedy, "speed": rows}, llama.about


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slm", default="build/release/slm", help="the program to measure")
    parser.add_argument("--models", default=os.environ.get("SLM_MODELS"),
                        help="a .gguf file or a folder of them (default: $SLM_MODELS)")
    parser.add_argument("-p", "--prompt", type=int, default=512, help="tokens to prefill; 0: none")
    parser.add_argument("-n", "--gen", type=int, default=64, help="tokens to decode; 0: none")
    parser.add_argument("-d", "--depth", type=int, nargs="+", default=[0],
                        help="tokens in the context before; several: a row for each")
    parser.add_argument("-t", "--threads", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--json", type=pathlib.Path, help="file to write all figures to")
    args = parser.parse_args()
    if not args.models:
        parser.error("--models or SLM_MODELS is needed")
    models = pathlib.Path(args.models)
    paths = [models] if models.is_file() else sorted(models.glob("*.gguf"))
    if not paths:
        parser.error(f"no .gguf file in {models}")
    load = [os.getloadavg()[0]]
    print(f"{'model':40} {'test':>12} {'slm t/s':>10} {'llama t/s':>10} {'ratio':>7}")
    results = []
    for path in paths:
        result, about = compare(path, args)
        results.append(result)
    load.append(os.getloadavg()[0])
    print(f"{about['version']}, {args.threads} threads, {args.pairs} pairs, load {load[0]:.1f} before, "
          f"{load[1]:.1f} after")
    if args.json:
        text = {"date": time.strftime("%Y-%m-%d"), "peer": about, "threads": args.threads,
                "load": load, "models": results}
        args.json.write_text(json.dumps(text, indent=1) + "\n")


main()
