#!/usr/bin/env python3
"""A table and a picture of what compare.py measured.

    python3 bench/peers/speed_report.py compare.json .. --svg docs/speed.svg --markdown speed.md

Several files are several runs, each with a part of its own: with another type of cache, beside a busy process. Both give
medians and the ratios to the faster of llama.cpp's settings; the table also gives the ranges and the shares of the
machine's peak. The picture suits light and dark pages.
"""

import argparse
import html
import json
import pathlib
import re

NAMES = {"slm": "slm", "llama.cpp": "llama.cpp", "llama.cpp --no-repack": "llama.cpp --no-repack",
         "openvino": "OpenVINO"}
KINDS = {"pp": "Prefill", "tg": "Decode"}


def split_test(test):
    """Of pp512@d4096: pp, 512, 4096."""
    kind, count, depth = re.fullmatch(r"([a-z]+)(\d+)(?:@d(\d+))?", test).groups()
    return kind, int(count), int(depth or 0)


def split_name(file):
    """The model and its type: SmolLM2-135M, Q4_1."""
    name = re.sub("-instruct", "", file.removesuffix(".gguf"), flags=re.IGNORECASE)
    return re.fullmatch(r"(.*?)(?:[-.](I?Q\d\w*|B?F16|F32))?", name).groups(default="")


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def distinct(values):
    return list(dict.fromkeys(values))


def conditions(run):
    return (f"{run['threads']} threads, {run['cache']} cache" +
            (", beside a busy process" if run["is_busy"] else ""))


def about(runs):
    """Where and with what: lines of text."""
    rows = [row for run in runs for model in run["models"] for row in model["speed"]]
    rounds = sorted({len(row["rounds"]) for row in rows})
    versions = distinct(peer["version"] for run in runs for peer in run["peers"].values())
    return [f"{', '.join(distinct(run['machine'] for run in runs))}; "
            f"slm {', '.join(distinct(run['commit'] for run in runs))}; {', '.join(versions)}; "
            f"{', '.join(distinct(run['date'] for run in runs))}; "
            f"load before {min(run['load'][0] for run in runs):.1f}",  # later runs follow earlier ones
            f"Medians of {'-'.join(map(str, rounds[:1] + rounds[1:][-1:]))} rounds in turns; ratios to the faster of "
            "llama.cpp's two settings, repacked weights and not"]


# The table.


def percent(share):
    return "" if share is None else f"{100 * share:.0f} %"


def table(run):
    engines = [name for name in NAMES if any(name in row["tokens_per_second"] for model in run["models"]
                                             for row in model["speed"])]
    lines = [f"**{conditions(run)}**", "",
             "| model | test | " + " | ".join(NAMES[name] for name in engines) + " | ratio | of peak | peer's |",
             "| --- | --- |" + " ---: |" * (len(engines) + 3)]
    for model in run["models"]:
        for row in model["speed"]:
            cells = [model["model"].removesuffix(".gguf"), row["test"]]
            for name in engines:
                speed = row["tokens_per_second"].get(name)
                text = "" if speed is None else number(speed)
                cells.append(f"**{text}**" if name == row["peer"] else text)
            cells.append(f"{row['ratio']:.2f} ({row['ratio_least']:.2f} to {row['ratio_greatest']:.2f})")
            cells += [percent(row["share_of_peak"]), percent(row["peer_share_of_peak"])]
            lines.append("| " + " | ".join(cells) + " |")
    lines.append("")
    for model in run["models"]:
        notes = [f"{NAMES[name]} {said['agree']} of {len(said['tokens'])}" for name, said in model["greedy"].items()
                 if name != "slm"]
        notes = [f"greedy tokens like slm's: {', '.join(notes)}"] if notes else []
        notes += [f"{NAMES[name]} does not load it: {why}" for name, why in model["refused"].items()]
        lines.append(f"- {model['model'].removesuffix('.gguf')}: {'; '.join(notes)}")
    return "\n".join(lines) + "\n"


def markdown(runs):
    return ("\n".join(table(run) for run in runs) + "\n" + " \n".join(line + "." for line in about(runs)) +
            " The peer is in bold; pp: tokens of prefill, tg: tokens decoded, @d: after that many.\n")


# The picture.

WIDTH, PAD = 860, 24
PANELS = {"pp": PAD + 168, "tg": PAD + 496}  # where they start
LONGEST, BAR, BETWEEN = 208, 11, 3
STYLE = """text{font:12px system-ui,-apple-system,"Segoe UI",sans-serif;fill:#24292f;font-variant-numeric:tabular-nums}
.title{font-size:17px;font-weight:600}.head{font-size:13px;font-weight:600}.name{font-weight:600}
.small{font-size:11px}.note{font-size:11px;fill:#656d76}.ratio{font-weight:700;fill:#0a7a5c}
.card{fill:#fff;stroke:#d0d7de}.line{stroke:#d8dee4}
.slm{fill:#12936f}.llama{fill:#a3acb7}.other{fill:#d3a44f}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.note{fill:#8d96a0}.ratio{fill:#4fd1a5}
.card{fill:#0d1117;stroke:#30363d}.line{stroke:#21262d}.slm{fill:#2fb38a}.llama{fill:#6b7480}.other{fill:#b98a36}}"""


