/** A mean in which a value counts half after as many others as its half-life. Pure. */
export class AgedMean {
  readonly #keep: number;
  #sum = 0;
  #weight = 0;

  /** @param halfLife in values */
  constructor(halfLife: number) {
    this.#keep = 0.5 ** (1 / halfLife);
  }

  add(value: number): void {
    this.#sum = this.#sum * this.#keep + value;
    this.#weight = this.#weight * this.#keep + 1;
  }

  /** Undefined where nothing was added. */
  get value(): number | undefined {
    return this.#weight === 0 ? undefined : this.#sum / this.#weight;
  }
}
