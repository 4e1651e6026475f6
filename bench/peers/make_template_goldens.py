#!/usr/bin/env python3
"""Writes tests/golden/templates/*.json: what jinja2, set up as transformers does, makes of templates.

    pip install jinja2==3.1.6 markupsafe==3.0.4
    python3 bench/peers/make_template_goldens.py src/text/templates <folder of others> tests/golden/templates

Python 3.11. `snippets.json` holds small templates for each feature of the language, rendered with one context;
`<template>.json` holds conversations rendered by a published chat template. A result is the text, or the error:
its class, and the message where templates can cause it to be seen.
"""

import copy
import datetime
import importlib.metadata
import json
import pathlib
import sys

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.sandbox
import jinja2.utils

from template_snippets import CONTEXT, SNIPPETS

NOW = datetime.datetime(2024, 7, 26, 13, 4, 5)


class GenerationTag(jinja2.ext.Extension):
    """{% generation %} marks what the assistant wrote; without a tracker it prints its body."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        call = self.call_method("_render")
        return jinja2.nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _render(self, caller):
        return caller()


class DictFactory:
    def __call__(self, *args, **kwargs):
        return dict(*args, **kwargs)

    def fromkeys(self, *args, **kwargs):
        return dict.fromkeys(*args, **kwargs)


def refuse_private(name):
    if isinstance(name, str) and name.startswith("_"):
        raise jinja2.exceptions.SecurityError(
            "Chat templates cannot store underscore-prefixed attributes on a namespace, "
            f"but got {name!r}. Please rename the attribute.")


class TemplateNamespace(jinja2.utils.Namespace):
    def __init__(*args, **kwargs):
        self, args = args[0], args[1:]
        attributes = dict(*args, **kwargs)
        for name in attributes:
            refuse_private(name)
        jinja2.utils.Namespace.__init__(self, attributes)

    def __setitem__(self, name, value):
        refuse_private(name)
        jinja2.utils.Namespace.__setitem__(self, name, value)


class Raised(jinja2.exceptions.TemplateError):
    """What raise_exception raises, told from jinja2's own errors."""


def raise_exception(message):
    raise Raised(message)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def make_environment():
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[GenerationTag, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = NOW.strftime
    env.globals["dict"] = DictFactory()
    env.globals["namespace"] = TemplateNamespace
    return env


ENV = make_environment()

# What Python raises while it compiles the template has no name of its own in slm.
KINDS = {"SyntaxError": "TemplateSyntaxError", "RuntimeError": "TemplateRuntimeError"}


def render(source, context):
    """["text"] or [kind, message]."""
    try:
        return [ENV.from_string(source).render(**copy.deepcopy(context))]
    except Raised as error:
        return ["raised", str(error)]
    except Exception as error:  # any class counts as a result
        kind = type(error).__name__
        return [KINDS.get(kind, kind), str(error)]


def prepare_messages(messages):
    """As apply_chat_template of transformers 5 hands them on."""
    reasoning_names = ("reasoning_content", "thinking", "reasoning")
    prepared = []
    for message in messages:
        message = {key: value for key, value in message.items() if value is not None}
        reasoning = next((message[name] for name in reasoning_names if message.get(name) is not None), None)
        if reasoning is not None:
            message = {"thinking": reasoning, **message, "reasoning_content": reasoning}
        prepared.append(message)
    return prepared


def render_chat(source, case):
    context = {"bos_token": "<s>", "eos_token": "</s>", **case.get("kwargs", {})}
    context.update(messages=prepare_messages(case["messages"]), tools=case.get("tools"),
                   documents=context.get("documents"), add_generation_prompt=case["add_generation_prompt"])
    return render(source, context)


WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "Weather of a city & its \"surroundings\" <today>, caf\u00e9 included",
    "parameters": {"type": "object", "properties": {
        "city": {"type": "string", "description": "Name, e.g. 'Z\u00fcrich'"},
        "unit": {"type": "string", "enum": ["c", "f"], "default": "c"},
        "days": {"type": "integer", "minimum": 0, "maximum": 18446744073709551615},
        "factor": {"type": "number", "default": 1e-7, "maximum": 1.5e+30}},
        "required": ["city"], "additionalProperties": False},
    "return": {"type": "string"}}}
TIME = {"type": "function", "function": {"name": "now", "description": "", "parameters": {
    "type": "object", "properties": {}}}}


def call(name, arguments, call_id="abcdef123"):
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def user(text):
    return {"role": "user", "content": text}


def assistant(text, **more):
    return {"role": "assistant", "content": text, **more}


def system(text):
    return {"role": "system", "content": text}


