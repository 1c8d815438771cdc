/** Measures the memory of a running Chromium: the proportional set size of all its processes. Linux only. */
import { readdirSync, readFileSync } from 'node:fs';
import type { Bytes } from '../src/contract/ids.ts';

/** Returns the process ids of the browser started with `profile` and of all its descendants. */
export function browserProcesses(profile: string): number[] {
  const parents = new Map<number, number>();
  const roots: number[] = [];
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    try {
      // The command name in parentheses can contain spaces, so only the text after the last parenthesis is split.
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      parents.set(pid, Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      if (command.includes(profile) && !command.includes('--type=')) roots.push(pid);
    } catch {
      // The process has ended in the meantime.
    }
  }
  const all = new Set(roots);
  for (let changed = true; changed; ) {
    changed = false;
    for (const [pid, parent] of parents) {
      if (all.has(parent) && !all.has(pid)) {
        all.add(pid);
        changed = true;
      }
    }
  }
  return [...all];
}

/** Returns the browser's main memory in bytes, including its share of shared pages. */
export function browserMemory(profile: string): Bytes {
  let kilobytes = 0;
  for (const pid of browserProcesses(profile)) {
    try {
      kilobytes += Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0);
    } catch {
      // The process has ended in the meantime.
    }
  }
  return kilobytes * 1024;
}

/** Returns the browser's resident memory without files, in kilobytes. Memory that processes share counts in each. */
function residentKilobytes(profile: string): number {
  let kilobytes = 0;
  for (const pid of browserProcesses(profile)) {
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      for (const [, size] of status.matchAll(/^Rss(?:Anon|Shmem):\s+(\d+)/gm)) kilobytes += Number(size);
    } catch {
      // The process has ended in the meantime.
    }
  }
  return kilobytes;
}

/**
 * Runs `work` and watches the browser's memory. The proportional set size is measured at both ends, and whenever resident
 * memory has grown by a hundredth: the kernel visits every page for it, which took a fifth of a core for 15 GB when it was
 * measured twice per second.
 */
export async function peakMemory<T>(profile: string, work: () => Promise<T>): Promise<{ result: T; peakBytes: Bytes }> {
  let peakBytes = browserMemory(profile);
  let resident = residentKilobytes(profile);
  const timer = setInterval(() => {
    const now = residentKilobytes(profile);
    if (now < resident * 1.01) return;
    resident = now;
    peakBytes = Math.max(peakBytes, browserMemory(profile));
  }, 500);
  try {
    const result = await work();
    return { result, peakBytes: Math.max(peakBytes, browserMemory(profile)) };
  } finally {
    clearInterval(timer);
  }
}
