"""Small templates, one language feature each, for make_template_goldens.py."""

import pathlib

CONTEXT = {
    "t": True, "f": False, "n": None, "i": 7, "neg": -7, "big": 9007199254740993, "x": 2.5, "y": -0.0, "s": "Hello World",
    "u": "h\u00e9llo \u65e5\u672c \U0001f600", "e": "", "sp": "  a b  c \n", "html": "<a href=\"x\">T & 'q'</a>",
    "l": [3, 1, 2], "le": [], "ls": ["b", "A", "a", "B"], "lm": [1, "a", None, True, 2.5, [1], {"k": "v"}],
    "d": {"b": 1, "a": 2, "C": 3}, "de": {}, "dn": {"items": 5, "x y": 1, "_p": 2, "get": None},
    "p": [{"name": "Bob", "age": 30, "tags": ["x"], "in": {"k": 1}}, {"name": "alice", "age": 25, "tags": [], "in": {"k": 2}},
          {"name": "Carl", "age": 30, "tags": ["y", "z"], "in": {}}],
    "nest": {"a": {"b": {"c": [10, 20, {"z": "deep"}]}}},
    "lines": "one\ntwo\n\nthree\r\nfour", "tree": [{"v": 1, "c": [{"v": 2, "c": [{"v": 3, "c": []}]}]}, {"v": 4, "c": []}],
}

# One a line.
EXPRESSIONS = pathlib.Path(__file__).with_name("template_expressions.txt").read_bytes().decode().rstrip("\n").split("\n")

# The one escape that cannot stand in a line.
EXPRESSIONS = [e.replace("\x00", "") for e in EXPRESSIONS]

