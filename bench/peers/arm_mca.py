#!/usr/bin/env python3
"""Cycles of the Arm kernels by llvm-mca, beside llama.cpp's repacked ones.

    arm_mca.py [--sdist llama_cpp_python-0.3.36.tar.gz] [--isa neon_dotprod] [--types Q4_K,Q8_0]

A product of one panel of 16 rows runs under qemu-user, which writes down every instruction between
two marks; llvm-mca then says how many cycles that sequence takes on a core whose loads all hit the
first cache and whose branches are all foreseen. Two lengths of k are taken apart, so that what is
paid once cancels. So whole loop nests are counted, scales, unpacking and tails included, whatever
the compiler made of them.

llvm-mca has no model of the Cortex-A76: for -mcpu=cortex-a76 it takes the one of the Cortex-A57.
The Neoverse N1 is the A76's sibling with the same pipelines, and its model follows Arm's guide, so
both are printed.

Needs build/aarch64 configured (docs/arm.md), qemu-user, llvm-19. With --sdist, llama.cpp's kernels
are compiled from there: pip download --no-binary :all: --no-deps llama-cpp-python==0.3.36
"""

import argparse
import glob
import os
import re
import subprocess
import sys
import tarfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, "build", "aarch64")
TYPES = ["Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "IQ4_NL",
         "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS"]
# By table: the core whose instructions qemu takes, the models of llvm-mca, and how many operations a
# cycle are dispatched where the model says otherwise: the A76 and the N1 decode four.
CORES = {"neon": ("cortex-a72", ["cortex-a72"], 0),
         "neon_dotprod": ("cortex-a76", ["cortex-a76", "neoverse-n1"], 4),
         "neon_i8mm": ("max", ["neoverse-n2"], 0)}
# llama.cpp's choice for such a core: kernel by type, bytes of 256 weights.
PEERS = {"neon_dotprod": {"Q4_0": "q4_0_4x4_q8_0", "Q8_0": "q8_0_4x4_q8_0", "IQ4_NL": "iq4_nl_4x4_q8_0",
                          "Q4_K": "q4_K_8x4_q8_K", "Q5_K": "q5_K_8x4_q8_K", "Q6_K": "q6_K_8x4_q8_K"},
         "neon_i8mm": {"Q4_0": "q4_0_4x8_q8_0", "Q8_0": "q8_0_4x8_q8_0",
                       "Q4_K": "q4_K_8x8_q8_K", "Q5_K": "q5_K_8x8_q8_K", "Q6_K": "q6_K_8x8_q8_K"}}
PEER_BYTES = {"Q4_0": 144, "Q8_0": 272, "IQ4_NL": 144, "Q4_K": 144, "Q5_K": 176, "Q6_K": 210}
PEER_MARCH = {"neon_dotprod": "armv8.2-a+dotprod", "neon_i8mm": "armv8.2-a+dotprod+i8mm"}
SHORT, LONG = 512, 1536


def run(*command, **kwargs):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **kwargs).stdout


def read_code(program):
    """Address -> instruction, and symbol -> address."""
    code, symbols = {}, {}
    for line in run("aarch64-linux-gnu-objdump", "-d", "--no-show-raw-insn", program).splitlines():
        if match := re.match(r"([0-9a-f]+) <(.*)>:", line):
            symbols[match[2]] = int(match[1], 16)
        elif match := re.match(r"\s*([0-9a-f]+):\s+(.*)", line):
            text = match[2].split("//")[0].strip()
            # Targets of branches and of adrp: any will do.
            text = re.sub(r"\b[0-9a-f]+ <.*>", "#4096", text)
            code[int(match[1], 16)] = text
    return code, symbols


def executed(program, core, args, code, symbols):
    """The instructions between the two marks, in the order of their execution."""
    log = os.path.join(BUILD, "trace.txt")
    low, high = min(code), max(code)
    result = run("qemu-aarch64", "-L", os.path.join(BUILD, "sysroot"), "-cpu", core, "-singlestep",
                 "-d", "exec,nochain", "-dfilter", f"0x{low:x}..0x{high:x}", "-D", log,
                 program, *map(str, args))
    lines, inside = [], False
    with open(log) as trace:
        for line in trace:
            address = int(line.split("/")[1], 16)
            if address == symbols["Mark"]:
                if inside:
                    break
                inside = True
            elif inside and not re.match(r"(bl|blr|br|ret)\b", code[address]):
                lines.append(code[address])  # of calls llvm-mca knows nothing but a warning
    os.remove(log)
    return lines, result


