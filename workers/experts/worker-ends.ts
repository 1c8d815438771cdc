/** What is known about workers that may have ended, of this tab and others. */
export interface WorkerEnds {
  isAlive(worker: string): boolean;
  /** When the page that had started a worker ended it; undefined if it did not, as far as that is remembered. */
  closedAt(worker: string): number | undefined;
  /** The times of all closings that are remembered. */
  closings: readonly number[];
}
