"""Small templates, one language feature each, for make_template_goldens.py."""

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

EXPRESSIONS = r"""
1 + 2 * 3 - 4
(1 + 2) * 3
7 / 2
7 // 2
-7 // 2
7 // -2
-7 % 3
7 % -3
7.5 // 2
-7.5 % 2
5.5 % -2
2 ** 10
2 ** -1
2 ** 3 ** 2
-2 ** 2
2 ** 0.5
0 ** 0
4 / 2
1 / 3
10 / 4.0
1e3
1.5e-7
1e16
123456789012345680.0
1e22
0.1 + 0.2
100000.0 * 10
1e15
1e-4
1e-5
5e-324
1.7976931348623157e308 * 10
-1e400
1_000 + 0x1F + 0b101 + 0o17
9223372036854775807 + 1
18446744073709551615 * 2
3 * 'ab'
'ab' * 0
'ab' * -1
[1, 2] * 2
(1,) * 3
'a' + 'b'
'a' 'b' "c"
'a' ~ 1 ~ none ~ true ~ 1.0 ~ [1, 'x']
1 ~ 2 + 3
'a' + 1
1 + 'a'
[1] + [2]
[1] + (2,)
(1, 2) + (3,)
none + 1
true + true
true * 3 + false
-true
+true
- 'a'
'a' - 'b'
'%s is %d' % ('x', 5)
'%5.2f|%-5s|%05d|%+d|%x|%X|%o|%e|%g|%%' % (3.14159, 'ab', 42, 7, 255, 255, 8, 12345.678, 0.0001)
'%s' % 'a'
'%s %s' % 'a'
'%s' % [1, 2]
'%(a)s-%(b)03d' % {'a': 'x', 'b': 7}
'%r %r' % ('a', 1.0)
'%c%c' % ('x', 65)
'%10s|%-10s|%.2s' % ('ab', 'cd', 'efgh')
'%d' % 3.9
'%d' % 'x'
'%i %u' % (5, 6)
'%#x %#o' % (255, 8)
'%*d' % (5, 42)
'%s' % ()
'%s' % none
'a' % 1
'%z' % 1
7 == 7.0
1 == true
0 == false
'a' == 'a'
'a' != 'b'
[1, 2] == [1, 2]
[1] == (1,)
d == {'a': 2, 'b': 1, 'C': 3}
none == none
missing == missing2
missing == none
1 < 2 < 3
1 < 3 < 2
3 > 2 >= 2
1 < 'a'
'a' < 'b'
'a' < 'B'
[1, 2] < [1, 3]
[1, 2] < [1, 2, 0]
none < 1
1 <= 1.0
1 != 2 != 3
not true
not 0
not not ''
true and 'x'
0 and 'x'
0 or 'x'
'' or none or 'z'
1 or 0 and 0
not 1 == 2
2 in l
5 not in l
'a' in d
'z' in d
2 in d
'ell' in s
'' in s
'x' not in s
1 in s
none in lm
1 in none
'a' in 5
missing in s
'a' in missing
1 in range(3)
2.0 in range(3)
'x' if t else 'y'
'x' if f else 'y'
'x' if f
('x' if f) is undefined
'a' if f else 'b' if f else 'c'
[1, 2][0]
l[0]
l[-1]
l[10]
l[10] is undefined
l['0']
l[t]
l[1.0]
l.0
l[1:]
l[:2]
l[::-1]
l[-2:]
l[5:]
l[::2]
l[2:0:-1]
l[::0]
l[none:2]
l['a':]
s[1:4]
s[::-1]
s[0]
s[-1]
s[100]
u[1]
u[7]
u[-1]
u[::-1]
u[1:8]
u|length
e[0]
d['a']
d.a
d.missing
d['missing']
d.missing is defined
d[1]
d[[1]]
d['a':'b']
(1, 2, 3)[1:]
range(10)[2:8:2]
range(5)[::-1]
range(5)[-1]
range(3)|list
range(2, 10, 3)|list
range(5, 0, -2)|list
range(0)|list
range(1.5)
range('a')
range(1, 2, 0)
range(100000)|length
range(100001)
range(3)
range(1, 4, 2)
nest.a.b.c[2].z
nest['a']['b']['c'][0]
nest.a.x.y
nest.a.b.c[5].z
missing.x
missing['x']
missing
missing ~ 'a'
missing + 1
1 + missing
missing|default('d')
missing()
missing.x is defined
n.x
n.x.y
n['x']
dn['items']
dn.x
dn['x y']
dn._p
dn['get']
d.items()
d.keys()
d.values()
d.items()|list
d.keys()|list|length
d.values()|sum
d.items()[0]
d.get('a')
d.get('zz')
d.get('zz', 5)
d.get()
d.pop('a')
d.update({})
d.clear is defined
l.append(4)
l.append is defined
l.sort()
l.index(2)
l.index(9)
l.count(1)
l.copy()
d.copy()
(1, 2, 1).count(1)
(1, 2).index(2)
s.__class__
s.__class__.__mro__
d.__class__
l.__len__()
s._x
''.__class__.__base__.__subclasses__()
i.real
x.imag
i.bit_length()
x.is_integer()
[]
{}
()
(1,)
(1, 2)
[1, 'a', none, true, 1.0]
{'a': 1, 2: 'b', none: 3, true: 4}
{1: 'a', 1.0: 'b', true: 'c'}
{'a': 1, 'a': 2}
{[1]: 2}
{(1, 2): 3}
['it\'s', "say \"hi\"", 'both \' and "', '\\', '\n\t\r', '\x00\x7f', 'é日😀', '\u200b\xad']
"tab\there"
'\x41\u00e9\U0001F600\101\q'
'\é'
lm
d
p[0]
nest
html
[html]
y
[0.0, -0.0, 1e100]
true
none
[true, none]
s.upper()
s.lower()
s.title()
s.swapcase()
s.capitalize()
'ǆ ß ŉ ﬁ İ ΑΣ ΑΣ. Σ'.upper()
'ǆ ß ŉ ﬁ İ ΑΣ ΑΣ. Σ'.lower()
'ǆ ß ŉ ﬁ İ ΑΣ ΑΣ. Σ'.title()
'ß ﬁ hello'.capitalize()
'Straße İ'.casefold()
"they're bill's friends".title()
sp.strip()
sp.lstrip()
sp.rstrip()
'xxaxx'.strip('x')
'xyaxy'.strip('yx')
'xxa'.lstrip('x')
'axx'.rstrip('x')
'\u3000a\xa0'.strip()
'a'.strip(none)
'a'.strip(1)
'a,b,,c'.split(',')
'a,b,,c'.split(',', 1)
'a,b,,c'.rsplit(',', 1)
'a,b,,c'.rsplit(',')
sp.split()
sp.split(none, 1)
sp.rsplit(none, 1)
' a  b '.split(' ')
''.split()
''.split(',')
'a'.split('')
'abc'.split(maxsplit=1)
'a--b--c'.split('--')
lines.splitlines()
lines.splitlines(true)
'a\x0bb\x0cc\x1cd\u2028e'.splitlines()
'a=b=c'.partition('=')
'a=b=c'.rpartition('=')
'abc'.partition('=')
'abc'.rpartition('=')
s.replace('l', 'L')
s.replace('l', 'L', 2)
s.replace('', '-')
''.replace('', 'x')
s.replace('l', '')
s.replace('l', 1)
s.find('o')
s.find('o', 5)
s.find('zz')
s.rfind('o')
s.index('W')
s.index('zz')
s.rindex('l')
s.count('l')
s.count('')
s.count('l', 4)
'aaaa'.count('aa')
u.find('日')
u.find('', 3)
s.startswith('Hell')
s.startswith(('x', 'He'))
s.startswith('World', 6)
s.endswith('ld')
s.endswith(('x', 'ld'))
s.startswith(['He'])
s.startswith(1)
s.removeprefix('Hello ')
s.removesuffix('World')
s.removeprefix('zz')
'-'.join(['a', 'b'])
'-'.join('abc')
'-'.join([1, 2])
'-'.join(5)
''.join(d)
'a'.center(5) ~ '|'
'ab'.center(5, '*')
'abc'.center(6, '*')
'a'.ljust(3, '.') ~ '|'
'a'.rjust(3, '.')
'a'.rjust(3, 'ab')
'42'.zfill(5)
'-42'.zfill(5)
'+x'.zfill(5)
'a\tb\t'.expandtabs(4)
'abc'.isalpha()
'abc1'.isalnum()
'12'.isdigit()
'²'.isdigit()
'²'.isdecimal()
'½一'.isnumeric()
' \t'.isspace()
''.isspace()
'abc'.islower()
'ABC 1'.isupper()
'Hello World'.istitle()
'a b'.isidentifier()
'a_b'.isidentifier()
'é'.isascii()
'a\n'.isprintable()
'{} {}'.format(1, 'a')
'{1} {0}'.format('a', 'b')
'{a} {b[0]} {c.k}'.format(a=1, b=[2], c={'k': 3})
'{:>5}|{:<5}|{:^5}|{:*^7}'.format('a', 'b', 'c', 'd')
'{:05d} {:+d} {:,} {:x} {:#x} {:b} {:_}'.format(42, 5, 1234567, 255, 255, 5, 1234567)
'{:.2f} {:10.3f} {:e} {:g} {:%} {:.1%}'.format(3.14159, 2.5, 12345.678, 0.0001, 0.25, 0.5)
'{:.3} {:.10} {} {:.2} {}'.format(3.14159, 1234.0, 1.0, 100.0, 1e20)
'{!r} {!s:>4} {{}}'.format('a', 'b')
'{:{}}|'.format('a', 4)
'{0}{}'.format(1, 2)
'{}'.format()
'{x}'.format()
'{'.format()
'}'.format()
'{:d}'.format('a')
'{}'.format(none)
'{} {}'.format([1], {'a': 1})
'{0.__class__}'.format('a')
'{:5}|{:<5}|{:^5}'.format(1, 2, 3)
'{:5}|'.format(true)
'{:>5}'.format(none)
l|first
le|first
le|first is undefined
l|last
le|last
s|first
s|last
d|first
d|last
l|length
s|count
d|length
n|length
5|length
l|sort
l|sort(reverse=true)
ls|sort
ls|sort(case_sensitive=true)
ls|sort(true)
p|sort(attribute='name')|map(attribute='name')|list
p|sort(attribute='age,name')|map(attribute='name')|list
p|sort(attribute='age', reverse=true)|map(attribute='name')|list
p|sort(attribute='in.k')|length
lm|sort
s|sort
d|sort
l|reverse|list
s|reverse
d|reverse|list
(1, 2)|reverse|list
5|reverse
l|join
l|join(', ')
p|join(', ', attribute='name')
p|map(attribute='name')|join('|')
le|join(',')
s|join('-')
d|join(',')
5|join(',')
[1, none, true, missing]|join('/')
l|sum
p|sum(attribute='age')
l|sum(start=10)
['a']|sum
[[1], [2]]|sum(start=[])
[0.1, 0.2]|sum
l|min
l|max
le|min
ls|min
ls|max
ls|max(case_sensitive=true)
p|max(attribute='age')
p|min(attribute='name')
[1, 'a']|max
ls|unique|list
ls|unique(case_sensitive=true)|list
[1, 1.0, true, 2]|unique|list
p|unique(attribute='age')|map(attribute='name')|list
[[1], [1]]|unique|list
l|batch(2)|list
l|batch(2, 'x')|list
l|batch(5, 0)|list
range(7)|batch(3)|list
l|slice(2)|list
range(10)|slice(3)|list
range(10)|slice(3, 'x')|list
l|slice(0)|list
p|groupby('age')|list
p|groupby('age')|map(attribute='grouper')|list
p|groupby('age')|map('first')|list
p|groupby('in.k', default=0)|map(attribute=0)|list
['a', 'A', 'b']|groupby(0)|list
p|groupby('name', case_sensitive=true)|map(attribute='grouper')|list
(p|groupby('age'))[1].list|length
d|dictsort
d|dictsort(true)
d|dictsort(by='value')
d|dictsort(false, 'key', true)
d|dictsort(by='x')
l|dictsort
d|items|list
missing|items|list
l|items|list
de|items|list
l|map('string')|list
l|map('default', 0)|list
ls|map('upper')|list
p|map(attribute='tags')|map('join', '+')|list
p|map(attribute='zz')|list
p|map(attribute='zz', default='D')|list
p|map(attribute='in.k', default=9)|list
p|map(attribute='tags.0')|list
p|map('attr', 'name')|list
l|map()|list
l|map('nope')|list
l|map(attribute='x', bad=1)|list
le|map()|list
missing|map('upper')|list
l|map('round', 1)|list
[1, 2, 3, 4]|select('odd')|list
[1, 2, 3, 4]|reject('odd')|list
[0, 1, '', 'a', none]|select|list
[0, 1, '', 'a', none]|reject|list
[1, 2, 3]|select('gt', 1)|list
[1, 2, 3]|select('>', 1)|list
[1, 2, 3]|select('in', [1, 3])|list
l|select('divisibleby', 2)|list
lm|select('string')|list
lm|select('nope')|list
p|selectattr('age', 'eq', 30)|map(attribute='name')|list
p|selectattr('age', 'equalto', 30)|list|length
p|selectattr('tags')|map(attribute='name')|list
p|rejectattr('tags')|map(attribute='name')|list
p|selectattr('in.k', 'defined')|list|length
p|rejectattr('age', 'lt', 30)|map(attribute='name')|list
p|selectattr()|list
p|selectattr('name', 'in', ['Bob'])|list|first
(l|map('string'))|first
l|map('string')|length
(l|map('string'))[0]
l|select is iterable
l|select is sequence
l|select|string is string
l|list
s|list
d|list
5|list
'1 2 3'.split()|map('int')|sum
missing|d('x')
n|d('x')
n|d('x', true)
e|default('x', true)
e|default('x', boolean=true)
f|default
missing|default
d.zz|default(d.a)
i|abs
neg|abs
'a'|abs
x|abs
true|abs
x|int
'42'|int
'42.9'|int
'x'|int
'x'|int(5)
'0x1f'|int(0, 16)
'0b11'|int(base=2)
'1_000'|int
' 7 '|int
'٣'|int
n|int
l|int(9)
true|int
'1e3'|int
'inf'|int
missing|int
'1.5'|float
'x'|float
'x'|float(2.0)
i|float
'nan'|float
'-inf'|float
'1e400'|float
' 1_0.5 '|float
n|float(1)
2.5|round
3.5|round
2.675|round(2)
1234.5678|round(-2)
1250|round(-2)
1350|round(-2)
-2.5|round
2.4|round(method='ceil')
2.45|round(1, 'floor')
2.45|round(1, 'ceil')
7|round
7|round(1, 'floor')
x|round(method='x')
'a'|round
0.5|round
1e300|round(2)
i|string
n|string
l|string
missing|string
s|upper
s|lower
n|upper
5|lower
s|capitalize
'hELLO wORLD'|capitalize
'hello-world foo(bar) {x} [y] <z> it\'s ßa'|title
sp|trim
'xxaxx'|trim('x')
5|trim
s|center(21) ~ '|'
s|replace('o', '0')
s|replace('o', '0', 1)
s|replace('l', '')
5|replace('5', 6)
n|replace('None', 'x')
html|escape
html|e
html|safe
html|escape|escape
html|forceescape
(html|safe)|forceescape
[html|safe]
(html|safe) + '<b>'
'<b>' + (html|safe)
'<b>' ~ (html|safe)
'a<' + ('x'|safe) + '>'
(('x<'|safe) ~ '<') + '<'
('%s <'|safe) % '<b>'
('{} <'|safe).format('<b>')
('<'|safe).join(['<', '&'])
('a'|safe).replace('a', '<')
('a'|safe)|upper + '<'
('a'|safe)|replace('a', '<')
('<a>'|safe)|length
('<a>'|safe)[0] + '<'
('<a>'|safe).upper() + '<'
('a b'|safe).split() 
('a'|safe) == 'a'
('a'|safe) * 2 + '<'
('a'|safe) in ['a']
'a'|safe is escaped
'a' is escaped
('<'|e)|tojson
['<'|e, '<']|join(',')
html|striptags
'a <!-- <b> --> c &lt;&amp;&#39;&#x41;'|striptags
'foo bar baz qux'|truncate(9)
'foo bar baz qux'|truncate(9, true)
'foo bar baz qux'|truncate(11)
'foo bar baz qux'|truncate(11, false, '..')
'foo bar baz qux'|truncate(9, leeway=0)
'foo bar baz qux'|truncate(2)
'short'|truncate(3, true, '')
'foo bar'|truncate(5, true, '..', 0)
lines|indent
lines|indent(2)
lines|indent(2, true)
lines|indent(2, blank=true)
lines|indent('> ', true, true)
lines|indent(width=3, first=true)
e|indent(2, true)
'a\n'|indent(2)
5|indent
s|wordcount
'a-b c_d é1 ...'|wordcount
'The quick brown fox jumps over the lazy dog'|wordwrap(12)
'a verylongwordthatneedsbreaking b'|wordwrap(8)
'a verylongwordthatneedsbreaking b'|wordwrap(8, false)
'well-known half-baked e-mail x--y foo-bar-baz'|wordwrap(9)
'well-known half-baked'|wordwrap(6, break_on_hyphens=false)
'  lead and trail  \n\n second  line'|wordwrap(7, wrapstring='|')
'a/b c&d é ~x'|urlencode
{'a b': 'c&d', 'x': 1}|urlencode
[('a', 1), ('b', 'ü/')]|urlencode
5|urlencode
{'class': 'a b', 'id': none, 'x': missing, 'd': '<"'}|xmlattr
{'a': 1}|xmlattr(false)
{'a b': 1}|xmlattr
1000|filesizeformat
1|filesizeformat
123456789|filesizeformat
123456789|filesizeformat(true)
'%s-%s'|format('a', 1)
'%(a)s'|format(a=5)
'%s'|format('a', b=1)
p[0]|attr('name')
(s|attr('upper'))()
d|attr('items') is callable
s|attr('__class__')
d|tojson
p[0]|tojson
lm|tojson
s|tojson
u|tojson
u|tojson(true)
u|tojson(ensure_ascii=true)
html|tojson
'\x00\x1f\x7f\u2028"\\/'|tojson
'\x7f'|tojson(ensure_ascii=true)
d|tojson(indent=2)
nest|tojson(indent=4)
lm|tojson(indent=1)
{'a': [], 'b': {}, 'c': [[]]}|tojson(indent=2)
d|tojson(indent='\t')
d|tojson(indent=0)
d|tojson(separators=(',', ':'))
d|tojson(separators=[', ', ' = '], indent=2)
d|tojson(sort_keys=true)
{1: 2, none: 3, true: 4, 1.5: 5}|tojson
{(1, 2): 3}|tojson
{'b': 1, 2: 3}|tojson(sort_keys=true)
[1.0, 1e20, 1e-7, -0.0, 'inf'|float, 'nan'|float, 12345678901234567890]|tojson
(1, 2)|tojson
range(3)|tojson
missing|tojson
(l|map('string'))|tojson
d.items()|tojson
true|tojson
none|tojson
i is odd
i is even
i is divisibleby 7
i is divisibleby(2)
i is defined
missing is defined
missing is undefined
missing is not defined
n is none
n is not none
s is string
i is string
d is mapping
l is mapping
l is sequence
s is sequence
d is sequence
5 is sequence
missing is sequence
d.keys() is sequence
l is iterable
5 is iterable
missing is iterable
n is iterable
i is number
x is number
t is number
s is number
i is integer
t is integer
x is integer
x is float
i is float
t is boolean
1 is boolean
t is true
1 is true
f is false
0 is false
i is sameas 7
t is sameas true
t is sameas 1
l is sameas l
i is eq 7
i is ==(7)
i is equalto 7
i is ne 7
i is lt 8
i is le 7
i is gt 7
i is ge 7
i is greaterthan 5
i is lessthan 5
2 is in l
2 is in [1]
'a' is not in d
s is callable
range is callable
s.upper is callable
missing is callable
'abc' is lower
'ABC' is upper
'aBc' is lower
5 is upper
'upper' is filter
'nope' is filter
'odd' is test
'nope' is test
s is odd
missing is odd
l is lt 5
i is divisibleby 0
n is in [none]
s is string and i is number
s is not string or i is number
not s is string
i is eq 7 and x is gt 2
i is foo
s|foo
s if t else (s|foo)
(s|foo) if f else 'ok'
(s is foo) if t else 'no'
dict(a=1, b='x')
dict(d, z=9)
dict([('a', 1), ['b', 2]])
dict([1])
dict(1, 2)
dict.fromkeys(['a', 'b'], 0)
dict(**d)
namespace(a=1)
namespace(a=1).a
namespace(a=1).b
namespace(d).b
namespace(_a=1)
namespace(a=1)['a']
'a' in namespace(a=1)
cycler('a', 'b').next()
cycler()
joiner('|')()
strftime_now('%Y-%m-%d %H:%M:%S %A %B %j %p %y %d %b %%')
strftime_now('%f|%z|%Z|%%f')
strftime_now('')
raise_exception('custom "message" é')
raise_exception(5)
raise_exception()
lipsum is callable
range(*[1, 4])|list
'{}-{}'.format(*['a', 'b'])
'{a}'.format(**{'a': 1})
'{}'.format(*5)
'{a}'.format(**5)
'x'.upper(1)
s.nope()
s()
5()
n()
l[0]()
caller()
loop
[1, 2, 3,]
{'a': 1,}
(1, 2,)
range(3,)|list
'abc'[1:2:1]
[[1, 2], [3, 4]]|map('sum')|list
[[1, 2], [3, 4]]|map('first')|join
[{'a': {'b': 1}}]|map(attribute='a.b')|first
[1, 2] | map('string') | map('upper') | list
('a', 'b') | join('-') | upper
-5|abs
(-5)|abs
2 + 3|abs * 2
'a' 'b'|upper
1 if 2 is even else 3
[] or 'empty'
{} or 'empty'
'0' and 1
1.0|string + 'x'
1|string ~ 1.50
10 // 3 ~ '-' ~ 10 % 3
1 == 1 == true
'a' in ['a'] == true
('a' in ['a']) == true
"%s" % (1, 2)
'a\
b'
'caf\u00e9'|length
['a', 'b']|last ~ ''|default('x')
[1, [2, [3, [4]]]]
{'a': {'b': ('c', ['d'])}}
1 is number is string
x is y
foo.bar is defined
i is divisibleby 3 or i is divisibleby 7
'abc' | batch(2) | map('join') | list
d | list | sort | join
l | sort | first
nest.a.b.c | length
p | map(attribute='age') | unique | list
p | map(attribute='age') | max
p | selectattr('name', 'eq', 'Bob') | first | attr('zz') is undefined
1.
.5
1..real
'unterminated
@
1 +
(1
[1, 2
{'a' 1}
a b
1 = 2
l[
l[]
l[1,]
l[0, 1]
f(a=1, 2)
f(**d, 1)
f(a=1, a=2)
x|
x is
x.
not
'\x4'
'\u12'
'\N{DASH}'
007
1__0
0x
1e
""".strip("\n").split("\n")

# The one escape that cannot stand in a line above.
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
