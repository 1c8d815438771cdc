/**
 * Loops that Tint, Chromium's compiler for WGSL, cannot prove finite get a 64-bit counter in the browser, and then
 * drivers neither unroll them nor overlap their loads. It accepts a loop whose variable is only stepped by 1, against a
 * constant. Overrides are constants by then. Every other loop has to be listed here, with the reason.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const SHADERS = join(import.meta.dirname, '../../../shaders');

/** A header that Tint accepts: `for (var i = START; i < CONSTANT; i++)`, or with a quotient of constants. */
const BOUNDED = /^for \(var (\w+) = [^;]+; \1 < (?:\d+u|[A-Z][A-Z0-9_]*)(?: \/ (?:\d+u|[A-Z][A-Z0-9_]*))?; \1\+\+\)$/;

/** Files that have loops of other forms, and why. */
const UNBOUNDED: Record<string, string> = {
  'attention_combine.wgsl': 'software adapters only',
  'attention_values.wgsl': 'software adapters only',
  'combine.wgsl': 'as many rows as a uniform says; two in Mixtral',
  'expert_gate_up_rows.wgsl': 'software adapters only',
  'expert_matmul_rows.wgsl': 'software adapters only',
  'lib/dot_rows.wgsl': 'software adapters only',
  'matmul_rows.wgsl': 'software adapters only',
  'rms_norm.wgsl': 'software adapters only',
  'sample.wgsl': 'one workgroup per token',
  'token_logprob.wgsl': 'one workgroup per token',
};

/** The headers of all loops of a shader, without comments. */
function loopsOf(code: string): string[] {
  const text = code.replace(/\/\/.*$/gm, '');
  const headers: string[] = [];
  for (const { index, 0: keyword } of text.matchAll(/\b(for|while|loop)\b/g)) {
    if (keyword !== 'for') headers.push(keyword);
    else headers.push(text.slice(index, closingParenthesis(text, text.indexOf('(', index)) + 1).replace(/\s+/g, ' '));
  }
  return headers;
}

function closingParenthesis(text: string, open: number): number {
  let depth = 0;
  for (let i = open; i < text.length; i++) {
    if (text[i] === '(') depth++;
    if (text[i] === ')' && --depth === 0) return i;
  }
  throw new Error('a parenthesis is not closed');
}

it('recognizes the forms of loops', () => {
  expect(loopsOf('for (var i = 0u; i < N; i++) { loop { break; } } // while')).toEqual([
    'for (var i = 0u; i < N; i++)',
    'loop',
  ]);
  for (const form of ['for (var i = f(a); i < 4u; i++)', 'for (var i = 0u; i < ITERATIONS; i++)']) {
    expect(form).toMatch(BOUNDED);
  }
  for (const form of [
    'for (var i = 0u; i < n; i++)',
    'for (var i = t; i < N; i += 4u)',
    'for (var i = N; i > 0u; i--)',
  ]) {
    expect(form).not.toMatch(BOUNDED);
  }
});

it('has no loops that Tint cannot bound, except the listed ones', () => {
  const files = readdirSync(SHADERS, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.wgsl'));
  expect(files.length).toBeGreaterThan(50);
  const found = files.filter((file) =>
    loopsOf(readFileSync(join(SHADERS, file), 'utf8')).some((header) => !BOUNDED.test(header)),
  );
  expect(found.sort()).toEqual(Object.keys(UNBOUNDED).sort());
});
