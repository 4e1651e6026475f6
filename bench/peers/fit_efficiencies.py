#!/usr/bin/env python3
"""Which share of a device's bandwidth and compute engines reach, fitted on the catalog's published measurements.

    bench/peers/fit_efficiencies.py [catalog]

One line for each kind of device and engine: decode as bytes / (bandwidth x share) + layers x seconds, prefill as a share of the
peak. Fitted on every second device, in the order of their names, and checked on the others. The figures go into
catalog/efficiencies.json by hand.
"""
import collections
import json
import math
import pathlib
import statistics
import sys

catalog = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2] / "catalog")
records = {name: json.load(open(catalog / f"{name}.json"))["records"] for name in ("models", "devices", "measurements")}
models = {m["id"]: m for m in records["models"]}
devices = {d["id"]: d for d in records["devices"]}
# Bits of a weight in llama.cpp's files, as their sizes give them.
BITS = {"Q4_0": 4.6, "Q4_1": 5.1, "Q4_K_S": 4.6, "Q4_K_M": 4.9, "Q5_K_M": 5.7, "Q6_K": 6.6, "Q8_0": 8.5, "F16": 16, "BF16": 16}
ENGINES = {"gpu": "CUDA", "mac": "Metal", "board": "CPU", "phone": "CPU"}


def peak(device, dtype):
    return max((unit["value"] for unit in device.get("compute", []) if unit["dtype"] == dtype), default=0)


def engine_of(record):
    return record["engine"].split()[0].strip(",")


points = collections.defaultdict(list)
for r in records["measurements"]:
    model, device = models.get(r["model"]), devices.get(r["device"])
    shape = model.get("shape", {}) if model else {}
    if r["what"] not in ("decode", "prefill") or r.get("batch", 1) != 1 or r.get("quantization") not in BITS or not device:
        continue
    if "layers" not in shape or not model.get("parameters", {}).get("total"):
        continue
    if engine_of(r) not in ("llama.cpp", "llama.rn", "Ollama") or r.get("gpu_cores_fewer"):
        continue
    parameters = model["parameters"]
    total = parameters["total"]
    if not shape.get("tied_embeddings"):
        total -= parameters.get("embedding", 0)  # rows of it are read, not all
    context = r.get("context", 0) + (r.get("generated_tokens", 0) / 2 if r["what"] == "decode" else 0)
    kv = 2 * 2 * shape["layers"] * shape.get("kv_heads", 0) * shape.get("head_dim", 0) * context
    bandwidth = device.get("bandwidth_bytes_per_second", {}).get("value", 0)
    half = peak(device, "f16")
    points[device["kind"], engine_of(r), r["what"], r["engine"].split(",")[-1].strip() if "," in r["engine"] else ""].append({
        "device": device["id"], "bytes": total * BITS[r["quantization"]] / 8 + kv, "macs": 2 * total, "layers": shape["layers"],
        "bandwidth": bandwidth, "peak": half, "rate": r["value"], "name": f"{r['id']}"})


def decode(p, share, seconds):
    return 1 / (p["bytes"] / (p["bandwidth"] * share) + p["layers"] * seconds)


def misses(ps, predict):
    return [(abs(math.log(predict(p) / p["rate"])), p["name"], predict(p), p["rate"]) for p in ps]


def report(key, fitted, checked, predict, text):
    for title, ps in (("fitted", fitted), ("checked", checked)):
        out = misses(ps, predict)
        good = sum(m[0] < math.log(1.3) for m in out)
        text += f"; {title} on {len(out)}: {good} within 30 %, median {math.exp(statistics.median(m[0] for m in out)) if out else 0:.2f}x"
    print(*key, text)
    for m in sorted(misses(fitted + checked, predict), reverse=True)[:4]:
        print(f"      {m[1]}: {m[2]:.1f} for {m[3]:.1f}")


for key, ps in sorted(points.items()):
    names = sorted({p["device"] for p in ps})
    even = set(names[::2])
    kind, engine, what, backend = key
    ps = [p for p in ps if p["bandwidth" if what == "decode" else "peak"]]
    fitted, checked = [p for p in ps if p["device"] in even], [p for p in ps if p["device"] not in even]
    if len(fitted) < 2:
        continue
    if what == "decode":
        best = min(((share / 100, s * 1e-6) for share in range(20, 121, 2) for s in (0, 10, 20, 40, 60, 80, 100, 150, 200, 300, 500, 800, 1200)),
                   key=lambda c: statistics.mean(min(m[0], 0.7) for m in misses(fitted, lambda p: decode(p, *c))))
        report(key, fitted, checked, lambda p: decode(p, *best), f"share {best[0]:.2f}, {best[1] * 1e6:.0f} us a layer")
    else:
        share = statistics.median(p["rate"] * p["macs"] / p["peak"] for p in fitted)
        report(key, fitted, checked, lambda p: share * p["peak"] / p["macs"], f"share of f16's peak {share:.3f}")
