#!/usr/bin/env python3
"""Checks the files of catalog: they parse, ids are unique and known, no value lacks source or date,
and parameter counts follow from the shapes. Prints the table of counts."""
import json, os, sys
here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "catalog")
bad = []
F = {}
for n in ("models", "devices", "api-prices", "measurements", "rules"):
    p = os.path.join(here, n + ".json")
    raw = open(p, "rb").read()
    raw.decode("utf-8")
    F[n] = json.loads(raw)
    rec = F[n]["records"]
    if F[n]["count"] != len(rec): bad.append((n, "count"))
    ids = [r["id"] for r in rec]
    if len(ids) != len(set(ids)): bad.append((n, "double id", [i for i in ids if ids.count(i) > 1][:5]))
    long = sum(len(l) > 120 for l in raw.decode().split("\n"))
    print("%-18s %5d records %4d sources %7d bytes, lines over 120: %d" % (n, len(rec), len(F[n]["sources"]), len(raw), long))

def walk(n, o, path):
    if isinstance(o, dict):
        if "value" in o or "values" in o or "benchmark" in o:
            for k in ("source", "date", "confidence"):
                if not o.get(k): bad.append((n, path, "lacks " + k))
            if "value" in o and "unit" not in o and not any(x in path for x in ("published", "exact_elsewhere")): bad.append((n, path, "lacks unit"))
        if isinstance(o.get("source"), str) and o["source"] not in F[n]["sources"]: bad.append((n, path, "unknown source " + o["source"]))
        if o.get("confidence") not in (None, "high", "medium", "low"): bad.append((n, path, "confidence"))
        for k, v in o.items(): walk(n, v, path + "/" + k)
    elif isinstance(o, list):
        for i, v in enumerate(o): walk(n, v, path + "/%d" % i)
    elif o is None: bad.append((n, path, "null"))
for n in F:
    for r in F[n]["records"]: walk(n, r, r["id"])
for n in ("api-prices", "measurements", "rules"):
    for r in F[n]["records"]:
        for k in ("source", "date", "confidence"):
            if not r.get(k): bad.append((n, r["id"], "lacks " + k))
M = {r["id"]: r for r in F["models"]["records"]}
D = {r["id"]: r for r in F["devices"]["records"]}
for r in F["measurements"]["records"]:
    if r["model"] not in M: bad.append(("measurements", r["id"], "model"))
    if r["device"] not in D: bad.append(("measurements", r["id"], "device"))
for r in F["api-prices"]["records"]:
    if r.get("catalog_model") and r["catalog_model"] not in M: bad.append(("api-prices", r["id"], "model"))

print("\n%-24s %14s %14s %14s %9s %s" % ("model", "computed", "non-embedding", "published", "diff %", "exact elsewhere"))
for i, r in M.items():
    s = r.get("shape")
    p = r.get("parameters")
    if not p: continue
    pub = p.get("published", {}).get("value")
    if p.get("computed_from") == "shape":
        H, L, Fn, A, K, d, V = (s[k] for k in ("hidden", "layers", "ffn", "heads", "kv_heads", "head_dim", "vocab"))
        layer = H * A * d * 2 + 2 * H * K * d + 3 * H * Fn + s.get("norms_per_layer", 2) * H
        if s.get("attention_bias"): layer += (A + 2 * K) * d
        if s.get("qk_norm"): layer += 2 * d
        core = L * layer + H
        tot = core + V * H * (1 if s["tied_embeddings"] else 2)
        if tot != p["total"] or core != p["non_embedding"]: bad.append(("models", i, "count", tot, p["total"]))
    else:
        tot, core = p.get("total"), None
    e = p.get("exact_elsewhere", {}).get("value")
    note = ""
    if e:
        x = p.get("with_separate_head")
        note = "%d %s" % (e, "equal" if e == tot else "equal with the head stored twice" if e == x else "differs by %d" % (e - tot))
    diff = "%.1f" % (100 * (tot - pub) / pub) if pub and tot else "-"
    print("%-24s %14s %14s %14s %9s %s" % (i, tot or "-", core or "-", pub or "-", diff, note))
    if "sliding_window" in (s or {}) and "global_layers" in s:
        if max(s["global_layers"]) >= s["layers"]: bad.append(("models", i, "global layer"))

BPW = {"F16": 16, "BF16": 16, "Q8_0": 8.5, "Q6_K": 6.56, "Q4_0": 4.55, "Q4_K_M": 4.9, "Q4_K": 4.5, "Q4_K_S": 4.6, "MLX 4 bit": 4.5,
       "int4": 4.5, "INT4": 4.5, "MLX 8 bit": 8.5, "GPTQ-Int8": 8.2, "GPTQ-Int4": 4.3, "AWQ": 4.3, "FP8": 8}
print("\ndecode of one user above 95 % of the nominal bandwidth, or below 5 % (read these twice):")
for r in F["measurements"]["records"]:
    if r["what"] != "decode" or r["batch"] != 1 or r["quantization"] not in BPW: continue
    m, dv = M[r["model"]], D[r["device"]]
    if "parameters" not in m or "bandwidth_bytes_per_second" not in dv or "total" not in m["parameters"]: continue
    pm = m["parameters"]
    n = pm["total"] - (pm["embedding"] if pm.get("output_head") else 0)
    f = r["value"] * n * BPW[r["quantization"]] / 8 / dv["bandwidth_bytes_per_second"]["value"]
    if dv["id"].endswith("-x2"): f *= 2
    if f > 0.95 or f < 0.05: print("  %-60s %8.2f tokens/s = %.0f %%" % (r["id"], r["value"], 100 * f))
print("\n%d faults" % len(bad))
for b in bad: print("  ", b)
sys.exit(1 if bad else 0)
