/** Counts how often a read got something: a slow read gets something now and then, one that hangs does not. */
export class ReadProgress {
  #count = 0;

  /** Called whenever the database has answered, or bytes of a record have arrived. */
  readonly note = (): void => {
    this.#count++;
  };

  get count(): number {
    return this.#count;
  }
}
