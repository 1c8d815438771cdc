/**
 * Measures this machine's GPU without a browser: defines WebGPU with Dawn, then runs the bundle of
 * workers/measure/measure.ts beside this file. Plain JavaScript without dependencies, because it is packed for
 * machines without a network. `npm run bench:gpu` builds the bundle and starts this; docs/gpu-bench.md has the options.
 */
import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const FOLDER = dirname(fileURLToPath(import.meta.url));

const OPTIONS = {
  json: { type: 'string', default: 'gpu-report.json' },
  deadline: { type: 'string', default: '510' },
  grace: { type: 'string', default: '30' },
  tiny: { type: 'boolean' },
  layers: { type: 'string' },
  budget: { type: 'string' },
  steps: { type: 'string' },
  dawn: { type: 'string', default: '' },
  bundle: { type: 'string', default: join(FOLDER, 'measure.mjs') },
};

function readOptions() {
  try {
    return parseArgs({ options: OPTIONS }).values;
  } catch (error) {
    console.error(`${error.message}\nThe options are --${Object.keys(OPTIONS).join(', --')}: see docs/gpu-bench.md.`);
    process.exit(2);
  }
}

const values = readOptions();

/** Dawn as one file beside this one (a packed copy), or as the npm package. */
async function loadDawn() {
  const packed = join(FOLDER, 'dawn.node');
  if (existsSync(packed)) return createRequire(import.meta.url)(packed);
  return import('webgpu');
}

/** Dawn's flags: those of the command line, and the GPU's clock without rounding. */
const flags = ['enable-dawn-features=allow_unsafe_apis', 'disable-dawn-features=timestamp_quantization'];

async function defineWebGpu() {
  const { create, globals } = await loadDawn();
  Object.assign(globalThis, globals);
  const own = values.dawn.split(' ').filter(Boolean);
  const navigator = {
    gpu: create([...flags, ...own]),
    userAgent: `Node ${process.version}, Dawn ${own.join(' ')}`.trim(),
  };
  Object.defineProperty(globalThis, 'navigator', { value: navigator, configurable: true });
}

/** Only the whole file or none: the report is written again and again, and the run may be killed. */
function writeReport(report) {
  writeFileSync(`${values.json}.part`, `${JSON.stringify(report, null, 1)}\n`);
  renameSync(`${values.json}.part`, values.json);
}

const text = ({ name, variant, value, unit, share, text: words }) =>
  [
    `  ${name}${variant ? ` [${variant}]` : ''}:`,
    words ?? `${Number(value.toPrecision(4))} ${unit}`,
    ...(share === undefined ? [] : [`(${(share * 100).toFixed(1)} %)`]),
  ].join(' ');

/** Prints each step and figure once. */
function printer() {
  const printed = new Map();
  return (report) => {
    for (const { id, title, status, seconds, rows, problem } of report.steps) {
      const seen = printed.get(id) ?? { rows: -1, ended: false };
      if (seen.rows < 0) console.log(title);
      for (const row of rows.slice(Math.max(0, seen.rows))) console.log(text(row));
      const ended = status !== 'running';
      if (ended && !seen.ended)
        console.log(`  ${status} after ${seconds.toFixed(1)} s${problem ? `: ${problem}` : ''}`);
      printed.set(id, { rows: rows.length, ended });
      if (ended && !seen.ended) writeReport(report);
    }
  };
}

const number = (name, input) => {
  const value = Number(input);
  if (input === undefined || value > 0) return value;
  throw new Error(`--${name} is ${input}; it must be a number above 0.`);
};

/** The steps to run. @param all ids of all steps */
function stepsOf(input, all) {
  const steps = input.split(',');
  const unknown = steps.find((step) => !all.includes(step));
  if (unknown === undefined) return steps;
  throw new Error(`--steps names "${unknown}", which is no step. The steps are ${all.join(', ')}.`);
}

/** Ends the run if something never ends, as a GPU that has stopped does. The report has what there is until then. */
function endAfter(seconds, reportSoFar) {
  setTimeout(() => {
    const report = reportSoFar();
    const running = report?.steps.find(({ status }) => status === 'running');
    if (running) Object.assign(running, { status: 'cut', problem: 'The GPU did not finish in time.' });
    if (report) writeReport(report);
    console.error(`The run ends after ${seconds} s. ${report ? `The report so far is in ${values.json}.` : ''}`);
    process.exit(1);
  }, seconds * 1000);
}

async function main() {
  const { measure, STEP_IDS } = await import(pathToFileURL(values.bundle).href);
  const options = {
    deadlineSeconds: number('deadline', values.deadline),
    ...(values.tiny !== undefined && { tiny: values.tiny }),
    ...(values.layers && { layers: number('layers', values.layers) }),
    ...(values.budget && { gpuBudgetBytes: number('budget', values.budget) * 1e9 }),
    ...(values.steps && { steps: stepsOf(values.steps, STEP_IDS) }),
  };
  await defineWebGpu();
  let last;
  endAfter(options.deadlineSeconds + number('grace', values.grace), () => last);
  const print = printer();
  const onReport = (report) => {
    last = report;
    print(report);
  };
  const report = await measure({ options, signal: new AbortController().signal, onReport });
  writeReport(report);
  console.log(`The report is in ${values.json}.`);
  if (report.correct === false) throw new Error('Kernels compute wrong values on this GPU.');
  if (report.steps.some(({ status }) => status === 'failed')) process.exitCode = 1;
}

try {
  await main();
} catch (error) {
  console.error(error.message);
  if (error.remedy) console.error(error.remedy);
  if (error.code === 'webgpu-no-adapter') {
    console.error(
      'Dawn found no Vulkan, Metal or Direct3D 12 device. On Linux it needs libvulkan.so.1 and a driver: see what ' +
        '`VK_LOADER_DEBUG=all` prints, or name one with VK_DRIVER_FILES=/usr/share/vulkan/icd.d/NAME.json.',
    );
  }
  process.exitCode = 1;
}
// Dawn keeps a thread that waits for the device.
process.exit();
