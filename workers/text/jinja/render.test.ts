import { describe, expect, it } from 'vitest';
import { Budget } from './budget.ts';
import { formatDate } from './globals.ts';
import { parseTemplate, render as renderText } from './render.ts';
import { List, type Value } from './values.ts';

const render = (template: string, variables: Record<string, Value> = {}, budget = new Budget()): string =>
  renderText(parseTemplate(template), variables, budget).plain;

/** Renders with a tenth of the budget, so that the tests of attacks are quick. */
const attack = (template: string): string => render(template, {}, new Budget(200_000, 2_400_000));

describe('render', () => {
  it('provides the globals that templates use', () => {
    expect(render('{% for i in range(3) %}{{ i }}{% endfor %}')).toBe('012');
    expect(render('{% for i in range(5, 0, -2) %}{{ i }}{% endfor %}')).toBe('531');
    expect(render('{% for i in range(2, 2) %}{{ i }}{% endfor %}')).toBe('');
    expect(render('{% if x is not defined and not false and none is none %}yes{% endif %}')).toBe('yes');
    expect(
      render('{% set ns = namespace(n=0) %}{% for m in all %}{% set ns.n = ns.n + m %}{% endfor %}{{ ns.n }}', {
        all: new List([1, 2]),
      }),
    ).toBe('3');
    expect(() => render("{{ raise_exception('No.') }}")).toThrow(/^No\.$/);
  });

  it('ends endless loops', () => {
    const loop = '{% for i in range(999) %}';
    expect(() => attack(`${loop}${loop}${loop}{% endfor %}{% endfor %}{% endfor %}`)).toThrow(/too long/);
    expect(() => render('{% for i in range(1000000000) %}{% endfor %}')).toThrow(/too long/);
    expect(() => render('{{ range(0, 9, 0) }}')).toThrow(/too long/);
  });

  it('ends texts that keep doubling and macros that call themselves', () => {
    expect(() =>
      render("{% set ns = namespace(s='aa') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}"),
    ).toThrow(/characters/);
    expect(() => render('{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}')).toThrow(/nested too deeply/);
  });

  it('ends the attack that took 90 s and 2.3 GB, within the whole budget', () => {
    const lists = '{% for i in range(30) %}{% set ns.l = [ns.l, ns.l, ns.l, ns.l] %}{% endfor %}';
    expect(() => render(`{% set ns = namespace(l=range(9000)) %}${lists}{{ ns.l | tojson | length }}`)).toThrow(
      /too many characters|too long/,
    );
  });

  // Each of these passed the earlier limits, which looked at one value at a time.
  it.each([
    ['tojson', '{{ ns.l | tojson | length }}'],
    ['output', '{{ ns.l }}'],
    ['join', "{{ ns.l | join('') }}"],
    ['string', '{{ (ns.l | string) ~ ns.l }}'],
    ['comparison', '{{ ns.l == ns.m }}'],
    ['membership', '{{ 1 in ns.l or ns.m in [ns.l] }}'],
    ['unique', '{{ ([ns.l, ns.m] | unique | list) | length }}'],
  ])('ends %s of lists that contain lists, each four times the one before', (_what, use) => {
    const lists = `{% set ns = namespace(l=range(9000), m=range(9000)) %}{% for i in range(30) %}
      {% set ns.l = [ns.l, ns.l, ns.l, ns.l] %}{% set ns.m = [ns.m, ns.m, ns.m, ns.m] %}{% endfor %}`;
    expect(() => attack(lists + use)).toThrow(/too long|too many characters|too deeply/);
  });

  it('ends a namespace that contains itself', () => {
    const cycle = '{% set ns = namespace() %}{% set ns.self = [ns, ns] %}';
    expect(() => attack(`${cycle}{{ ns }}`)).toThrow(/too deeply|too long/);
    expect(() => attack(`${cycle}{{ ns | tojson }}`)).toThrow(/too deeply|too long/);
  });

  it.each([
    "{% for i in range(9999) %}{% set parts = s.split('a') %}{% endfor %}",
    "{% for i in range(9999) %}{% set t = s | replace('a', 'bbbb') %}{% endfor %}",
    '{% for i in range(9999) %}{% set t = s | upper %}{% endfor %}',
    '{% for i in range(9999) %}{% set t = s | list | sort %}{% endfor %}',
    "{% for i in range(9999) %}{% if 'ab' in s %}{% endif %}{% endfor %}",
    '{% for i in range(9999) %}{{ s[::-1] }}{% endfor %}',
    "{{ 'a' * 1000000000 }}",
    '{{ [0] * 1000000000 }}',
  ])('ends %s for a long text s', (template) => {
    const long =
      "{% set ns = namespace(s='aa') %}{% for i in range(16) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{% set s = ns.s %}";
    expect(() => attack(long + template)).toThrow(/too long|too many characters/);
  });

  it('ends loops in loops by the hundred, numbers of a million digits and endless lists of prefixes', () => {
    const depth = 300;
    const loops = '{% for i in [1] %}'.repeat(depth) + '{{ x }}' + '{% endfor %}'.repeat(depth);
    expect(() => attack(loops)).toThrow(/too deeply/);
    const digits = "{% set ns = namespace(s='11') %}{% for i in range(16) %}{% set ns.s = ns.s + ns.s %}{% endfor %}";
    expect(attack(`${digits}{{ (ns.s + 'x') | float }}{{ ns.s | int }}`)).toBe('0.00');
    expect(() => attack(`${digits}{{ ns.s.startswith([ns.s + 'x'] * 999) }}`)).toThrow(/too long/);
    expect(attack(`${digits}{{ ns.s.find(ns.s + 'x') }}{{ ns.s.count('1' * 100) }}`)).toBe('-11310');
  });

  it('refuses templates that take long to parse', () => {
    expect(() => render(' '.repeat(5000))).toThrow(/too many blanks/);
    expect(() => render('x'.repeat(300_000))).toThrow(/more than 262144 characters/);
    expect(() => render(`{{ ${'('.repeat(100_000)} }}`)).toThrow();
  });

  it('gives templates no access to JavaScript', () => {
    for (const path of ["''.constructor", 'range.constructor', 'messages.__proto__', "''['constructor']"]) {
      expect(render(`{{ ${path} is defined }}`, { messages: new List([]) })).toBe('False');
    }
  });
});

describe('formatDate', () => {
  it('writes English names and two digits', () => {
    expect(formatDate(new Date(2026, 2, 5, 7, 8, 9), '%A, %d %B %Y %H:%M:%S %b %a %m 100%%')).toBe(
      'Thursday, 05 March 2026 07:08:09 Mar Thu 03 100%',
    );
  });
});