def css(name):
    return {"slm": "slm", "openvino": "other"}.get(name, "llama")


class Picture:
    def __init__(self):
        self.parts = []

    def text(self, x, y, words, css_class, more=""):
        more = f'<tspan class="ratio" dx="7">{more}</tspan>' if more else ""
        self.parts.append(f'<text class="{css_class}" x="{x:.1f}" y="{y:.1f}">{html.escape(words)}{more}</text>')

    def bar(self, name, x, y, length):
        self.parts.append(f'<rect class="{css(name)}" x="{x}" y="{y:.1f}" width="{max(length, 1):.1f}" '
                          f'height="{BAR}" rx="2"/>')

    def line(self, y):
        self.parts.append(f'<path class="line" d="M{PAD} {y:.1f}H{WIDTH - PAD}"/>')

    def bars(self, row, x, y):
        """One test of one model; the longest bar is that of the fastest engine. Returns the height."""
        names = ["slm", row["peer"]] + [name for name in row["tokens_per_second"]
                                        if not name.startswith(("slm", "llama.cpp")) and name != row["peer"]]
        fastest = max(row["tokens_per_second"][name] for name in names)
        for i, name in enumerate(names):
            at = y + i * (BAR + BETWEEN)
            length = LONGEST * row["tokens_per_second"][name] / fastest
            self.bar(name, x, at, length)
            self.text(x + length + 6, at + BAR - 1.5, number(row["tokens_per_second"][name]), "small",
                      f"{row['ratio']:.2f}×" if name == "slm" else "")
        return len(names) * (BAR + BETWEEN) - BETWEEN

    def legend(self, y, names):
        x = PAD
        for name in names:
            self.bar(name, x, y - BAR + 1.5, BAR)
            self.text(x + BAR + 6, y, NAMES[name], "small")
            x += BAR + 6 + 6.2 * len(NAMES[name]) + 22

    def run(self, y, run):
        """Returns where the next one starts."""
        rows, counts = {}, {}  # of a model and a depth: its tests by kind; of a kind: how many tokens
        for model in run["models"]:
            for row in model["speed"]:
                kind, count, depth = split_test(row["test"])
                rows.setdefault((model["model"], depth), {})[kind] = row
                counts.setdefault(kind, []).append(count)
        self.line(y)
        y += 23
        self.text(PAD, y, conditions(run), "head")
        y += 21
        for kind, x in PANELS.items():
            if kind in counts:
                self.text(x, y, f"{KINDS[kind]} of {' and '.join(map(str, distinct(counts[kind])))} tokens", "note")
        y += 10
        for (file, depth), row in rows.items():
            name, kind_of_weights = split_name(file)
            self.text(PAD, y + BAR - 1.5, name if len(name) <= 24 else name[:23] + "…", "name")
            under = ", ".join(filter(None, [kind_of_weights, f"after {depth:,} tokens" if depth else ""]))
            self.text(PAD, y + 2 * BAR + BETWEEN - 0.5, under, "note")
            y += max(self.bars(test, PANELS[kind], y) for kind, test in row.items()) + 15
        return y + 3


def svg(runs):
    picture = Picture()
    picture.text(PAD, 36, "Tokens per second", "title")
    used = distinct(name for run in runs for model in run["models"] for row in model["speed"]
                    for name in row["tokens_per_second"])
    llama = [name for name in used if name.startswith("llama.cpp")][:1]
    picture.legend(60, ["slm"] + llama + [name for name in used if not name.startswith(("slm", "llama.cpp"))])
    y = 78
    for run in runs:
        y = picture.run(y, run)
    picture.line(y)
    y += 6
    for line in about(runs) + ["The bars of one test have a scale of their own"]:
        y += 16
        picture.text(PAD, y, line, "note")
    height = y + 20
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" role="img" '
            f'aria-label="Tokens per second of slm and its peers"><style>{STYLE}</style>'
            f'<rect class="card" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1:.0f}" rx="8"/>'
            + "\n".join(picture.parts) + "</svg>\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("json", type=pathlib.Path, nargs="+", help="what compare.py --json wrote")
    parser.add_argument("--svg", type=pathlib.Path, help="picture to write")
    parser.add_argument("--markdown", type=pathlib.Path, help="table to write; without this and --svg it is printed")
    args = parser.parse_args()
    runs = [json.loads(path.read_text()) for path in args.json]
    if args.svg:
        args.svg.write_text(svg(runs))
    if args.markdown:
        args.markdown.write_text(markdown(runs))
    if not args.svg and not args.markdown:
        print(markdown(runs), end="")


if __name__ == "__main__":
    main()
