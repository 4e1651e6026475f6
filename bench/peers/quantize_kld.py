#!/usr/bin/env python3
"""What slm and llama.cpp lose when they quantize one model to the same types: KL divergence from the float base.

    python3 bench/peers/make_float_base.py model.gguf base.gguf --type bf16
    python3 bench/peers/quantize_kld.py --base base.gguf --calibrate calibration.txt --text held-out.txt \\
        --types Q4_0 Q4_K_M [--only ffn_down] [--ways plain imatrix feedback auto] [--chunks 20] [--json out.json]

Ways: plain; with one importance matrix (by `slm imatrix`) for both; slm with error feedback and slm with an automatic mix
of the size of llama.cpp's file, both beside llama.cpp with the importance matrix. --only: tensors that match get the
type, all others stay as they are. Files of a row have the same size, or the size is printed.
"""

import argparse
import json
import os
import pathlib
import subprocess
import tempfile

import quantize_llama


def run(*command):
    return subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True).stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slm", default="build/release/slm")
    parser.add_argument("--base", required=True)
    parser.add_argument("--calibrate", required=True, help="text for the importance matrix and for error feedback")
    parser.add_argument("--text", required=True, help="text to measure on, no part of the other")
    parser.add_argument("--types", nargs="+", required=True)
    parser.add_argument("--only", help="a regular expression")
    parser.add_argument("--ways", nargs="+", default=["plain", "imatrix"], choices=["plain", "imatrix", "feedback", "auto"])
    parser.add_argument("--chunks", type=int, default=20)
    parser.add_argument("--calibration-chunks", type=int, default=32)
    parser.add_argument("-t", "--threads", type=int, default=2)
    parser.add_argument("--json")
    args = parser.parse_args()

    folder = pathlib.Path(tempfile.mkdtemp(prefix="quantize_kld."))
    imatrix = folder / "imatrix.gguf"
    if args.ways != ["plain"]:
        run(args.slm, "imatrix", "-m", args.base, "-f", args.calibrate, "-o", imatrix, "--chunks", args.calibration_chunks, "-t", args.threads)
    importance = quantize_llama.read_imatrix(imatrix) if imatrix.exists() else None
    feedback = ["--imatrix", imatrix, "--method", "error-feedback", "-f", args.calibrate, "--chunks", args.calibration_chunks]
    rows = []
    for kind in args.types:
        recipe = "Q4_0" if args.only else kind
        overrides = [(args.only, kind), (".*", "bf16")] if args.only else []
        files = {}

        def slm(way, type_name, *options):
            path = files["slm " + way] = folder / f"slm-{way}.gguf"
            extra = [x for pattern, t in overrides for x in ("--tensor-type", f"{pattern}={t}")]
            run(args.slm, "quantize", args.base, path, type_name, *extra, *options, "-t", args.threads)

        if "plain" in args.ways:
            files["llama plain"] = folder / "llama-plain.gguf"
            quantize_llama.quantize(args.base, files["llama plain"], recipe, args.threads, None, overrides)
            slm("plain", recipe)
        if set(args.ways) - {"plain"}:
            files["llama imatrix"] = folder / "llama-imatrix.gguf"
            quantize_llama.quantize(args.base, files["llama imatrix"], recipe, args.threads, importance, overrides)
        if "imatrix" in args.ways:
            slm("imatrix", recipe, "--imatrix", imatrix)
        if "feedback" in args.ways:
            slm("feedback", recipe, *feedback)
        if "auto" in args.ways:
            slm("auto", "auto", "--imatrix", imatrix, "-f", args.calibrate, "--chunks", args.calibration_chunks,
                "--target-size", os.path.getsize(files["llama imatrix"]))
        report = json.loads(run(args.slm, "compare", "--base", args.base, *files.values(), "-f", args.text, "-c", 512,
                                "--chunks", args.chunks, "--no-speed", "--json", "-t", args.threads))
        by_file = {entry["file"]: entry for entry in report}
        for name, path in files.items():
            entry = by_file[str(path)]
            peer = by_file[str(files["llama plain" if name.endswith("plain") else "llama imatrix"])]
            row = {"type": kind, "file": name, "bytes": entry["bytes"], "mean_kld": entry["mean_kld"],
                   "ratio": entry["mean_kld"] / peer["mean_kld"], "ppl": entry["ppl"], "same_top": entry["same_top"]}
            rows.append(row)
            print(f"{kind:8} {name:14} {row['bytes']:12,} bytes  KLD {row['mean_kld']:.6f}  to llama.cpp {row['ratio']:.3f}  "
                  f"PPL {row['ppl']:.4f}  same top {row['same_top']:.4f}", flush=True)
        for path in files.values():
            path.unlink()
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
