#!/usr/bin/env python3
"""Which share of a device's bandwidth and compute engines reach, fitted on the catalog's published measurements.

    bench/peers/fit_efficiencies.py [catalog]

For each record of efficiencies.json that is not of this program: decode as bytes of weights and
cache / (bandwidth x share) + multiply-adds of attention / (peak x share) + layers x seconds, prefill as multiply-adds of weights /
(peak x share) + those of attention / (peak x another). Fitted on every
second device, in the order of their names, and checked on the others; where there is one device alone, on every second of its
measurements. Each fit takes the other's shares as the file has them. The figures go into it by hand, until a run gives the same.
"""
import collections
import json
import math
import pathlib
import statistics
import sys

catalog = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2] / "catalog")
names = ("models", "devices", "measurements", "efficiencies")
records = {name: json.load(open(catalog / f"{name}.json"))["records"] for name in names}
models = {m["id"]: m for m in records["models"]}
devices = {d["id"]: d for d in records["devices"]}
# Bits of a weight in llama.cpp's files, as their sizes give them.
BITS = {"Q4_0": 4.6, "Q4_1": 5.1, "Q4_K_S": 4.6, "Q4_K_M": 4.9, "Q5_K_M": 5.7, "Q6_K": 6.6, "Q8_0": 8.5, "F16": 16, "BF16": 16,
        "INT4": 4.5, "int4": 4.5, "q4f16_ft": 4.5, "q4f16_1": 4.5}


BACKENDS = {"CPU", "CUDA", "Metal", "OpenCL", "Hexagon", "Vulkan"}


def is_of(engine, of):
    """Whether a measurement's engine is the record's: the same program, and no other backend than what the record has."""
    words, ours = ({w.strip(",") for w in e.split()} for e in (engine, of["engine"]))
    return engine.startswith(of["engine"].split(",")[0]) and (not ours & BACKENDS or not (words & BACKENDS) - ours)


def efficiency_of(device):
    ours = [e for e in records["efficiencies"] if e["kind"] == device["kind"]]
    named = [(len(d), e) for e in ours for d in e.get("devices", []) if device["id"].startswith(d)]
    return max(named, key=lambda n: n[0])[1] if named else next((e for e in ours if "devices" not in e), None)


def peak(device):
    return max((unit["value"] for unit in device.get("compute", []) if unit["dtype"] == "f16"), default=0) / device.get("cards", 1)


def point(r):
    """What is known of a measurement, or nothing where it is none of one request."""
    model, device = models.get(r["model"]), devices.get(r["device"])
    shape = model.get("shape", {}) if model else {}
    if r["what"] not in ("decode", "prefill") or r.get("batch", 1) != 1 or r.get("quantization") not in BITS or not device:
        return None
    if "layers" not in shape or not model.get("parameters", {}).get("total") or r.get("gpu_cores_fewer") or "sustained" in r["engine"]:
        return None
    total = read = model["parameters"]["total"]
    embedding = model["parameters"].get("embedding", 0)
    if not shape.get("tied_embeddings"):
        read -= embedding  # rows of it are read, not all
    prompt = r.get("prompt_tokens", 512)
    context = r.get("context", 0) + (r.get("generated_tokens", 0) / 2 if r["what"] == "decode" else 0)
    window, layers = shape.get("sliding_window"), shape["layers"]
    seen = lambda n: n if not window else (n * len(shape.get("global_layers", [])) + min(n, window) *
                                           (layers - len(shape.get("global_layers", [])))) / layers
    kv = 2 * 2 * layers * shape.get("kv_heads", 0) * shape.get("head_dim", 0) * seen(context)
    # Multiply-adds of scores and values, of a token of the answer or of the prompt, of each of which a window sees so many.
    width = 2 * shape.get("heads", 0) * shape.get("head_dim", 0)
    within = lambda n, most: n * (n + 1) / 2 if n <= most else most * (most + 1) / 2 + (n - most) * most
    all_layers = layers if not window else len(shape.get("global_layers", []))
    pairs = lambda n: all_layers * within(n, n) + (layers - all_layers) * within(n, window or n)
    before = r.get("context", 0)
    attention = width * (layers * seen(context) if r["what"] == "decode" else (pairs(before + prompt) - pairs(before)) / prompt)
    return {"device": device["id"], "bytes": read * BITS[r["quantization"]] / 8 + kv, "weights": read * BITS[r["quantization"]] / 8,
            "macs": total - embedding - model["parameters"].get("output_head", 0), "prompt": prompt,
            "attention": attention, "layers": shape["layers"], "peak": peak(device), "rate": r["value"], "name": r["id"],
            "bandwidth": device.get("bandwidth_bytes_per_second", {}).get("value", 0) / device.get("cards", 1)}


def known(p, name):
    """A share as it is in efficiencies.json; 0: not known."""
    return efficiency_of(devices[p["device"]]).get(name, {"value": 0})["value"]


def decode(p, share, seconds):
    rate = p["peak"] / 2 * known(p, "attention_share")
    return 1 / (p["bytes"] / (p["bandwidth"] * share) + (p["attention"] / rate if rate else 0) + p["layers"] * seconds)


def prefill(p, share, of_attention):
    """A prompt of few tokens reads all weights, too."""
    computing = p["prompt"] * (p["macs"] / share + p["attention"] / of_attention) / (p["peak"] / 2)
    bandwidth = p["bandwidth"] * known(p, "bandwidth_share")
    reading = p["weights"] / bandwidth if bandwidth else 0
    return p["prompt"] / (max(computing, reading) + p["layers"] * known(p, "seconds_per_layer"))


GRIDS = {
    "decode": (decode, "bandwidth",
               [(s / 100, t * 1e-6) for s in range(20, 101, 2) for t in (0, 10, 20, 40, 60, 80, 100, 150, 200, 300, 500, 800, 1200)]),
    "prefill": (prefill, "peak", [(s / 100, a / 100) for s in range(2, 161, 2) for a in (1, 2, 4, 7, 10, 15, 20, 30, 50, 100)])}


def misses(ps, predict, c):
    return [(abs(math.log(predict(p, *c) / p["rate"])), p["name"], predict(p, *c), p["rate"]) for p in ps]


points = collections.defaultdict(list)
for r in records["measurements"]:
    p = point(r)
    of = efficiency_of(devices[r["device"]]) if p else None
    if of and is_of(r["engine"], of):
        points[of["id"], r["what"]].append(p)

for (of, what), ps in sorted(points.items()):
    predict, needed, grid = GRIDS[what]
    ps = sorted((p for p in ps if p[needed]), key=lambda p: (p["device"], p["name"]))
    ids = sorted({p["device"] for p in ps})
    even = set(ids[::2])
    fitted = [p for i, p in enumerate(ps) if (p["device"] in even if len(ids) > 1 else i % 2 == 0)]
    if len(fitted) < 2:
        continue
    best = min(grid, key=lambda c: statistics.mean(min(m[0], 0.7) for m in misses(fitted, predict, c)))
    text = f"{of} {what}: {best[0]:.2f} and {best[1]:.6g}"
    for title, some in (("fitted", fitted), ("checked", [p for p in ps if p not in fitted])):
        out = misses(some, predict, best)
        if out:
            good = sum(m[0] < math.log(1.3) for m in out)
            text += f"; {title} on {len(out)}: {good} within 30 %, median {math.exp(statistics.median(m[0] for m in out)):.2f}x"
    print(text)
    for m in sorted(misses(ps, predict, best), reverse=True)[:4]:
        print(f"      {m[1]}: {m[2]:.1f} for {m[3]:.1f}")
