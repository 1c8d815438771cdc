/** Gives the software GPU its own core, as a real GPU would not compete with the CPU. Linux only. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { browserProcesses } from './browser-memory.ts';

/** Names of SwiftShader's compute threads, given by its scheduler marl. */
const COMPUTE_THREAD = /^Thread<\d+>/;

/**
 * Pins the compute threads of the software GPU to the second core, and all other threads of the browser with `profile`
 * and of this process to the first. Call it after a device has been created. Later threads inherit their parent's core.
 */
export function giveGpuItsOwnCore(profile: string): void {
  for (const pid of [...browserProcesses(profile), process.pid]) {
    const gpu = readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('--type=gpu-process');
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      try {
        const computes = gpu && COMPUTE_THREAD.test(readFileSync(`/proc/${pid}/task/${thread}/comm`, 'utf8'));
        execFileSync('taskset', ['--cpu-list', '--pid', computes ? '1' : '0', thread], { stdio: 'ignore' });
      } catch {
        // The thread has ended in the meantime.
      }
    }
  }
}
