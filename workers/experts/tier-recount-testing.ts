/**
 * What slots and main memory should hold, by the rules of docs/streaming.md, counted without any of the engine's code.
 */

const HALF_LIFE = 128;

export interface TierShape {
  layers: number;
  /** Slots of each layer, in a pool of its own. */
  slots: number;
  /** Experts that main memory can hold. All have the same size. */
  ramRecords: number;
  expertsPerToken: number;
}

/** A plain recount of slots and main memory. Experts are named `layer.expert`. */
export class TierRecount {
  /** Experts that had to be read, in order. */
  readonly reads: string[] = [];
  readonly #shape: TierShape;
  /** Aged use counts, on a scale that grows with time instead of counts that shrink. */
  readonly #uses = new Map<string, number>();
  readonly #clock: number[];
  readonly #resident: string[][];
  #ram: string[] = [];
  #needed: string[] = [];

  constructor(shape: TierShape) {
    this.#shape = shape;
    this.#clock = new Array<number>(shape.layers).fill(0);
    this.#resident = Array.from({ length: shape.layers }, () => []);
  }

  touch(layer: number, expert: number): void {
    const name = `${layer}.${expert}`;
    this.#uses.set(name, this.#weight(name) + 2 ** (++this.#clock[layer] / HALF_LIFE));
  }

  /** @returns the missing experts: first those in main memory, then those that have to be read */
  load(layer: number, experts: readonly number[]): number[] {
    this.#needed = experts.map((expert) => `${layer}.${expert}`);
    const missing = experts.filter((expert) => !this.#resident[layer].includes(`${layer}.${expert}`));
    const inRam = missing.filter((expert) => this.#ram.includes(`${layer}.${expert}`));
    const fromStore = missing.filter((expert) => !inRam.includes(expert));
    this.reads.push(...fromStore.map((expert) => `${layer}.${expert}`));
    return [...inRam, ...fromStore];
  }

  upload(layer: number, expert: number): void {
    const { slots, ramRecords } = this.#shape;
    const name = `${layer}.${expert}`;
    const resident = this.#resident[layer];
    if (resident.length === slots) {
      const [victim] = resident.filter((other) => !this.#needed.includes(other)).sort(this.#byWeight);
      resident.splice(resident.indexOf(victim), 1);
    }
    resident.push(name);
    if (!this.#ram.includes(name)) this.#ram.push(name);
    if (this.#ram.length <= ramRecords) return;
    // Of experts that are worth the same, the one that has been there for longest.
    const [mostUsedSpare] = this.#ram.filter((other) => this.#isSpare(other)).sort((a, b) => this.#byWeight(b, a));
    const [leastUsed] = [...this.#ram].sort(this.#byWeight);
    this.#ram = this.#ram.filter((other) => other !== (mostUsedSpare ?? leastUsed));
  }

  #weight(name: string): number {
    return this.#uses.get(name) ?? 0;
  }

  readonly #byWeight = (a: string, b: string): number => this.#weight(a) - this.#weight(b);

  #isSpare(name: string): boolean {
    const { slots, expertsPerToken } = this.#shape;
    const inLayer = [...this.#resident[Number(name.split('.')[0])]].sort(this.#byWeight);
    const leaving = inLayer.slice(0, Math.max(1, 2 * expertsPerToken - slots));
    return inLayer.includes(name) && !leaving.includes(name);
  }
}
