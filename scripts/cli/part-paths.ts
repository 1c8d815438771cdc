/** Finds the files of a split model on disk. */
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { parsePieceName, parseSplitName, pieceName, splitName } from '../../workers/format/gguf/split.ts';

/** Returns the existing files of the model that `path` belongs to. The name of `path` says how many parts there are. */
export function partPaths(path: string): string[] {
  const all = partNames(basename(path)).map((name) => join(dirname(path), name));
  return all.length === 0 ? [path] : all.filter((part) => part === path || existsSync(part));
}

function partNames(name: string): string[] {
  const numbers = (count: number): number[] => Array.from({ length: count }, (_, n) => n + 1);
  const split = parseSplitName(name);
  if (split) return numbers(split.count).map((part) => splitName({ ...split, part }));
  const cut = parsePieceName(name);
  return cut ? numbers(cut.count ?? 26).map((piece) => pieceName({ ...cut, piece })) : [];
}
