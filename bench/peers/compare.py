#!/usr/bin/env python3
"""Speed of slm and of its peers on the same files, in rounds in which they take turns.

    build/peers/venv/bin/python bench/peers/compare.py --models <.gguf files, or folders of them>

Machines drift, and other work comes and goes: so the engines are measured right after each other, in changing order,
and the ratio of each round counts. llama.cpp runs in both of its settings, with weights repacked (its default) and
without, and the one that is faster at a test is the peer that the ratio is against; OpenVINO GenAI has a column of its
own, on the files that it reads. Printed per model and test: the median tokens/s, the median of the ratios slm / peer
with the least and the greatest, and what slm makes of the machine's peak. Tests: pp<P> prefills P random tokens, tg<N>
decodes N tokens one by one, @d<D> after D tokens.

The machine's peaks (multiply-adds of int8, bytes read) are probed by slm before and after each of its turns; a round
whose probes differ by more than a tenth is measured again, as often as --again says; then such rounds are kept, and
their number is printed. The bytes of a share are those that slm reads: of Q4_K 2.8 % more than the file has.

A peer is one process per model and setting that loads once and warms up (llama_peer.py runs llama.cpp as llama-bench
does, openvino_peer.py); slm loads and warms up in each run. Before that they continue a prompt greedily, and the number
of tokens on which they agree is printed: a fast engine that computes something else is no peer. --json writes
everything to a file, of which speed_report.py makes a table and a picture.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
PROMPT = ("The history of the lighthouse begins with fires on hilltops. Later, towers of stone were "
          "built so that the light")
GREEDY = 16
MOST_DRIFT = 0.1
WIDTH = 9  # of a column
# Engine: its worker and the options of that.
WORKERS = {"llama.cpp": ("llama_peer.py",), "llama.cpp --no-repack": ("llama_peer.py", "no-repack"),
           "openvino": ("openvino_peer.py",)}
PEERS = {"llama.cpp": "llama_cpp", "openvino": "openvino_genai"}  # what --peers takes, and the module that it needs


class Refused(Exception):
    """A peer cannot load a file; says why."""


class Peer:
    """llama_peer.py or openvino_peer.py in a process of its own."""

    def __init__(self, name, path, args):
        self.name = name
        worker, *options = WORKERS[name]
        context = max(args.depth) + max(args.prompt, args.gen, 512) + 64
        if args.cache == "q8_0":
            options.append("q8_0")
        self.process = subprocess.Popen(
            [sys.executable, HERE / worker, path, str(context), str(args.threads), *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.about = self._read()
        if "refused" in self.about:
            self.close()
            raise Refused(self.about["refused"])

    def _read(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the process of {self.name} ended")
        return json.loads(line)

    def ask(self, **command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return self._read()

    def measure(self, kind, count, depth):
        return self.ask(do=kind, count=count, depth=depth)

    def greedy(self):
        return self.ask(do="greedy", prompt=PROMPT, count=GREEDY)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Slm:
    name = "slm"

    def __init__(self, path, args):
        self.path, self.args = path, args

    def run(self, command, *options):
        line = [self.args.slm, command, "-m", self.path, "-t", str(self.args.threads), *options, "--json"]
        done = subprocess.run(line, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(map(str, line))}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def measure(self, kind, count, depth):
        p, n = (count, 0) if kind == "pp" else (0, count)
        return self.run("bench", "-p", str(p), "-n", str(n), "-d", str(depth), "-r", "1",
                        "-ctk", self.args.cache, "-ctv", self.args.cache)[0]

    def greedy(self):
        return self.run("run", "--raw", "-p", PROMPT, "-n", str(GREEDY), "--temp", "0")


def agreement(slm, peers):
    """What each engine says after PROMPT; of a peer, on how many tokens in a row slm agrees."""
    said = {engine.name: engine.greedy() for engine in [slm, *peers]}
    ours = said[slm.name]["tokens"]
    result = {}
    for name, answer in said.items():
        result[name] = {"prompt_tokens": answer["prompt_tokens"], "tokens": answer["tokens"]}
        if name != slm.name:
            differ = [i for i, (a, b) in enumerate(zip(ours, answer["tokens"])) if a != b]
            result[name]["agree"] = differ[0] if differ else len(ours)
    return result


def drift(probes):
    return max(probes) / min(probes) - 1


def one_round(engines, number, kind, count, depth):
    order = engines[number % len(engines):] + engines[:number % len(engines)]
    return {engine.name: engine.measure(kind, count, depth) for engine in order}


def measure(engines, kind, count, depth, args):
    for engine in engines[1:]:
        engine.measure(kind, count, depth)  # slm warms up by itself
    rounds, discarded, drifted = [], 0, 0
    while len(rounds) < args.pairs:
        result = one_round(engines, len(rounds), kind, count, depth)
        if drift(result["slm"]["probes"]) > MOST_DRIFT:
            if discarded < args.again:
                discarded += 1
                continue
            drifted += 1
        rounds.append(result)
    speeds = {e.name: [r[e.name]["tokens_per_second"] for r in rounds] for e in engines}
    medians = {name: statistics.median(of) for name, of in speeds.items()}
    quoted = [name for name in medians if name.startswith("llama.cpp")] or [e.name for e in engines[1:]]
    peer = max(quoted, key=medians.get)
    ratios = [a / b for a, b in zip(speeds["slm"], speeds[peer])]
    shares = [r["slm"]["share_of_peak"] for r in rounds]
    share = None if None in shares else statistics.median(shares)
    return {"test": f"{kind}{count}" + (f"@d{depth}" if depth else ""), "tokens_per_second": medians, "peer": peer,
            "ratio": statistics.median(ratios), "ratio_least": min(ratios), "ratio_greatest": max(ratios),
            "share_of_peak": share, "peer_share_of_peak": share and share * medians[peer] / medians["slm"],
            "discarded": discarded, "drifted": drifted, "rounds": rounds}


def load(path, args):
    """The peers that take the file, and why the others do not."""
    peers, refused = [], {}
    for name in reversed(args.engines):  # OpenVINO first: loading takes it far more memory than it keeps
        try:
            peers.insert(0, Peer(name, path, args))
        except Refused as why:
            refused[name] = str(why)
    return peers, refused


def compare(path, args):
    slm = Slm(path, args)
    peers, refused = load(path, args)
    for name, why in refused.items():
        print(f"{path.name}: {name} does not load it: {why}", flush=True)
    if not peers:
        return {"model": path.name, "refused": refused, "greedy": {}, "speed": []}, {}
    greedy = agreement(slm, peers)
    print(f"{path.name}: of {GREEDY} greedy tokens agree with slm's: " +
          ", ".join(f"{peer.name} {greedy[peer.name]['agree']}" for peer in peers) +
          f"; prompts of {', '.join(str(said['prompt_tokens']) for said in greedy.values())} tokens", flush=True)
    rows = []
    for depth in args.depth:
        for kind, count in (("pp", args.prompt), ("tg", args.gen)):
            if count == 0:
                continue
            row = measure([slm, *peers], kind, count, depth, args)
            speed = row["tokens_per_second"]
            print(f"{path.stem[:32]:32} {row['test']:>12} {speed['slm']:9.1f} " +
                  "".join(f"{speed[name]:{WIDTH}.1f} " if name in speed else f"{'-':>{WIDTH}} "
                          for name in args.engines) +
                  f"{row['ratio']:7.2f}  [{row['ratio_least']:.2f}, {row['ratio_greatest']:.2f}] " +
                  (f"{100 * row['share_of_peak']:5.0f} % {100 * row['peer_share_of_peak']:5.0f} %"
                   if row["share_of_peak"] else "    -       -  ") +
                  (f"  ({row['discarded']} discarded, {row['drifted']} kept that drifted)"
                   if row["discarded"] or row["drifted"] else ""), flush=True)
            rows.append(row)
    for peer in peers:
        peer.close()
    return ({"model": path.name, "refused": refused, "greedy": greedy, "speed": rows},
            {peer.name: peer.about for peer in peers})


def machine():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(": ")[2]
    return platform.machine()


def commit():
    done = subprocess.run(["git", "-C", HERE, "describe", "--always", "--dirty"], capture_output=True, text=True)
    return done.stdout.strip()


def installed_peers():
    return [name for name, module in PEERS.items() if importlib.util.find_spec(module)]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slm", default="build/release/slm", help="the program to measure")
    parser.add_argument("--models", type=pathlib.Path, nargs="+",
                        help=".gguf files or folders of them (default: $SLM_MODELS)")
    parser.add_argument("--peers", type=lambda text: text.split(","), default=installed_peers(),
                        help=f"of {','.join(PEERS)} (default: those installed)")
    parser.add_argument("-p", "--prompt", type=int, default=512, help="tokens to prefill (512); 0: none")
    parser.add_argument("-n", "--gen", type=int, default=64, help="tokens to decode (64); 0: none")
    parser.add_argument("-d", "--depth", type=int, nargs="+", default=[0],
                        help="tokens in the context before (0); several: a row for each")
    parser.add_argument("-t", "--threads", type=int, default=2, help="of each engine (2)")
    parser.add_argument("--cache", choices=("f16", "q8_0"), default="f16", help="type of keys and values (f16)")
    parser.add_argument("--busy", action="store_true", help="beside a shell that spins")
    parser.add_argument("--pairs", type=int, default=5, help="rounds (5)")
    parser.add_argument("--again", type=int, default=5, help="rounds that may be discarded per test (5)")
    parser.add_argument("--json", type=pathlib.Path, help="file to write all figures to")
    args = parser.parse_args()
    if not args.models and os.environ.get("SLM_MODELS"):
        args.models = [pathlib.Path(os.environ["SLM_MODELS"])]
    if not args.models:
        parser.error("--models or SLM_MODELS is needed")
    if not args.peers or not set(args.peers) <= set(PEERS):
        parser.error(f"--peers: {','.join(PEERS)}; bench/peers/install installs them")
    args.engines = [name for name in WORKERS if name.split()[0] in args.peers]
    paths = [path for given in args.models for path in ([given] if given.is_file() else sorted(given.glob("*.gguf")))]
    if not paths:
        parser.error("no .gguf file there")
    neighbour = subprocess.Popen(["bash", "-c", "while :; do :; done"]) if args.busy else None
    try:
        load = [os.getloadavg()[0]]
        print(f"{'model':32} {'test':>12} {'slm':>9} " +
              "".join(f"{name.split('--')[-1]:>{WIDTH}} " for name in args.engines) +
              f"{'ratio':>7}  {'':12} share, of peer")
        results, peers = [], {}
        for path in paths:
            result, about = compare(path, args)
            results.append(result)
            peers.update(about)
        load.append(os.getloadavg()[0])
    finally:
        if neighbour:
            neighbour.kill()
    versions = sorted({about["version"] for about in peers.values()})
    print(f"{', '.join(versions)}, {machine()}, {args.threads} threads, {args.cache} cache, {args.pairs} rounds" +
          (", beside a busy process" if args.busy else "") + f", load {load[0]:.1f} before, {load[1]:.1f} after")
    if args.json:
        text = {"date": time.strftime("%Y-%m-%d"), "machine": machine(), "commit": commit(), "peers": peers,
                "threads": args.threads, "cache": args.cache, "is_busy": args.busy, "load": load, "models": results}
        args.json.write_text(json.dumps(text, indent=1) + "\n")


main()
