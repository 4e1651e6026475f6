#!/usr/bin/env python3
"""Renders chat templates by `slm template` and by jinja2, set up as transformers does, and compares the bytes.

    pip install jinja2==3.1.6 markupsafe==3.0.4
    python3 bench/peers/check_templates.py --slm build/release/slm <template or folder>..

The conversations are those of make_template_goldens.py. Where jinja2 raises, slm has to refuse, too. Prints
each difference and the counts.
"""

import argparse
import datetime
import json
import pathlib
import subprocess
import sys
import tempfile

import make_template_goldens as goldens


def run_slm(slm, template, case, folder):
    messages = folder / "messages.json"
    messages.write_text(json.dumps(case["messages"]))
    kwargs = {"bos_token": "<s>", "eos_token": "</s>", **case.get("kwargs", {})}
    command = [slm, "template", "--chat-template-file", template, "--messages", messages, "--kwargs", json.dumps(kwargs)]
    if case.get("tools") is not None:
        tools = folder / "tools.json"
        tools.write_text(json.dumps(case["tools"]))
        command += ["--tools", tools]
    if case["add_generation_prompt"]:
        command.append("--add-generation-prompt")
    result = subprocess.run(command, capture_output=True, check=False)
    return result.stdout if result.returncode == 0 else None, result.stderr.decode(errors="replace").strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slm", default="build/release/slm")
    parser.add_argument("paths", nargs="+", type=pathlib.Path)
    args = parser.parse_args()
    templates = [f for p in args.paths for f in (sorted(p.rglob("*.jinja")) if p.is_dir() else [p])]
    equal = refused = different = 0
    with tempfile.TemporaryDirectory() as name:
        for template in templates:
            source = template.read_text()
            for case in goldens.make_cases():
                goldens.ENV.globals["strftime_now"] = datetime.datetime.now().strftime
                expected = goldens.render_chat(source, case)
                text, error = run_slm(args.slm, template, case, pathlib.Path(name))
                if len(expected) == 2 and text is None:
                    refused += 1
                elif len(expected) == 1 and text == expected[0].encode():
                    equal += 1
                else:
                    different += 1
                    print(f"{template.name}: {case['name']}: jinja2 {expected!r:.300}, slm {text if text else error!r:.300}")
    print(f"{len(templates)} templates: {equal} renderings equal, {refused} refused by both, {different} different")
    return different > 0


if __name__ == "__main__":
    sys.exit(main())
