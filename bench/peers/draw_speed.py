#!/usr/bin/env python3
"""Draws what compare.py measured: python3 bench/peers/draw_speed.py compare.json docs/speed.svg "an AMD Zen 4" """

import json
import sys

NAMES = {"pp": "prefill", "tg": "decode"}
WIDTH, LABEL, BAR, GAP, TOP = 720, 250, 13, 12, 44
STYLE = """text{font:12px system-ui,sans-serif;fill:#333}.head{font-weight:600;font-size:13px}.note{fill:#777}
.slm{fill:#1f7a5c}.peer{fill:#b8bdc4}
@media(prefers-color-scheme:dark){text{fill:#ddd}.note{fill:#999}.slm{fill:#3fb68b}.peer{fill:#5a6069}}"""


def main():
    data = json.load(open(sys.argv[1]))
    out, y = [], TOP
    for model in data["models"]:
        name = model["model"].removesuffix(".gguf")
        for speed in model["speed"]:
            scale = (WIDTH - LABEL - 150) / max(speed["slm"], speed["llama_cpp"])
            kind = f'{NAMES[speed["test"][:2]]} {speed["test"]}'
            if speed is model["speed"][0]:
                out.append(f'<text class="head" x="0" y="{y + 10}">{name.replace("-Instruct", "").replace("-instruct", "")}</text>')
                y += 18
            out.append(f'<text x="12" y="{y + BAR + 4}">{kind}</text>')
            for which, css, label in (("slm", "slm", f' slm, {speed["ratio"]:.1f}x'), ("llama_cpp", "peer", " llama.cpp")):
                length = speed[which] * scale
                out.append(f'<rect class="{css}" x="{LABEL - 100}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2"/>')
                out.append(f'<text x="{LABEL - 100 + length + 6:.1f}" y="{y + BAR - 2}">{speed[which]:.0f} tokens/s{label}</text>')
                y += BAR + 2
            y += GAP
        y += 4
    note = f'{data["peer"]["version"]} with its defaults, {data["threads"]} threads, median of {len(data["models"][0]["speed"][0]["runs"])} interleaved pairs, {data["date"]}'
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 4}" width="{WIDTH}" role="img" '
                   f'aria-label="Speed of slm and llama.cpp"><style>{STYLE}</style>'
                   f'<text class="head" x="0" y="14">Tokens per second on {sys.argv[3]}</text>'
                   f'<text class="note" x="0" y="30">{note}</text>{"".join(out)}</svg>\n')


if __name__ == "__main__":
    main()
