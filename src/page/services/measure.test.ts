import { beforeEach, expect, it, vi } from 'vitest';
import type { MeasureReport } from '../../contract/measure-api.ts';

const client = vi.hoisted(() => ({
  api: { measure: vi.fn(), stop: vi.fn(async () => {}) },
  close: vi.fn(),
}));
vi.mock('../../connect/measure-client.ts', () => ({ createMeasureClient: () => client }));
const { MixtabError } = await import('../../contract/errors.ts');
const { measureGpu, stopMeasuring } = await import('./measure.ts');
const { measureReport, measuring, stoppingMeasurement } = await import('../state/measurement.ts');
const { problem } = await import('../state/notices.ts');

const stepWith = (status: MeasureReport['steps'][number]['status']): MeasureReport['steps'][number] => ({
  id: 'kernels',
  title: 'Kernels',
  status,
  seconds: 1,
  rows: [{ name: 'copy', unit: 'GB/s', value: 3 }],
});
const reportOf = (...steps: MeasureReport['steps']): MeasureReport => ({
  version: 1,
  program: 'test',
  options: { tiny: true, deadlineSeconds: 1, layers: 1 },
  adapter: {} as MeasureReport['adapter'],
  steps,
});

beforeEach(() => {
  vi.useFakeTimers();
  vi.clearAllMocks();
  problem.value = undefined;
  return () => vi.useRealTimers();
});

it('says that it is stopping until the current figure has ended, and stops once', async () => {
  let end: (report: MeasureReport) => void = () => {};
  client.api.measure.mockImplementation(() => new Promise((resolve) => (end = resolve)));
  const measured = measureGpu();
  expect([measuring.value, stoppingMeasurement.value]).toEqual([true, false]);
  stopMeasuring();
  stopMeasuring();
  expect(client.api.stop).toHaveBeenCalledTimes(1);
  expect([measuring.value, stoppingMeasurement.value]).toEqual([true, true]);
  const report = reportOf(stepWith('cut'));
  end(report);
  await measured;
  expect([measuring.value, stoppingMeasurement.value]).toEqual([false, false]);
  expect(measureReport.value).toEqual(report);
  expect(client.close).toHaveBeenCalledTimes(1);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(client.close).toHaveBeenCalledTimes(1); // the next measurement is left alone
});

it('ends the worker if the GPU does not answer after a stop, and keeps the figures', async () => {
  let fail: (error: Error) => void = () => {};
  client.api.measure.mockImplementation((_options: unknown, onReport: (report: MeasureReport) => void) => {
    onReport(reportOf(stepWith('done'), stepWith('running')));
    return new Promise((_resolve, reject) => (fail = reject));
  });
  client.close.mockImplementation(() => fail(new MixtabError('aborted', 'The worker was closed.', '')));
  const measured = measureGpu();
  stopMeasuring();
  await vi.advanceTimersByTimeAsync(19_000);
  expect(client.close).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(2000);
  await measured;
  expect(measuring.value).toBe(false);
  expect(measureReport.value!.steps.map(({ status, rows }) => [status, rows.length])).toEqual([
    ['done', 1],
    ['cut', 1],
  ]);
  expect(problem.value).toBeUndefined();
});
