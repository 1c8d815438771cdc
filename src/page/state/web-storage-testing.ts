/** A stand-in for localStorage in tests, which tabs share: a test that resets the modules has a second tab. */
export class FakeStorage {
  readonly values = new Map<string, string>();
  /** How many UTF-16 code units fit in, keys included. */
  maxUnits = 5_000_000;

  get length(): number {
    return this.values.size;
  }

  key(index: number): string | null {
    return [...this.values.keys()][index] ?? null;
  }

  getItem(key: string): string | null {
    return this.values.get(key) ?? null;
  }

  setItem(key: string, value: string): void {
    const others = [...this.values].filter(([other]) => other !== key);
    const units = [...others, [key, value]].reduce((sum, [k, v]) => sum + k.length + v.length, 0);
    if (units > this.maxUnits) throw new DOMException('no space', 'QuotaExceededError');
    this.values.set(key, value);
  }

  removeItem(key: string): void {
    this.values.delete(key);
  }

  /** All that is stored, as one text. */
  get text(): string {
    return JSON.stringify([...this.values]);
  }
}
