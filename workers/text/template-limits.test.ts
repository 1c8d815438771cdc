import { Template } from '@huggingface/jinja';
import { describe, expect, it } from 'vitest';
import { formatDate, renderLimited } from './template-limits.ts';

const render = (template: string, variables = {}) => renderLimited(new Template(template), variables, 300);

describe('renderLimited', () => {
  it('provides the globals that templates use', () => {
    expect(render('{% for i in range(3) %}{{ i }}{% endfor %}')).toBe('012');
    expect(render('{% for i in range(5, 0, -2) %}{{ i }}{% endfor %}')).toBe('531');
    expect(render('{% for i in range(2, 2) %}{{ i }}{% endfor %}')).toBe('');
    expect(render('{% if x is not defined and not false and none is none %}yes{% endif %}')).toBe('yes');
    expect(
      render('{% set ns = namespace(n=0) %}{% for m in all %}{% set ns.n = ns.n + m %}{% endfor %}{{ ns.n }}', {
        all: [1, 2],
      }),
    ).toBe('3');
    expect(() => render("{{ raise_exception('No.') }}")).toThrow(/^No\.$/);
  });

  it('ends endless loops', () => {
    const loop = '{% for i in range(9999) %}';
    expect(() => render(`${loop}${loop}${loop}{% endfor %}{% endfor %}{% endfor %}`)).toThrow(/too long/);
    expect(() => render('{% for i in range(1000000000) %}{% endfor %}')).toThrow(/too long/);
    expect(() => render('{{ range(0, 9, 0) }}')).toThrow(/too long/);
  });

  it('ends texts that keep doubling and macros that call themselves', () => {
    expect(() =>
      render("{% set ns = namespace(s='aa') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}"),
    ).toThrow(/characters/);
    expect(() => render('{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}')).toThrow();
  });

  it('gives templates no access to JavaScript', () => {
    for (const path of ["''.constructor", 'range.constructor', 'messages.__proto__', "''['constructor']"]) {
      expect(render(`{{ ${path} is defined }}`, { messages: [] })).toBe('false');
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
