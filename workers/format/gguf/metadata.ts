/** Typed reading of a GGUF's metadata: a wrong type is an error that names the key. */
import { MixtabError } from '../../../src/contract/errors.ts';

export class Metadata {
  constructor(readonly values: Record<string, unknown>) {}

  has(key: string): boolean {
    return this.values[key] !== undefined;
  }

  /** Keys that begin with `prefix`. */
  keys(prefix: string): string[] {
    return Object.keys(this.values).filter((key) => key.startsWith(prefix));
  }

  number(key: string, fallback?: number): number {
    const value = this.values[key];
    if (value === undefined && fallback !== undefined) return fallback;
    if (typeof value === 'bigint') return Number(value);
    if (typeof value !== 'number') throw wrong(key, 'a number', value);
    return value;
  }

  string(key: string, fallback?: string): string {
    const value = this.values[key];
    if (value === undefined && fallback !== undefined) return fallback;
    if (typeof value !== 'string') throw wrong(key, 'a text', value);
    return value;
  }

  boolean(key: string, fallback: boolean): boolean {
    const value = this.values[key] ?? fallback;
    if (typeof value !== 'boolean') throw wrong(key, 'true or false', value);
    return value;
  }

  array<T>(key: string, kind: 'string' | 'number'): T[] {
    const value = this.values[key];
    if (!Array.isArray(value) || value.some((element) => typeof element !== kind))
      throw wrong(key, `a list of ${kind}s`, value);
    return value as T[];
  }
}

function wrong(key: string, wanted: string, value: unknown): MixtabError {
  const found =
    value === undefined
      ? 'is missing'
      : `is ${Array.isArray(value) ? 'a list' : (JSON.stringify(value) ?? typeof value)}`;
  return new MixtabError(
    'gguf-damaged',
    `The file's metadata key ${key} ${found}; ${wanted} is needed.`,
    'Use another file.',
  );
}
