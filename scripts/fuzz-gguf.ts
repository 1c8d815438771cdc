/**
 * Imports mutated GGUF files: `npx tsx scripts/fuzz-gguf.ts [--files 100000] [--seed 1] [--first 0]`.
 *
 * Prints how the files ended, the slowest of them, and the memory at each tenth of the way. Exits with 1 if a file
 * ended with anything but a model or a `gguf-` error, took more than a second of processor time, or if memory kept
 * growing. To repeat one file, use its number as `--first` with `--files 1`.
 */
import { parseArgs } from 'node:util';
import { fuzzImports, MAX_ADDED_MB, memoryInUse } from './fuzz/import-fuzz.ts';

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { files: { type: 'string' }, seed: { type: 'string' }, first: { type: 'string' } },
  });
  const [count, seed, first] = [Number(values.files ?? 100_000), Number(values.seed ?? 1), Number(values.first ?? 0)];
  const outcomes = new Map<string, number>();
  const faults: string[] = [];
  const memory: number[] = [];
  let slowest = { number: first, seconds: 0 };
  await fuzzImports({ seed, first, count }, (number, { outcome, fault }, seconds) => {
    if (seconds > slowest.seconds) slowest = { number, seconds };
    if (fault !== undefined) faults.push(`file ${number}: ${fault}`);
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    if ((number - first + 1) % Math.ceil(count / 10) === 0) {
      memory.push(memoryInUse());
      const resident = Math.round(process.memoryUsage().rss / 1e6);
      console.log(
        `${number - first + 1} files, ${memory.at(-1)} MB in use, ${resident} MB resident, ${faults.length} faults`,
      );
    }
  });
  const added = memory.length > 1 ? memory[memory.length - 1] - memory[0] : 0;
  if (added > MAX_ADDED_MB) faults.push(`memory grew by ${added} MB`);
  console.log(Object.fromEntries([...outcomes].sort(([, a], [, b]) => b - a)));
  console.log(`slowest: file ${slowest.number}, ${slowest.seconds.toFixed(2)} s`);
  for (const fault of faults.slice(0, 20)) console.error(fault);
  process.exitCode = faults.length > 0 ? 1 : 0;
}

void main();
