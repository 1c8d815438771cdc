/** A mean in which older values count less: a value counts half after `halfLife` further values. Pure. */
export class AgedMean {
  /** Factor by which each new value reduces the weight of the older ones. */
  readonly #decay: number;
  #sum = 0;
  #weight = 0;

  /** @param halfLife in values */
  constructor(halfLife: number) {
    this.#decay = 0.5 ** (1 / halfLife);
  }

  add(value: number): void {
    this.#sum = this.#sum * this.#decay + value;
    this.#weight = this.#weight * this.#decay + 1;
  }

  /** Undefined if no value was added. */
  get value(): number | undefined {
    return this.#weight === 0 ? undefined : this.#sum / this.#weight;
  }
}
