import { excerpt, MixtabError } from '../../../src/contract/errors.ts';

/**
 * Typed access to a GGUF's metadata. A missing or wrongly typed value throws a MixtabError `gguf-damaged` that names
 * the key.
 */
export class Metadata {
  constructor(readonly values: Record<string, unknown>) {}

  has(key: string): boolean {
    return this.values[key] !== undefined;
  }

  /** @throws MixtabError `gguf-damaged` */
  number(key: string, fallback?: number): number {
    const value = this.values[key];
    if (value === undefined && fallback !== undefined) return fallback;
    if (typeof value === 'bigint') return Number(value);
    if (typeof value !== 'number') throw wrong(key, 'a number', value);
    return value;
  }

  /** @throws MixtabError `gguf-damaged` */
  string(key: string, fallback?: string): string {
    const value = this.values[key];
    if (value === undefined && fallback !== undefined) return fallback;
    if (typeof value !== 'string') throw wrong(key, 'a text', value);
    return value;
  }

  /** @throws MixtabError `gguf-damaged` */
  boolean(key: string, fallback: boolean): boolean {
    const value = this.values[key] ?? fallback;
    if (typeof value !== 'boolean') throw wrong(key, 'true or false', value);
    return value;
  }

  /** @throws MixtabError `gguf-damaged` */
  array<T>(key: string, kind: 'string' | 'number'): T[] {
    const value = this.values[key];
    if (!Array.isArray(value) || value.some((element) => typeof element !== kind))
      throw wrong(key, `a list of ${kind}s`, value);
    return value as T[];
  }
}

/** A metadata value for an error message. Lists are not written out, because they may have millions of entries. */
export const describeValue = (value: unknown): string =>
  Array.isArray(value) ? 'a list' : excerpt(typeof value === 'string' ? JSON.stringify(value) : String(value));

function wrong(key: string, expected: string, value: unknown): MixtabError {
  const problem = value === undefined ? 'is missing' : `is ${describeValue(value)}`;
  return new MixtabError(
    'gguf-damaged',
    `The file's metadata key ${key} ${problem}, but must be ${expected}.`,
    'Use another file.',
  );
}
