/** Memory of a running Chromium: proportional set size of all its processes, sampled while something runs. Linux only. */
import { readdirSync, readFileSync } from 'node:fs';
import type { Bytes } from '../src/contract/ids.ts';

/** Process ids of the browser started with `profile`, and of all its children. */
export function browserProcesses(profile: string): number[] {
  const parents = new Map<number, number>();
  const roots: number[] = [];
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    try {
      // The command name, in brackets, may hold blanks: what follows the last bracket is safe to split.
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      parents.set(pid, Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      if (command.includes(profile) && !command.includes('--type=')) roots.push(pid);
    } catch {
      // It has ended in the meantime.
    }
  }
  const all = new Set(roots);
  for (let grown = true; grown; ) {
    grown = false;
    for (const [pid, parent] of parents) {
      if (all.has(parent) && !all.has(pid)) {
        all.add(pid);
        grown = true;
      }
    }
  }
  return [...all];
}

/** Bytes of main memory that the browser takes now, its share of shared pages included. */
export function browserMemory(profile: string): Bytes {
  let kilobytes = 0;
  for (const pid of browserProcesses(profile)) {
    try {
      kilobytes += Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0);
    } catch {
      // It has ended in the meantime.
    }
  }
  return kilobytes * 1024;
}

/** Runs `work` and samples the memory twice a second. */
export async function peakMemory<T>(profile: string, work: () => Promise<T>): Promise<{ result: T; peakBytes: Bytes }> {
  let peakBytes = browserMemory(profile);
  const timer = setInterval(() => {
    peakBytes = Math.max(peakBytes, browserMemory(profile));
  }, 500);
  try {
    return { result: await work(), peakBytes };
  } finally {
    clearInterval(timer);
  }
}
