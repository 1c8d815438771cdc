/** CPU time of the browsers that this process has started, from Linux's /proc. It varies less than the wall time. */
import { readdirSync, readFileSync } from 'node:fs';

/** `sysconf(_SC_CLK_TCK)` of every Linux that Chromium runs on. */
const TICKS_PER_SECOND = 100;

interface Process {
  pid: number;
  parent: number;
  name: string;
  ticks: number;
}

/** Fields of proc(5), `/proc/pid/stat`: the name is in parentheses and may contain any character. */
function parseStat(pid: number, stat: string): Process {
  const close = stat.lastIndexOf(')');
  const fields = stat.slice(close + 2).split(' ');
  const [utime, stime, cutime, cstime] = fields.slice(11, 15).map(Number);
  return {
    pid,
    parent: Number(fields[1]),
    name: stat.slice(stat.indexOf('(') + 1, close),
    ticks: utime + stime + cutime + cstime, // the latter two are of children that have ended
  };
}

function processes(): Process[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        return [parseStat(Number(name), readFileSync(`/proc/${name}/stat`, 'utf8'))];
      } catch {
        return []; // it has ended meanwhile
      }
    });
}

/** User and system time of all Chromium processes below this one so far, in seconds. */
export function browserCpuSeconds(): number {
  const all = processes();
  const family = new Set([process.pid]);
  for (let size = 0; size < family.size; ) {
    size = family.size;
    for (const { pid, parent } of all) if (family.has(parent)) family.add(pid);
  }
  const ours = all.filter(({ pid, name }) => family.has(pid) && /chrom|headless/i.test(name));
  return ours.reduce((sum, { ticks }) => sum + ticks, 0) / TICKS_PER_SECOND;
}
