/**
 * Whether it pays to read an expert that the next layer will only probably want. A right prediction is read while this layer
 * computes, and saves that time, or the read's if that is shorter. A wrong one that has begun cannot be taken back: it costs what its read
 * takes beyond the computing. So with a fast store every prediction pays, with a slow one or a fast GPU only those that are
 * nearly certain. All three are measured as the model runs. Pure.
 */
import { AgedMean } from './aged-mean.ts';

/** Observations after which one counts half: times change at once with what else the machine does, routers with the text. */
const TIME_HALF_LIFE = 16;
const OUTCOME_HALF_LIFE = 64;

export class PredictionValue {
  readonly #readMs = new AgedMean(TIME_HALF_LIFE);
  readonly #layerMs = new AgedMean(TIME_HALF_LIFE);
  /** Share of right predictions, by their rank: the router's first choice is right more often than its second. */
  readonly #right: AgedMean[] = [];

  /** How long the store took for one expert. */
  noteRead(ms: number): void {
    this.#readMs.add(ms);
  }

  /** How long it took from one layer's experts being there to the next layer's choice. */
  noteLayer(ms: number): void {
    this.#layerMs.add(ms);
  }

  /** @param rank place among the router's choices, from 0 */
  noteOutcome(rank: number, right: boolean): void {
    this.#right[rank] ??= new AgedMean(OUTCOME_HALF_LIFE);
    this.#right[rank].add(right ? 1 : 0);
  }

  /** True as long as too little is known. */
  pays(rank: number): boolean {
    const readMs = this.#readMs.value;
    const layerMs = this.#layerMs.value;
    const right = this.#right[rank]?.value;
    if (readMs === undefined || layerMs === undefined || right === undefined) return true;
    return right * Math.min(layerMs, readMs) >= (1 - right) * Math.max(0, readMs - layerMs);
  }
}
