/** Transfer rate over the last seconds. A mean since the start would hide a network that has become slow. Pure. */

/** The rate is measured over this time. */
const WINDOW_MS = 8000;

/** The samples from which the rate is computed. */
export interface Rate {
  /** Bytes transferred in total at a time in milliseconds. Oldest first; the first is at most one window old. */
  samples: { at: number; bytes: number }[];
}

/** A rate without samples. */
export const newRate = (): Rate => ({ samples: [] });

/** @param bytes transferred in total  @param at time in milliseconds */
export function addSample({ samples }: Rate, bytes: number, at: number): Rate {
  const kept = samples.filter((sample) => at - sample.at <= WINDOW_MS);
  return { samples: [...(kept.length > 0 ? kept : samples.slice(-1)), { at, bytes }] };
}

/** Bytes per second; undefined until the samples span 200 ms. */
export function bytesPerSecond({ samples }: Rate): number | undefined {
  const [first, last] = [samples[0], samples.at(-1)];
  if (!first || !last || last.at - first.at < 200) return undefined;
  return ((last.bytes - first.bytes) * 1000) / (last.at - first.at);
}
