/** The Web Locks of a browser, as the specification describes them, for several tabs in one test. */

interface Held {
  name: string;
  mode: 'exclusive' | 'shared';
  /** Called if another request steals the lock. */
  rob: () => void;
}

interface Waiting extends Held {
  grant: () => void;
}

/** `navigator.locks` of all tabs. */
export class FakeLocks {
  #held: Held[] = [];
  #waiting: Waiting[] = [];

  /** Names of the locks that are held and begin with `prefix`. */
  names(prefix = ''): string[] {
    return this.#held.map(({ name }) => name).filter((name) => name.startsWith(prefix));
  }

  async query(): Promise<{ held: Pick<Held, 'name' | 'mode'>[] }> {
    return { held: this.#held.map(({ name, mode }) => ({ name, mode })) };
  }

  request(name: string, ...rest: unknown[]): Promise<unknown> {
    const work = rest.at(-1) as () => unknown;
    const { mode = 'exclusive', signal, steal } = (rest.length > 1 ? rest[0] : {}) as LockOptions;
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const abort = (): void => {
        this.#remove(request);
        reject(signal?.reason);
      };
      const grant = async (): Promise<void> => {
        signal?.removeEventListener('abort', abort);
        await Promise.resolve().then(work).then(resolve, reject);
        this.#remove(request);
      };
      const rob = (): void => reject(new DOMException('stolen', 'AbortError'));
      const request: Waiting = { name, mode, grant: () => void grant(), rob };
      signal?.addEventListener('abort', abort);
      if (steal) this.#steal(request);
      else this.#waiting.push(request);
      this.#grantAll();
    });
  }

  /** A tab is closed that holds this lock. */
  close(name: string): void {
    this.#held = this.#held.filter((held) => held.name !== name);
    this.#grantAll();
  }

  #steal(request: Waiting): void {
    for (const { name, rob } of this.#held) if (name === request.name) rob();
    this.#held = this.#held.filter(({ name }) => name !== request.name);
    this.#waiting.unshift(request);
  }

  #remove(request: Held): void {
    this.#held = this.#held.filter((held) => held !== request);
    this.#waiting = this.#waiting.filter((waiting) => waiting !== request);
    this.#grantAll();
  }

  /** Grants what can be granted, in the order of the requests. */
  #grantAll(): void {
    const blocked = new Set<string>();
    for (const request of [...this.#waiting]) {
      const { name, mode, grant } = request;
      const isFree = this.#held.every((held) => held.name !== name || (mode === 'shared' && held.mode === 'shared'));
      if (!isFree || blocked.has(name)) {
        blocked.add(name);
        continue;
      }
      this.#waiting.splice(this.#waiting.indexOf(request), 1);
      this.#held.push(request);
      grant();
    }
  }
}
