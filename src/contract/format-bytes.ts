import type { Bytes } from './ids.ts';

/**
 * Formats a size for people: `999` as `1 kB`, `2500000` as `2.5 MB`, `23700000` as `24 MB`, `26.4e9` as `26.4 GB`.
 * Units are powers of ten, as for disks and in lists of GGUF files. Kilobytes are rounded up.
 */
export function formatBytes(bytes: Bytes): string {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(1)} GB`;
  if (bytes >= 1e6) return `${(bytes / 1e6).toFixed(bytes >= 1e7 ? 0 : 1)} MB`;
  return `${Math.ceil(bytes / 1e3)} kB`;
}
