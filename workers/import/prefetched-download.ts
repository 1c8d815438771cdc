/** A download that begins before the import that needs it: while the page and its workers start. */
import type { Bytes } from '../../src/contract/ids.ts';
import type { ByteSource } from './byte-source.ts';
import { openDownloading } from './downloaded-byte-source.ts';
import type { HttpOptions } from './http-byte-source.ts';

export class PrefetchedDownload {
  readonly #opened: Promise<ByteSource>;
  readonly #controller = new AbortController();
  /** Of the import that has taken it. */
  #options: Pick<HttpOptions, 'onData' | 'onOutage'> = {};

  /** @param maxBytes see {@link openDownloading} */
  constructor(
    readonly url: string,
    maxBytes: Bytes,
  ) {
    this.#opened = openDownloading(url, maxBytes, {
      signal: this.#controller.signal,
      onData: () => this.#options.onData?.(),
      onOutage: (cause) => this.#options.onOutage?.(cause),
    });
    this.#opened.catch(() => {}); // whoever takes it reports the error
  }

  /** From now on it belongs to an import. @throws MixtabError see {@link openDownloading} */
  take({ signal, ...options }: HttpOptions): Promise<ByteSource> {
    this.#options = options;
    const abort = (): void => this.#controller.abort();
    if (signal?.aborted) abort();
    signal?.addEventListener('abort', abort, { once: true });
    return this.#opened;
  }

  /** Ends the download. */
  drop(): void {
    this.#controller.abort();
  }
}