STATEMENTS = [
    # Whitespace control.
    "a\n{% if t %}\nb\n{% endif %}\nc\n", "a\n  {% if t %}  \n  b\n  {% endif %}  \nc", "a\n{%- if t %}\nb\n{%- endif %}\nc",
    "a\n{% if t -%}\n  b\n{% endif -%}\n  c", "a\n  {%+ if t %}\nb\n  {%+ endif %}\nc", "a {% if t +%}\nb{% endif +%}\nc",
    "  {{ i }}  \n  {{- i -}}  \n x", "{{- i }}\n{{ i -}}\n", "a {{- i -}} b", "{# c #}\na{# c #}\nb", "  {# c #}  \na", "a\n  {#- c -#}\n  b",
    "a {# c +#}\nb", "{##}x{#-#}y", "x{#", "x {# unclosed", "a\n\n", "a\n", "\n", "", "\n\n", "a\r\nb\rc\r\n", "{{ '\r\n' }}|{{ 'a\rb' }}",
    "{% raw %}{{ x }} {% if %}{% endraw %}", "{% raw %}\n a \n{% endraw %}\nb", "a\n {%- raw -%}\n {{ b }} \n {%- endraw -%} \n c",
    "  {% raw %}  x\n  {% endraw %}  \ny", "{%raw%}a{%endraw%}", "{% raw %}x", "{% raw %}", "{% raw %}{% raw %}{% endraw %}",
    "{% if t %}a{% endif %}\n\nb", "\t{% set q = 1 %}\t\nx", " {% set q = 1 %} x", "x {% set q = 1 %}\ny", "\u00a0{% set q = 1 %}x", "{{ 'a' }}\nb",
    "{{ 'a' }}\n{% if t %}\n{{ 'b' }}\n{% endif %}\n{{ 'c' }}", "a{%-\nset q = 1\n-%}b", "{{{'a': 1}}}", "{{ {'a': {'b': 1}} }}", "{{ {'a': {}}}}",
    "{{ '}}' }}{{ \"%}\" }}", "{ { x } } {x} % } #}", "}} %} #}", "{{ i }}}", "{{{ i }}", "{% if t %}\n\n  a\n\n{% endif %}",
    "    {% for q in l %}\n    {{ q }}\n    {% endfor %}\nend", "{% for q in l -%}\n    {{ q }}\n{%- endfor %}", "\n{% if t %}\n{% endif %}\n",
    "x\n{{ i }}\n  {# c #}\n  y", "{% if t %}{# a #}{% else %}b{% endif %}", "a{{ i\n}}b", "{{\n\ni\n\n}}", "{%\nif t\n%}a{%\nendif\n%}",
    "{%-if t-%} a {%-endif-%} b", "{%if t%}a{%else%}b{%endif%}", "a {{+ i }}", "{{ i +}}", "a\n  {{ i }}\n  {%- if t %}\n  b\n  {%- endif %}\n",
    # if
    "{% if f %}a{% elif n %}b{% elif i %}c{% else %}d{% endif %}", "{% if f %}a{% elif f %}b{% else %}c{% endif %}", "{% if le %}a{% endif %}|",
    "{% if 1, 2 %}t{% endif %}", "{% if not missing %}ok{% endif %}", "{% if t: %}a{% endif %}", "{% if %}a{% endif %}", "{% if t %}a", "{% if t %}a{% endfor %}",
    "{% endif %}", "{% else %}", "{% if t %}{% else %}{% else %}{% endif %}", "{% unknown %}", "{% 5 %}", "{% if t %}{% if f %}x{% else %}y{% endif %}{% endif %}",
    "{% if x is defined and x > 2 and (l or e) %}a{% endif %}", "{% if s == 'Hello World' and not f or n %}a{% endif %}",
    # for
    "{% for q in l %}{{ q }},{% endfor %}", "{% for q in le %}x{% else %}none{% endfor %}", "{% for q in l %}x{% else %}none{% endfor %}",
    "{% for q in missing %}x{% else %}u{% endfor %}", "{% for q in n %}x{% endfor %}", "{% for q in 5 %}x{% endfor %}", "{% for q in s %}{{ q }}.{% endfor %}",
    "{% for q in u %}{{ q }}.{% endfor %}", "{% for k in d %}{{ k }}{% endfor %}", "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}",
    "{% for k, v in d|dictsort %}{{ k }}={{ v }};{% endfor %}", "{% for k, v in d|items %}{{ k }}{{ v }}{% endfor %}",
    "{% for a, b in [[1, 2], (3, 4), 'xy'] %}{{ a }}-{{ b }};{% endfor %}", "{% for a, b in [[1]] %}{% endfor %}", "{% for a, b in [[1, 2, 3]] %}{% endfor %}",
    "{% for a, b in [1] %}{% endfor %}", "{% for (a, b), c in [[[1, 2], 3]] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for q in l %}{{ loop.index }}/{{ loop.length }} {{ loop.index0 }} {{ loop.revindex }} {{ loop.revindex0 }} {{ loop.first }} {{ loop.last }} {{ loop.depth }} {{ loop.depth0 }};{% endfor %}",
    "{% for q in l %}{{ loop.previtem }}<{{ q }}>{{ loop.nextitem }} {% endfor %}", "{% for q in l %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }} {% endfor %}",
    "{% for q in l %}{{ loop.cycle('a', 'b') }}{% endfor %}", "{% for q in l %}{{ loop.cycle() }}{% endfor %}",
    "{% for q in [1, 1, 2, 2, 1] %}{{ loop.changed(q) }} {% endfor %}", "{% for q in l %}{{ loop.changed() }} {% endfor %}",
    "{% for q in l %}{{ loop }} {{ loop|length }}{% endfor %}", "{% for q in l %}{{ loop.nope is defined }}{{ loop._iterable is defined }}{{ loop['index'] }}{% endfor %}",
    "{% for q in l|map('string') %}{{ loop.length }}{{ loop.last }} {% endfor %}", "{% for q in l if q > 1 %}{{ q }}{{ loop.index }}{{ loop.last }}{{ loop.length }} {% endfor %}",
    "{% for q in l if q > 5 %}x{% else %}none{% endfor %}", "{% for q in l if loop.first %}x{% endfor %}", "{% for q in l if not loop is defined %}{{ q }}{% endfor %}",
    "{% for a, b in [[1, 2], [3, 4]] if a > 1 %}{{ a }}{{ b }}{{ loop.previtem }}{% endfor %}", "{% for q in [[1, 2], [3, 4]] if q %}{{ loop.previtem }}{% endfor %}",
    "{% for a, b in [[1, 2], [3, 4]] if true %}{{ loop.nextitem }}{% endfor %}", "{% for q in l %}{% if q == 1 %}{% continue %}{% endif %}{{ q }}{% endfor %}",
    "{% for q in l %}{% if q == 1 %}{% break %}{% endif %}{{ q }}{% endfor %}", "{% for q in l %}{% break %}{% else %}E{% endfor %}", "{% for q in l %}{% continue %}{% else %}E{% endfor %}",
    "{% for q in l %}{{ q }}{% if loop.index == 2 %}{% break %}{% endif %}{% else %}E{% endfor %}", "{% break %}", "{% continue %}", "{% for q in l %}{% else %}{% break %}{% endfor %}",
    "{% for a in [1, 2] %}{% for b in [3, 4] %}{{ a }}{{ b }}{{ loop.index }} {% endfor %}{{ loop.index }};{% endfor %}",
    "{% for a in [1, 2] %}{% set outer = loop %}{% for b in [3, 4] %}{{ outer.index }}{{ loop.index }} {% endfor %}{% endfor %}",
    "{% for q in tree recursive %}{{ q.v }}{% if q.c %}({{ loop(q.c) }}){% endif %}{{ loop.depth }}{% endfor %}", "{% for q in tree %}{{ loop(q.c) }}{% endfor %}",
    "{% for q in tree recursive %}{{ loop.depth0 }}{{ q.v }}{{ loop(q.c) }}{% else %}-{% endfor %}", "{% for q in l %}{{ q }}{% endfor %}{{ q }}", "{% set q = 9 %}{% for q in l %}{{ q }}{% endfor %}{{ q }}",
    "{% for q in l %}{% set i = q %}{{ i }}{% endfor %}{{ i }}", "{% for q in l %}{{ z }}{% set z = q %}{{ z }}{% endfor %}{{ z is defined }}", "{% set z = 0 %}{% for q in l %}{% set z = z + q %}{{ z }} {% endfor %}{{ z }}",
    "{% for q in l %}{% if q == 3 %}{% set i = q %}{% endif %}{{ i }} {% endfor %}{{ i }}", "{% for q in l %}{% if q == 3 %}{% set w = q %}{% endif %}{{ w }}|{% endfor %}",
    "{% for q in l %}{% set loop = 1 %}{% endfor %}", "{% for loop in l %}{% endfor %}", "{% for q in l %}{{ i }}{% endfor %}{% set i = 1 %}", "{{ i }}{% for q in [1] %}{{ i }}{% endfor %}{% set i = 1 %}{{ i }}",
    "{% if f %}{% set i = 1 %}{% endif %}{{ i }}", "{% if t %}{% set i = 1 %}{% endif %}{{ i }}", "{% if f %}{% set qq = 1 %}{% endif %}{{ qq is defined }}", "{% if f %}{% elif t %}{% set i = 2 %}{% else %}{% set s = 3 %}{% endif %}{{ i }}{{ s }}",
    "{% for q in l %}{% for q in 'ab' %}{{ q }}{% endfor %}{{ q }}{% endfor %}", "{% for i in i %}{% endfor %}", "{% for l in l %}{{ l }}{% endfor %}{{ l }}", "{% for q in l recursive %}{{ q }}{% endfor %}",
    "{% for true in l %}{% endfor %}", "{% for q.x in l %}{% endfor %}", "{% for q l %}{% endfor %}", "{% for q in %}{% endfor %}", "{% for in l %}{% endfor %}", "{% for q in l %}", "{% for q in 1, 2 %}{{ q }}{% endfor %}", "{% for q in (1, 2) if true %}{{ q }}{% endfor %}",
    "{% for q in l[1:] + [9] %}{{ q }}{% endfor %}", "{% for q in range(3) %}{{ q }}{% endfor %}", "{% for q in d.values() %}{{ q }}{% endfor %}", "{% for q in namespace() %}{% endfor %}", "{% for g in p|groupby('age') %}{{ g.grouper }}:{% for m in g.list %}{{ m.name }} {% endfor %};{% endfor %}",
    "{% for age, m in p|groupby('age') %}{{ age }}{{ m|length }};{% endfor %}", "{% for r in l|batch(2, '-') %}{{ r|join }};{% endfor %}", "{% for q in [1, 2, 3] %}{% if not loop.last %}{{ loop.nextitem }}{% endif %}{% endfor %}",
    # set
    "{% set q = 1 %}{{ q }}", "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set a, b = [1, 2] %}{{ a }}{{ b }}", "{% set a = 1, 2 %}{{ a }}", "{% set (a, b) = 'xy' %}{{ a }}{{ b }}", "{% set a, b = 1 %}", "{% set q %}a{{ i }}b{% endset %}[{{ q }}]",
    "{% set q | upper %}abc{% endset %}{{ q }}", "{% set q | replace('a', 'b') | upper %}abc{% endset %}{{ q }}", "{% set q | join(s) %}ab{% endset %}{{ q }}", "{% set q %}{% set i = 3 %}{{ i }}{% endset %}{{ q }}{{ i }}", "{% set ns = namespace(a=1) %}{% set ns.a = 2 %}{{ ns.a }}",
    "{% set ns = namespace() %}{% for q in l %}{% set ns.x = q %}{% endfor %}{{ ns.x }}", "{% set ns = namespace(c=0) %}{% for q in l %}{% set ns.c = ns.c + q %}{% endfor %}{{ ns.c }}{{ ns }}", "{% set d.a = 1 %}", "{% set ns.a = 1 %}", "{% set ns = namespace() %}{% set ns._a = 1 %}",
    "{% set ns = namespace() %}{% set ns.a, ns.b = 1, 2 %}{{ ns.a }}{{ ns.b }}", "{% set ns = namespace() %}{% set ns.q %}block{% endset %}{{ ns.q }}", "{% set ns = namespace(a=1) %}{% set ns.n = ns %}{{ ns }}", "{% set true = 1 %}", "{% set 5 = 1 %}", "{% set x.y.z = 1 %}", "{% set f() = 1 %}",
    "{% set [a, b] = l %}", "{% set q = %}", "{% set q %}", "{% set q = 1 if f %}{{ q is defined }}", "{% set q = l|first %}{{ q }}", "{% set l = l + [4] %}{{ l }}", "{% set s = s ~ '!' %}{{ s }}{% set s = s ~ '!' %}{{ s }}", "{% set a = b = 1 %}",
    "{% set ns = namespace(l=[]) %}{% for q in 'abc' %}{% set ns.l = ns.l + [q] %}{% endfor %}{{ ns.l }}", "{% set ns = namespace(found=false) %}{% for m in p %}{% if m.age == 30 and not ns.found %}{{ m.name }}{% set ns.found = true %}{% endif %}{% endfor %}",
    "{% set ns = namespace(stop=false) %}{% for q in l if not ns.stop %}{{ q }}{% if q == 1 %}{% set ns.stop = true %}{% endif %}{% endfor %}",
    # with, scopes
    "{% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q }}", "{% with q = 1, r = 2 %}{{ q }}{{ r }}{% endwith %}{{ q }}", "{% with i = 1, r = i %}{{ i }}{{ r }}{% endwith %}{{ i }}", "{% with a, b = [1, 2] %}{{ a }}{{ b }}{% endwith %}", "{% with (a, b) = [1, 2] %}{{ a }}{{ b }}{% endwith %}",
    "{% with i = 5 %}{% set i = 6 %}{{ i }}{% endwith %}{{ i }}", "{% for q in l %}{% with w = q %}{{ w }}{% if w == 1 %}{% break %}{% endif %}{% endwith %}{% endfor %}",
    "{% filter upper %}a{{ s }}b{% endfilter %}", "{% filter replace('a', 'x') | upper %}abc{% endfilter %}", "{% filter indent(2) %}a\nb{% endfilter %}", "{% filter nope %}a{% endfilter %}", "{% filter upper %}{% set i = 1 %}{{ i }}{% endfilter %}{{ i }}", "{% filter trim %} a {% endfilter %}|",
    "{% for q in l %}{% filter upper %}a{% break %}b{% endfilter %}{% endfor %}|", "{% filter upper | lower %}aB{% endfilter %}",
    # macros
    "{% macro m() %}x{% endmacro %}{{ m() }}{{ m() }}", "{% macro m(a, b=2) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(b=5, a=4) }}{{ m() }}", "{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}", "{% macro m(a=b, b=2) %}{{ a }}|{{ b }}{% endmacro %}{{ m() }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(z=2) }}", "{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, z=4) }}", "{% macro m(a) %}{{ a is defined }}{% endmacro %}{{ m() }}{{ m(1) }}", "{% macro m(a) %}{{ a.x }}{% endmacro %}{{ m() }}",
    "{% macro m() %}{{ i }}{% set i = 3 %}{{ i }}{% endmacro %}{{ m() }}{{ i }}", "{% macro m() %}{{ v }}{% endmacro %}{% set v = 1 %}{{ m() }}{% set v = 2 %}{{ m() }}", "{{ m() }}{% macro m() %}x{% endmacro %}", "{% macro m(q) %}{% if q > 0 %}{{ q }}{{ m(q - 1) }}{% endif %}{% endmacro %}{{ m(5) }}",
    "{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}body{% endcall %}", "{% macro m() %}<{{ caller(1, 2) }}>{% endmacro %}{% call(a, b=5) m() %}{{ a }}{{ b }}{% endcall %}", "{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}", "{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}{% call m() %}{% endcall %}",
    "{% macro m() %}x{% endmacro %}{% call m() %}b{% endcall %}", "{% macro m() %}{{ caller() }}{{ caller() }}{% endmacro %}{% call m() %}{{ i }}{% set i = 1 %}{% endcall %}{{ i }}", "{% macro m(caller) %}{{ caller() }}{% endmacro %}", "{% macro m(caller=none) %}{{ caller }}{% endmacro %}{{ m() }}", "{% call s %}x{% endcall %}", "{% call s() %}x{% endcall %}",
    "{% macro m(a, a) %}{% endmacro %}", "{% macro m(a=1, b) %}{% endmacro %}", "{% macro m %}{% endmacro %}", "{% macro m() %}", "{% macro m(x) %}{{ x }}{% endmacro %}{{ m }}{{ m.name }}{{ m.arguments }}{{ m.catch_kwargs }}", "{% macro m() %}a{% endmacro %}{{ m()|upper }}{{ m() is string }}{{ m() ~ m() }}",
    "{% for q in l %}{% macro m() %}{{ q }}{{ loop.index }}{% endmacro %}{{ m() }} {% endfor %}", "{% macro m() %}{% for q in l %}{{ q }}{% endfor %}{% endmacro %}{{ m() }}", "{% macro outer() %}{% macro inner() %}in{% endmacro %}{{ inner() }}{% endmacro %}{{ outer() }}{{ inner is defined }}", "{% if t %}{% macro m() %}x{% endmacro %}{% endif %}{{ m() }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(*[1]) }}{{ m(**{'a': 2}) }}", "{% macro m(items) %}{% for q in items %}{{ q }}{{ ',' if not loop.last }}{% endfor %}{% endmacro %}{{ m(l) }}", "{%- macro m(a) -%}\n  {{ a }}\n{%- endmacro -%}\n{{ m(1) }}", "{% set m = 5 %}{% macro m() %}x{% endmacro %}{{ m() }}", "{% macro m() %}{% break %}{% endmacro %}",
    "{% macro r(n) %}{{ r(n + 1) }}{% endmacro %}{{ r(0) }}", "{% macro a(x) %}{{ b(x) }}{% endmacro %}{% macro b(x) %}[{{ x }}]{% endmacro %}{{ a(1) }}", "{% macro m(x='d') %}{{ x }}{% endmacro %}{{ m(none) }}{{ m(missing) }}{{ m() }}", "{% macro m() %}{{ varargs|length }}{% endmacro %}{{ m(1, 2) }}", "{% macro m(kwargs) %}{{ kwargs }}{% endmacro %}{{ m(1) }}",
    # generation, blocks, others
    "{% generation %}a{{ i }}{% endgeneration %}b", "{% for q in l %}{% generation %}{{ q }}{{ loop.index }}{% endgeneration %}{% endfor %}", "{% generation %}{% set i = 1 %}{{ i }}{% endgeneration %}{{ i }}", "{%- generation -%} a {%- endgeneration -%} b", "{% generation %}x", "{% for q in l %}{% generation %}{% break %}{% endgeneration %}{% endfor %}",
    "{% block a %}x{{ i }}{% endblock %}", "{% set v = 1 %}{% block a %}{{ v }}{% endblock a %}", "{% for q in l %}{% block a %}{{ q is defined }}{% endblock %}{% endfor %}", "{% block a %}{% endblock %}{% block a %}{% endblock %}", "{% block a-b %}{% endblock %}", "{% print i, s %}", "{% print %}x", "{% do i %}", "{% autoescape false %}{{ html }}{% endautoescape %}",
    "{% debug %}", "{% trans %}a{% endtrans %}",
    "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{% set z = c.reset() %}{{ c.current }}", "{% set j = joiner() %}{% for q in l %}{{ j() }}{{ q }}{% endfor %}", "{% set j = joiner('; ') %}{{ j() }}a{{ j() }}b{{ j() }}", "{% set g = l|map('string') %}{{ g|join }}|{{ g|join }}", "{% set g = l|select %}{% for q in g %}{{ q }}{% break %}{% endfor %}{{ g|list }}", "{% set r = l|reverse %}{{ r|list }}{{ r|list }}",
    "{% if l|select('gt', 5)|list %}a{% else %}b{% endif %}", "{% if l|select('gt', 5) %}a{% else %}b{% endif %}", "{% if missing.x %}a{% endif %}", "{% if d.zz.y %}{% endif %}", "{% if f %}{{ s|nope }}{% endif %}ok", "{% if t %}{{ s|nope }}{% endif %}", "{% if f %}{% for q in l %}{{ q|nope }}{% endfor %}{% endif %}ok", "{{ s|nope }}", "{% if f and s is nope %}{% endif %}ok",
    "{{ i }}{{ raise_exception('stop') }}{{ i }}", "{% if not l %}{{ raise_exception('no') }}{% endif %}fine", "{{ missing.a.b }}", "{{ d.a.b.c }}", "{{ d.zz.b }}", "{{ l.0.x }}{{ l.zz }}|", "{{ l[0].x.y }}", "{{ n.a }}|{{ n.a.b }}", "{{ p[0].name }}{{ p[0]['age'] }}{{ p[0].tags[0] }}", "{{ p[5].name }}",
    "{%- for m in p -%}\n{{ m.name }}{{ '' if loop.last else ', ' }}\n{%- endfor -%}", "{% for m in p %}{% if loop.first %}F{% elif loop.last %}L{% else %}M{% endif %}{% endfor %}", "{% set first = p[0] if p else none %}{{ first.name }}", "{{ (p|first).name }}{{ (p|last).age }}", "{{ p|map(attribute='name')|map('lower')|sort|join(',') }}",
    "{{ 'a' if p|length == 3 else 'b' }}", "{% set txt = 'x' %}{% if txt.startswith('x') and txt.endswith('x') %}y{% endif %}", "{{ 'abc'.split('b')[-1].lstrip('c') ~ '|' }}", "{{ '<think>a</think>b'.split('</think>')[0].split('<think>')[-1] }}", "{{ (l|length) - 1 }}{{ l|length - 1 }}", "{{ messages is defined }}", "{{- '\\n' -}}x", "{{ \"a\\nb\" }}",
    "{% set o = {'a': [1, {'b': none}]} %}{{ o }}{{ o.a[1].b }}{{ o|tojson }}", "{{ [1,2,3]|string|length }}", "{% for k, v in {'x': 1, 'y': 2}.items() if v > 1 %}{{ k }}{% endfor %}", "{% for i in range(i) %}{{ i }}{% endfor %}{{ i }}", "{% set q = namespace(x=1).x %}{{ q }}", "{% for key in d|sort %}{{ key }}={{ d[key] }} {% endfor %}", "{% if s is string %}S{% elif s is mapping %}M{% endif %}",
    "{{ lines.split('\n')|length }}", "{{ u.encode is defined }}", "{{ ('a', 'b')|tojson }}{{ (1,)|tojson(indent=2) }}", "{{ 'x'|default(raise_exception('eager')) }}", "{{ t and raise_exception('and') }}", "{{ f and raise_exception('and') }}", "{{ 1 if t else raise_exception('no') }}", "{% if 'a' == 'b' %}{% include 'x' %}{% endif %}ok", "{{ [missing] }}{{ {'a': missing} }}", "{{ [loop] }}",
]

SNIPPETS = ["{{ " + e + " }}" for e in EXPRESSIONS] + STATEMENTS
