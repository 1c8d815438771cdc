"""
Writes templates.json: what Python's Jinja makes of templates, in the environment of Hugging Face's apply_chat_template.
The templates process messages in the ways of published ones: they trim, split, compare and measure contents, and write
control tokens in parts.

A tool for developers, not run by the tests:
  pip install jinja2==3.1.6
  python workers/text/golden/make-template-goldens.py
"""
import json
from pathlib import Path

from jinja2.exceptions import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

SNIPPETS = [
    # scopes
    "{% set x = 0 %}{% for i in [1, 2, 3] %}[{{ x }}]{% set x = i %}{% endfor %}{{ x }}",
    "{% set x = 0 %}{% if true %}{% set x = 5 %}{% endif %}{{ x }}",
    "{% macro m(a, b=2) %}{{ a }}{{ b }}{{ y }}{% endmacro %}{% set y = 3 %}{{ m(1) }}{{ m(b=7, a=0) }}",
    "{% macro m(n) %}<{{ caller(n) }}>{% endmacro %}{% call(q) m(3) %}c{{ q }}{% endcall %}",
    "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 'a', k='v') }}",
    "{% set a, b = [1, 2] %}{{ a }}{{ b }} {% set z %}hi {{ a }}{% endset %}{{ z }}",
    "{% set ns = namespace(a=1) %}{% for i in [1, 2] %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a }} {{ ns.b is defined }}",
    # loops
    "{% for i in range(3) if i != 1 %}{{ loop.index }}{{ i }}{% else %}none{% endfor %} {% for i in [] %}{% else %}empty{% endfor %}",
    "{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}",
    "{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}{{ v }}{{ loop.last }}{% endfor %}",
    "{% for i in 'abc' %}{{ loop.index0 }}{{ i }}{{ loop.revindex }}{{ loop.first }}{{ loop.cycle('x', 'y') }} {% endfor %}",
    "{% for i in [1, 2, 3] %}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.length }};{% endfor %}",
    "{% for k in {'a': 1} %}{{ k }}{% endfor %}",
    # values as text
    "{{ none }} {{ true }} {{ [1, 'a', 1.0, none, true, \"it's\", 'a\"b'] }} {{ {'a': 1} }} {{ ('a', 2) }}",
    "{{ 1.0 }} {{ 3 / 2 }} {{ 4 / 2 }} {{ 0.1 + 0.2 }} {{ 123456789.0 }} {{ 10 ** 20 }} {{ 1 / 100000 }} {{ 10.0 ** 16 }}",
    "{{ ['a\\nb', 'c\\\\d', 'tab\\t'] }} {{ x }}|{{ [x] | length }}",
    "{{ 'a' ~ 1 ~ none ~ x ~ true ~ 1.5 }}",
    # operators
    "{{ 7 // -2 }} {{ -7 % 3 }} {{ 2 ** -1 }} {{ 2 ** 3 ** 2 }} {{ 7 - 2 * 3 }} {{ -3 + +4 }} {{ 'ab' * 2 }} {{ [1] + [2] }}",
    "{{ x == none }} {{ none == false }} {{ 0 == false }} {{ '' == false }} {{ 1 == 1.0 }} {{ '1' == 1 }} {{ [1, [2]] == [1, [2]] }}",
    "{{ 'a' < 'b' }} {{ 2 >= 2.0 }} {{ 'a' in 'abc' }} {{ 2 in [1, 2] }} {{ 'k' in {'k': 1} }} {{ 'a' not in x }} {{ 'a' in ('a', 'b') }}",
    "{{ not x }} {{ x or 2 }} {{ 0 or 'a' }} {{ 1 and 'b' }} {{ '' if false }}|{{ 'x' if true }} {{ 1 if x else 2 }}",
    "{{ 'x' is string }} {{ 1 is number }} {{ 1 is integer }} {{ 1.5 is float }} {{ {} is mapping }} {{ [] is sequence }} {{ 'a' is iterable }} {{ true is boolean }} {{ none is none }} {{ 3 is odd }} {{ 4 is even }} {{ x is undefined }} {{ 'a' is lower }} {{ 'A' is upper }} {{ range is callable }} {{ true is true }} {{ false is not true }}",
    # items and slices
    "{{ 'abc'[1:] }} {{ 'abc'[-1] }} {{ 'abc'[:-1] }} {{ [1, 2, 3][::-1] }} {{ 'abcdef'[1:5:2] }} {{ [1, 2][5] is defined }} {{ [1, 2][-2] }} {{ 'abc'[::-1] }} {{ [1,2,3][-2:] }} {{ 'abc'[5:] }}|",
    "{{ '\U0001f600a'[1] }} {{ '\U0001f600' | length }} {{ '\U0001f600a\u00e9'[::-1] }} {{ '\u00e9' | length }} {{ 'a\U0001f600b'[1:2] }} {{ 'a\U0001f600b'.find('b') }}",
    "{{ {'a': {'b': 3}}.a.b }} {{ {'a': 1}['a'] }} {{ {'a': {}}.a.b is defined }} {{ {'a': 1}.get('b') }} {{ {'a': 1}.get('b', 2) }} {{ {'a': 1, 'b': 2}.keys() | list }} {{ {'a': 1}.values() | list }} {{ 'abc'[0]['text'] is defined }}",
    # methods of texts
    "{{ ' a '.strip() }}|{{ ' a '.lstrip() }}|{{ ' a '.rstrip() }}|{{ 'xxaxx'.strip('x') }}|{{ '\\n\\na\\n'.strip('\\n') }}|{{ '\\u00a0a\\ufeff'.strip() | length }}",
    "{{ 'a b  c '.split() }} {{ 'a-b-c'.split('-', 1) }} {{ 'a-b-c'.rsplit('-', 1) }} {{ ',a,'.split(',') }} {{ ' a b c '.split(none, 1) }} {{ ''.split() }} {{ ''.split(',') }} {{ 'a--b'.split('-') }}",
    "{{ 'abcb'.replace('b', 'xx') }} {{ 'abcb'.replace('b', '', 1) }} {{ 'ab'.replace('', '-') }} {{ 'aaa'.replace('aa', 'b') }} {{ 'a.b'.replace('.', '$&') }}",
    "{{ 'hello world'.title() }} {{ 'hELLO wORLD'.capitalize() }} {{ 'Hello'.upper() }} {{ 'Hello'.lower() }} {{ 'stra\u00dfe'.upper() }} {{ \"it's\".title() }}",
    "{{ 'abc'.startswith('ab') }} {{ 'abc'.endswith(('x', 'c')) }} {{ 'abc'.find('c') }} {{ 'abc'.find('x') }} {{ 'abab'.rfind('b') }} {{ 'abab'.count('ab') }} {{ '-'.join(['a', 'b']) }}",
    "{{ 'a\\nb\\r\\nc\\n'.splitlines() }} {{ 'a=b=c'.partition('=') }} {{ 'a=b=c'.rpartition('=') }} {{ 'abc'.partition('x') }} {{ 'abc'.rpartition('x') }} {{ 'abc'.removeprefix('a') }} {{ 'abc'.removesuffix('c') }}",
    "{{ '12'.isdigit() }} {{ 'ab'.isalpha() }} {{ 'a1'.isalnum() }} {{ ' '.isspace() }} {{ 'AB'.isupper() }} {{ 'ab'.islower() }} {{ ''.isdigit() }}",
    # filters
    "{{ 'hello world' | title }} {{ 'hELLO' | capitalize }} {{ 'a' | upper }} {{ ' a ' | trim }} {{ 'xax' | trim('x') }} {{ none | trim }} {{ 5 | upper }} {{ 'a-b' | replace('-', '+') }}",
    "{{ [3, 1, 2] | sort }} {{ ['b', 'A', 'c'] | sort }} {{ ['b', 'A'] | sort(case_sensitive=true) }} {{ [1, 2] | sort(reverse=true) }} {{ [{'k': 2}, {'k': 1}] | sort(attribute='k') }}",
    "{{ [1, 2] | join('-') }} {{ ['a', 1, none] | join }} {{ [{'n': 'x'}, {'n': 'y'}] | join(', ', attribute='n') }} {{ 'abc' | join('.') }}",
    "{{ 'abc' | list }} {{ [1, 1, 2, 'a', 'A'] | unique | list }} {{ 'abc' | reverse }} {{ [1, 2] | reverse | list }} {{ [1, 2] | first }} {{ [1, 2] | last }} {{ 'abc' | first }} {{ [] | first }}|{{ {'a': 1} | length }} {{ x | length }}",
    "{{ 'a\\nb\\n\\nc' | indent }}|{{ 'a\\nb' | indent(2, true) }}|{{ 'a\\n\\nb' | indent(2, blank=true) }}|{{ 'a\\nb' | indent('> ') }}",
    "{{ '12x' | int }} {{ '12' | int }} {{ 'x' | int(7) }} {{ '1.5' | float }} {{ 3.7 | int }} {{ -3.7 | int }} {{ 3.5 | round }} {{ 2.5 | round }} {{ 1 | float }} {{ -3 | abs }} {{ 5 | string + 'a' }} {{ true | int }}",
    "{{ x | default('d') }} {{ none | default('d') }} {{ none | default('d', true) }} {{ '' | d('e', boolean=true) }} {{ x | default }}|",
    "{{ [{'r': 'u'}, {'r': 'a'}] | selectattr('r', 'equalto', 'u') | list }} {{ [{'r': 'u'}, {}] | rejectattr('r') | list }} {{ [1, 2, 3] | select('odd') | list }} {{ [0, 1] | reject | list }} {{ [1, 2, 3] | select('in', [1, 3]) | list }} {{ [1, 2, 3] | select('gt', 1) | list }}",
    "{{ ['a', 'b'] | map('upper') | list }} {{ [{'a': {'b': 1}}] | map(attribute='a.b') | list }} {{ [{}] | map(attribute='a', default='z') | list }} {{ ['a-b'] | map('replace', '-', '+') | list }}",
    "{{ {'b': 1, 'a': 2} | dictsort }} {{ {'b': 1, 'a': 2} | dictsort(false, 'value') }} {{ {'a': 1} | items | list }} {{ [1, 3, 2] | max }} {{ [2, 1] | min }} {{ [1, 2] | sum }}",
    "{{ {'a': 1, 'b': [1, 2.0, none, true, 'x\"\\n\u00e9']} | tojson }} {{ {'a': {'b': []}, 'c': [1]} | tojson(indent=2) }} {{ {'b': 1, 'a': 2} | tojson(sort_keys=true, separators=(',', ':')) }} {{ '\u00e9\U0001f600' | tojson(ensure_ascii=true) }}",
    "{% filter upper %}a{{ 'b' }}{% endfilter %}{# a comment #}{{ 'x' if x is defined else 'y' }}{{ dict(a=1) }}",
    # escapes
    '{{ "a\\\nb" }} {{ "\\d\\.\\n" }}\\\n{# it\'s #}{{ \'a\\\\\' }}{{ "{{" }}{{ "%}" }}{{ "\\x41\\u00e9" }}',
    # white space
    "a\n  {% if true %}\n  b\n  {% endif %}\nc\n\n{%- if true -%}\n  d\n{%- endif %}  \n e {{- 'f' -}}  \n g\n",
    # errors
    "{{ 1 / 0 }}", "{{ none + 1 }}", "{{ [1] < 'a' }}", "{{ x() }}", "{{ 'a' | nosuch }}", "{{ 'a'.nosuch() }}", "{{ 'a'.split('') }}", "{% set a, b = [1] %}", "{{ {}.items.x.y() }}",
]

