/** `npm run bench:gpu` on a software adapter, from the bundle to the report. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundle } from '../../scripts/bench-gpu.mjs';
import { TEST_MS } from '../../scripts/test-limits.mjs';
import { softwareVulkan } from '../../scripts/vulkan.mjs';
import type { MeasureReport, MeasureStep } from '../../src/contract/measure-api.ts';

const folder = mkdtempSync(join(tmpdir(), 'mixtab-bench-gpu-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Result {
  status: number | null;
  output: string;
  report: MeasureReport | undefined;
}

const run = (...options: string[]): Result => runBundle('measure.mjs', ...options);

function runBundle(file: string, ...options: string[]): Result {
  const json = join(folder, `${options.join('') || 'all'}.json`);
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['bench/gpu/run.mjs', '--bundle', join(folder, file), '--tiny', '--json', json, ...options],
    { encoding: 'utf8', env: { ...process.env, ...softwareVulkan() }, timeout: 0.9 * TEST_MS },
  );
  let report: MeasureReport | undefined;
  try {
    report = JSON.parse(readFileSync(json, 'utf8'));
  } catch {} // there is none if the run failed
  return { status, output: stdout + stderr, report };
}

describe('npm run bench:gpu on a software adapter', () => {
  let result: ReturnType<typeof run>;
  beforeAll(async () => {
    await bundle(folder);
    result = run();
  });

  const stepOf = (id: string): MeasureStep => result.report!.steps.find((step) => step.id === id)!;
  const figureOf = (id: string, name: string): number =>
    stepOf(id).rows.find((row) => row.name === name && row.variant === undefined)!.value;

  it('finishes every step', () => {
    expect(result.output).toContain('The report is in');
    expect(result.status).toBe(0);
    expect(result.report!.steps.map(({ id, status, problem }) => [id, status, problem])).toEqual(
      result.report!.steps.map(({ id }) => [id, 'done', undefined]),
    );
    expect(result.report!.adapter.software).toBe(true);
  });

  it('finds the kernels correct, also of variants', () => {
    const { rows } = stepOf('correctness');
    expect(result.report!.correct).toBe(true);
    expect(rows.every(({ value }) => value <= 1)).toBe(true);
    expect(rows.some(({ value }) => value > 0)).toBe(true);
    expect(rows.some(({ variant }) => variant?.startsWith('vector='))).toBe(true);
    expect(rows.some(({ variant }) => variant?.startsWith('batch='))).toBe(true);
    for (const name of ['router', 'sum of experts and norm']) {
      expect(rows).toContainEqual(expect.objectContaining({ name, variant: 'between=fused', value: 0 }));
    }
    const numbers = ['pack2x16float rounds', 'subnormal f32', 'subnormal f16'];
    for (const name of numbers) expect(rows.find((row) => row.name === name)?.text).toBeTruthy();
    expect(rows.find(({ name }) => name === 'exp')?.value).toBeGreaterThan(0);
    for (const name of ['greedy sampler', 'sampler of a chat']) {
      expect(rows).toContainEqual(expect.objectContaining({ name, variant: 'sampler=blocks', value: 0 }));
    }
  });

  it('relates matrix products to the ceilings', () => {
    expect(figureOf('ceilings', 'read bandwidth')).toBeGreaterThan(0);
    const rows = stepOf('token-matrices').rows;
    expect(rows.length).toBeGreaterThan(3);
    expect(rows.every(({ share }) => share! > 0)).toBe(true);
    const between = stepOf('token-operations').rows.filter(({ variant }) => variant === 'between=fused');
    expect(between.map(({ name }) => name)).toEqual(['norm, router matrix and router', 'combine and next norm']);
    expect(stepOf('prompt-matrices').rows.every(({ share }) => share! > 0)).toBe(true);
  });

  it('runs the engine with all experts, and with a part of them', () => {
    expect(figureOf('engine', 'resident experts')).toBe(1);
    expect(figureOf('engine', 'dispatches per token')).toBeGreaterThan(10);
    expect(figureOf('engine', 'decode, greedy')).toBeGreaterThan(0);
    const engine = stepOf('engine').rows;
    expect(engine.find(({ name }) => name === 'kernels')?.text).toContain('sampler=single');
    const decode = engine.find(({ name }) => name === 'decode, greedy')!;
    const gigabytes = decode.value * figureOf('engine', 'weights of a token');
    expect(decode.share! / (gigabytes / figureOf('ceilings', 'read bandwidth'))).toBeCloseTo(1, 6);
    expect(engine.find(({ name }) => name === 'prompt of 24')?.share).toBeGreaterThan(0);
    expect(stepOf('tight-budget').rows.find(({ name }) => name === 'uploads')?.text).toMatch(/^(ring|write)$/);
    expect(stepOf('engine').rows.some(({ name }) => name.startsWith('profile: '))).toBe(true);
    const resident = figureOf('tight-budget', 'resident experts');
    expect(resident).toBeGreaterThan(0.25);
    expect(resident).toBeLessThan(1);
    expect(figureOf('tight-budget', 'uploads per token')).toBeGreaterThan(0);
  });

  it('ends after the deadline even if the GPU never does, and keeps the figures of the step', () => {
    const row = { name: 'submit and wait', value: 1, unit: 'ms' };
    const step = { id: 'ceilings', title: 'Ceilings', status: 'running', seconds: 1, rows: [row] };
    writeFileSync(
      join(folder, 'endless.mjs'),
      `export const measure = ({ onReport }) => { onReport({ steps: [${JSON.stringify(step)}] }); return new Promise(() => {}); };`,
    );
    const { report, status, output } = runBundle('endless.mjs', '--deadline', '0.1', '--grace', '0.1');
    expect(status).toBe(1);
    expect(report!.steps).toEqual([{ ...step, status: 'cut', problem: 'The GPU did not finish in time.' }]);
    expect(output).toContain('The report so far is in');
  });

  it.each([
    [['--tinny'], 2, /Unknown option '--tinny'[\s\S]*--json, --deadline/],
    [['--steps', 'adapter,engines'], 1, /"engines", which is no step\. The steps are adapter, correctness, /],
    [['--deadline', 'soon'], 1, /--deadline is soon; it must be a number above 0/],
  ])('refuses %s with the reason', (options, expected, reason) => {
    const { status, output, report } = run(...options);
    expect(output).toMatch(reason);
    expect(output).not.toMatch(/^ {4}at /m); // no stack
    expect(status).toBe(expected);
    expect(report).toBeUndefined();
  });

  it('skips what comes after the deadline, and still writes the report', () => {
    const { report, status } = run('--deadline', '0.001');
    expect(status).toBe(0);
    expect(report!.steps[0].status).toBe('skipped');
    expect(report!.steps.at(-1)).toMatchObject({ id: 'again', status: 'skipped', problem: 'The time was over.' });
  });
});
