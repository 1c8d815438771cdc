/** Gives the software GPU a core of its own, as a real one has its own silicon. Linux only. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { browserProcesses } from './browser-memory.ts';

/**
 * Pins the GPU process of the browser that runs with `profile` to the second core, everything else of the browser and this
 * process to the first. Threads that start later inherit it.
 */
export function giveGpuItsOwnCore(profile: string): void {
  const isGpu = (pid: number): boolean => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('--type=gpu-process');
  for (const pid of [...browserProcesses(profile), process.pid]) {
    execFileSync('taskset', ['--all-tasks', '--cpu-list', '--pid', isGpu(pid) ? '1' : '0', String(pid)], { stdio: 'ignore' });
  }
}
