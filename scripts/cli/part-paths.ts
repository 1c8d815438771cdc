/** The parts of a split model on the disk. */
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { parseSplitName, splitName } from '../../workers/gguf/split.ts';

/** The files beside `path` that its name says are its model's parts, itself included; missing ones are left out. */
export function partPaths(path: string): string[] {
  const name = parseSplitName(basename(path));
  if (!name) return [path];
  const all = Array.from({ length: name.count }, (_, n) => join(dirname(path), splitName({ ...name, part: n + 1 })));
  return all.filter((part) => part === path || existsSync(part));
}