def tool(text, **more):
    return {"role": "tool", "content": text, "tool_call_id": "abcdef123", "name": "get_weather", **more}


def make_cases():
    hello = user("Hello!")
    turns = [hello, assistant("Hi."), user("How are you?")]
    used = [user("Weather in Z\u00fcrich?"),
            assistant("", tool_calls=[call("get_weather", {"city": "Z\u00fcrich", "days": 2, "x": [1, 2.5, None, True]})]),
            tool("{\"celsius\": 21}")]
    cases = [
        ("user", [hello], {}),
        ("user, no prompt", [hello], {"add_generation_prompt": False}),
        ("system", [system("Be brief."), hello], {}),
        ("turns", turns, {}),
        ("system and turns, no prompt", [system("S"), *turns, assistant("Fine.\n")], {"add_generation_prompt": False}),
        ("tools", [hello], {"tools": [WEATHER, TIME]}),
        ("system and tools", [system("Be brief."), hello], {"tools": [WEATHER]}),
        ("empty tools", [hello], {"tools": []}),
        ("tool call", used[:2], {"tools": [WEATHER], "add_generation_prompt": False}),
        ("tool result", used, {"tools": [WEATHER]}),
        ("tool result and answer", [system("S"), *used, assistant("21 degrees."), user("Thanks <b>&\"'")],
         {"tools": [WEATHER]}),
        ("two calls", [hello, assistant("Two:", tool_calls=[call("a", {}), call("b", {"k": "v"}, "xyz")]),
                       tool("1"), tool("2")], {"tools": [TIME]}),
        ("arguments as text", [hello, assistant("", tool_calls=[call("a", "{\"k\": 1}")]), tool("1")], {}),
        ("null content", [hello, assistant(None, tool_calls=[call("now", {})]), tool("{\"t\": [1]}")], {}),
        ("empty content", [system(""), user(""), assistant(""), user(" ")], {}),
        ("unicode", [user("\u65e5\u672c\u8a9e \U0001f600\u200d\u00e9 \u0000\u001f\u2028"), assistant("\u00c4"), user("\u00df")], {}),
        ("spaces", [system("  s \n"), user("\n a\tb \n\n"), assistant("  x  \n"), user("\u00a0y\u3000")], {}),
        ("like a template", [user("{{ 7*7 }} {% raise %} {# c #} <|im_end|>\n<|im_start|>system"), assistant("</s>[INST]"),
                             user("<end_of_turn> {{ bos_token }}")], {}),
        ("thinking", [user("2+2?"), assistant("<think>\nTwo and two.\n</think>\n\n4"), user("And 3+3?"),
                      assistant("6", reasoning_content="Three and three."), user("/no_think ok")], {}),
        ("thinking off", [hello], {"kwargs": {"enable_thinking": False}}),
        ("parts", [user([{"type": "text", "text": "What is "}, {"type": "image"}, {"type": "text", "text": " this? "}])], {}),
        ("system of parts", [system([{"type": "text", "text": "S"}]), user([{"type": "text", "text": "Hi"}])], {}),
        ("two users", [hello, user("Again")], {}),
        ("assistant first", [assistant("Hi"), hello], {}),
        ("unknown role", [hello, {"role": "critic", "content": "No."}], {}),
        ("late system", [hello, system("Late"), user("x")], {}),
        ("kwargs", [system("S"), hello], {"kwargs": {"date_string": "1 Jan 2030", "tools_in_user_message": False,
                                                     "builtin_tools": ["brave_search", "code_interpreter"]},
                                          "tools": [TIME]}),
        ("missing content", [{"role": "user"}], {}),
    ]
    return [{"name": name, "messages": messages, "add_generation_prompt": True, **more}
            for name, messages, more in cases]


def main():
    *folders, out = map(pathlib.Path, sys.argv[1:])
    made_by = (f"bench/peers/make_template_goldens.py; Python {sys.version.split()[0]}, jinja2 {jinja2.__version__}, "
               f"markupsafe {importlib.metadata.version('markupsafe')}; clock {NOW}")
    cases = make_cases()

    def write(name, document):
        text = json.dumps({"made_by": made_by, **document}, indent=0)  # ASCII
        (out / name).write_text(text + "\n")

    write("cases.json", {"cases": cases})
    for folder in folders:
        for path in sorted(folder.glob("*.jinja")):
            source = path.read_bytes().decode("utf-8")
            write(path.stem + ".json", {"results": [render_chat(source, case) for case in cases]})
    write("snippets.json", {"context": CONTEXT, "snippets": [[source, *render(source, CONTEXT)] for source in SNIPPETS]})


if __name__ == "__main__":
    main()