def cycles(lines, model, dispatch, features):
    # Stores and loads of the kernels do not meet, which is what llvm-mca assumes.
    text = run("llvm-mca-19", "-mtriple=aarch64", f"-mcpu={model}", f"-mattr={features}",
               "-iterations=1", f"-dispatch={dispatch}", "-instruction-info=0", "-resource-pressure=0",
               input="\n".join(lines) + "\n")
    return int(re.search(r"Total Cycles:\s+(\d+)", text)[1])


def measure(program, isa, args):
    """Per 16 rows and 256 k: instructions, and cycles by model."""
    core, models, dispatch = CORES[isa]
    code, symbols = read_code(program)
    short, _ = executed(program, core, [*args, SHORT], code, symbols)
    long, result = executed(program, core, [*args, LONG], code, symbols)
    blocks = (LONG - SHORT) // 256
    features = "+dotprod,+i8mm" if isa == "neon_i8mm" else "+dotprod"
    return ((len(long) - len(short)) / blocks,
            [(cycles(long, m, dispatch, features) - cycles(short, m, dispatch, features)) / blocks
             for m in models],
            result)


def build_peer(sdist, isa):
    folder = os.path.join(BUILD, "llama_cpp")
    if not os.path.isdir(folder):
        with tarfile.open(sdist) as archive:
            archive.extractall(folder)
    ggml = glob.glob(os.path.join(folder, "*/vendor/llama.cpp/ggml"))[0]
    program = os.path.join(BUILD, f"arm_peer_{isa}")
    source = os.path.join(ROOT, "bench", "peers", "arm_peer.cpp")
    # What the kernels do not call is left unresolved.
    run("aarch64-linux-gnu-g++", "--sysroot", os.path.join(BUILD, "sysroot"), "-O3", "-std=c++17", "-no-pie",
        f"-march={PEER_MARCH[isa]}", f"-I{ggml}/include", f"-I{ggml}/src", f"-I{ggml}/src/ggml-cpu",
        source, f"{ggml}/src/ggml-cpu/arch/arm/repack.cpp", "-o", program,
        "-Wl,--unresolved-symbols=ignore-all", "-w")
    return program


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sdist")
    parser.add_argument("--isa", choices=CORES, default="neon_dotprod")
    parser.add_argument("--types", default=",".join(TYPES))
    parser.add_argument("--columns", type=int, default=64, help="of prefill")
    args = parser.parse_args()

    run("ninja", "-C", BUILD, "arm_product")
    ours = os.path.join(BUILD, "bench", "arm_product")
    peer = build_peer(args.sdist, args.isa) if args.sdist else None
    models = CORES[args.isa][1]
    print(f"{args.isa}; cycles of 16 rows x 256 k by llvm-mca's models {', '.join(models)}")
    print(f"{'':28} {'columns':>7} {'instr':>8}" +
          "".join(f" {'cycles':>8} {'MAC/c':>6} {'B/c':>6}" for _ in models))

    def row(name, columns, instructions, counts, block_bytes):
        print(f"{name:28} {columns:7} {instructions:8.0f}" +
              "".join(f" {c:8.0f} {16 * 256 * columns / c:6.1f} {block_bytes / c:6.2f}" for c in counts), flush=True)

    for name in args.types.split(","):
        for columns in (1, args.columns):
            instructions, counts, result = measure(ours, args.isa, [args.isa, name, columns])
            row(f"slm {name}", columns, instructions, counts, int(result) * 256 / LONG)
            kernel = PEERS.get(args.isa, {}).get(name)
            if peer and kernel:
                instructions, counts, _ = measure(peer, args.isa, [kernel, columns])
                row(f"  {kernel}", columns, instructions, counts, 16 * PEER_BYTES[name])


if __name__ == "__main__":
    sys.exit(main())
