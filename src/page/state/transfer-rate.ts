/** How fast bytes come, over the last seconds: a mean since the start would hide a network that has become slow. Pure. */
const WINDOW_MS = 8000;

export interface Rate {
  /** Oldest first; the first one is at most a window old. */
  samples: { at: number; bytes: number }[];
}

export const newRate = (): Rate => ({ samples: [] });

export function addSample({ samples }: Rate, bytes: number, at: number): Rate {
  const kept = samples.filter((sample) => at - sample.at <= WINDOW_MS);
  return { samples: [...(kept.length > 0 ? kept : samples.slice(-1)), { at, bytes }] };
}

/** Bytes a second; undefined until there is something to measure. */
export function bytesPerSecond({ samples }: Rate): number | undefined {
  const [first, last] = [samples[0], samples.at(-1)];
  if (!first || !last || last.at - first.at < 200) return undefined;
  return ((last.bytes - first.bytes) * 1000) / (last.at - first.at);
}