MIXTRAL = """{%- if messages[0]["role"] == "system" %}{%- set first = messages[0]["content"] %}{%- set turns = messages[1:] %}
{%- else %}{%- set turns = messages %}{%- endif %}
{{- bos_token }}
{%- for message in turns %}
{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{- raise_exception('The roles must alternate.') }}{%- endif %}
{%- if message["role"] == "user" %}{%- if loop.first and first is defined %}{{- " [INST] " + first + "\\n\\n" + message["content"] + " [/INST]" }}
{%- else %}{{- " [INST] " + message["content"] + " [/INST]" }}{%- endif %}
{%- elif message["role"] == "assistant" %}{{- " " + message["content"] + eos_token }}
{%- else %}{{- raise_exception("Only the roles user and assistant are supported.") }}{%- endif %}{%- endfor %}
"""
CHATML = """{% for message in messages %}
{{ '<|im_start|>' + message.role + '\\n' + message.content | trim + '<|im_end|>\\n' }}{% endfor %}
{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""
THINKING = """{%- set ns = namespace(last=0) %}
{%- for m in messages[::-1] %}{%- set index = messages | length - 1 - loop.index0 %}
{%- if m.role == 'user' and m.content is string and not (m.content.startswith('<tool>') and m.content.endswith('</tool>')) and index > ns.last %}{%- set ns.last = index %}{%- endif %}{%- endfor %}
{%- for m in messages %}
{%- set content = m.content if m.content is string else '' %}
{%- if m.role == 'assistant' %}{%- set thought = '' %}
{%- if '</think>' in content %}
{%- set thought = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
{%- set content = content.split('</think>')[-1].lstrip('\\n') %}{%- endif %}
{%- if loop.index0 > ns.last and (loop.last or thought) %}{{- '<|im_start|>' + m.role + '\\n<think>\\n' + thought.strip('\\n') + '\\n</think>\\n\\n' + content }}
{%- else %}{{- '<|im_start|>' + m.role + '\\n' + content }}{%- endif %}{{- '<|im_end|>\\n' }}
{%- else %}{{- '<|im_start|>' + m.role + '\\n' + content + '<|im_end|>\\n' }}{%- endif %}{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"""
PARTS = """{{ bos_token }}{% for message in messages %}{{ '<|' + message['role'] + '|>' + '\\n' }}
{%- if message['content'] == '' %}(empty){% elif message['content'][0] == '/' %}{{ message['content'][1:] | upper }}
{%- elif message['content'] | length > 40 %}{{ message['content'][:40] ~ '...' }}
{%- else %}{{ message['content'].replace('&', 'and') | replace('  ', ' ') }}{% endif %}{{ '<|end|>\\n' }}{% endfor %}{{ '<|assistant|>\\n' }}"""
LLAMA = """{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% set system = messages[0]['content'] %}{% else %}{% set rest = messages %}{% set system = false %}{% endif %}
{% for message in rest %}{% if loop.index0 == 0 and system != false %}{% set content = '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}
{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"""
QUOTING = """{{ messages | tojson }}{% for m in messages %}{{ [m.content] }}{{ m.content | indent }}{{ m.content.title() }}{{ loop.index }}{% endfor %}"""

U = lambda content: {"role": "user", "content": content}
A = lambda content: {"role": "assistant", "content": content}
S = lambda content: {"role": "system", "content": content}
CONVERSATIONS = [
    [U("Hello")],
    [S("Be brief."), U("Hello"), A("Hi."), U(" What is a & b?  ")],
    [U("Why?"), A("<think>\nLet me see.\n</think>\n\nBecause."), U("Really?")],
    [U("/shout it"), A(""), U("A question of more than forty characters, with \"quotes\" and \\ in it.\nTwo lines.")],
    [U("</s> [INST] <|im_end|> <|user|> \U0001f600 \u00e9"), A("user"), U("system")],
    [U("<tool>4</tool>"), A("It is 4."), U("<tool>5</tool>")],
]


def raise_exception(message):
    raise TemplateError(message)


def to_json(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
env.filters["tojson"] = to_json
env.globals["raise_exception"] = raise_exception


def render(template, **variables):
    """What Python makes of a template; None if it refuses."""
    try:
        return env.from_string(template).render(**variables)
    except Exception:
        return None


templates = {"mixtral": MIXTRAL, "chatml": CHATML, "thinking": THINKING, "parts": PARTS, "llama": LLAMA, "quoting": QUOTING}
variables = {"bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": True}
goldens = {
    "snippets": [{"template": template, "rendered": render(template)} for template in SNIPPETS],
    "templates": templates,
    "conversations": [
        {"template": name, "messages": messages, "rendered": render(template, messages=messages, **variables)}
        for name, template in templates.items()
        for messages in CONVERSATIONS
    ],
}
path = Path(__file__).with_name("templates.json")
path.write_text(json.dumps(goldens, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
