import type { Bytes } from './ids.ts';

/** `1234567` as `1.2 MB`: powers of ten, as disks and GGUF listings count. */
export function formatBytes(bytes: Bytes): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), units.length - 1);
  return power === 0 ? `${bytes} bytes` : `${(bytes / 1000 ** power).toFixed(1)} ${units[power]}`;
}
