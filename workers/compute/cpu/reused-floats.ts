/**
 * Memory for floats that is used again. New memory costs a page fault for every 4 KB, which on a virtual machine takes
 * as long as the copy itself.
 */
export class ReusedFloats {
  #floats = new Float32Array(0);

  /** @returns f32[length], with anything in it, valid until the next call */
  take(length: number): Float32Array<ArrayBuffer> {
    if (this.#floats.length < length) this.#floats = new Float32Array(length);
    return this.#floats.length === length ? this.#floats : this.#floats.subarray(0, length);
  }
}
