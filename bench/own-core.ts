/** Gives the software GPU a core of its own, as a real one has its own silicon. Linux only. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { browserProcesses } from './browser-memory.ts';

/** SwiftShader computes in threads that marl, its scheduler, names like this. */
const COMPUTES = /^Thread<\d+>/;

/**
 * Pins the threads in which the software GPU computes, of the browser that runs with `profile`, to the second core, and
 * everything else of the browser and of this process to the first. For when a device has been made; threads that start
 * later inherit from those that start them.
 */
export function giveGpuItsOwnCore(profile: string): void {
  for (const pid of [...browserProcesses(profile), process.pid]) {
    const gpu = readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('--type=gpu-process');
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      try {
        const computes = gpu && COMPUTES.test(readFileSync(`/proc/${pid}/task/${thread}/comm`, 'utf8'));
        execFileSync('taskset', ['--cpu-list', '--pid', computes ? '1' : '0', thread], { stdio: 'ignore' });
      } catch {
        // It has ended in the meantime.
      }
    }
  }
}
