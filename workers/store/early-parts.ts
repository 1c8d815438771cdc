/**
 * Parts of a record on their way from the reader worker to the engine while the rest is still being read. They are sent
 * between the messages of calls, so all of them arrive before the reply. Both ends.
 */
import type { Bytes } from '../../src/contract/ids.ts';
import type { RecordParts } from '../format/record-parts.ts';
import type { PartReceiver } from './store.ts';

/** From the reader worker. */
export interface EarlyPartMessage {
  /** The id of the read. */
  mixtabRead: number;
  /** null: the parts so far are void, because the record is read again. */
  part: { index: number; bytes: Uint8Array<ArrayBuffer> } | null;
}

/** What a read returns. */
export interface ReadReply {
  /** Of the record. */
  byteLength: Bytes;
  /** null: it was sent early. */
  parts: (Uint8Array<ArrayBuffer> | null)[];
}

/** Sends the parts of one read. */
export class EarlyPartSender implements PartReceiver {
  readonly #sent = new Set<Uint8Array<ArrayBuffer>>();

  /** @param post sends a message to the engine */
  constructor(
    private readonly read: number,
    private readonly post: (message: EarlyPartMessage, transfer: ArrayBuffer[]) => void,
  ) {}

  add(bytes: Uint8Array<ArrayBuffer>, index: number): void {
    this.#sent.add(bytes);
    this.post({ mixtabRead: this.read, part: { index, bytes } }, [bytes.buffer]);
  }

  reset(): void {
    if (this.#sent.size === 0) return;
    this.#sent.clear();
    this.post({ mixtabRead: this.read, part: null }, []);
  }

  /** The reply of the read, without the parts that were sent. */
  replyWith({ byteLength, parts }: RecordParts): ReadReply {
    return { byteLength, parts: parts.map((part) => (this.#sent.has(part) ? null : part)) };
  }
}

interface Receiving {
  receiver: PartReceiver;
  /** By index. */
  parts: Map<number, Uint8Array<ArrayBuffer>>;
}

/** Receives the parts of all reads. */
export class EarlyParts {
  readonly #reads = new Map<number, Receiving>();

  /** @param recycle gets the parts of reads that have failed, were cancelled, or began again */
  constructor(private readonly recycle: (parts: readonly Uint8Array<ArrayBuffer>[]) => void) {}

  /** Hands the parts of a read to `receiver` as they arrive, until {@link end} or {@link cancel}. */
  begin(read: number, receiver: PartReceiver): void {
    this.#reads.set(read, { receiver, parts: new Map() });
  }

  /** Accepts any message of the reader worker. */
  readonly receive = ({ data }: Pick<MessageEvent<unknown>, 'data'>): void => {
    if (!isEarlyPart(data)) return;
    const { mixtabRead, part } = data;
    const receiving = this.#reads.get(mixtabRead);
    if (!part) {
      if (receiving) this.#reset(receiving);
    } else if (receiving) {
      receiving.parts.set(part.index, part.bytes);
      receiving.receiver.add(part.bytes, part.index);
    } else {
      this.recycle([part.bytes]); // the read was cancelled
    }
  };

  /** The record of a read that has ended. After {@link cancel}, the parts that came early are missing. */
  end(read: number, { byteLength, parts }: ReadReply): RecordParts {
    const early = this.#reads.get(read)?.parts;
    this.#reads.delete(read);
    return { byteLength, parts: parts.flatMap((part, index) => part ?? early?.get(index) ?? []) };
  }

  /** The read has failed or was cancelled. */
  cancel(read: number): void {
    const receiving = this.#reads.get(read);
    this.#reads.delete(read);
    if (receiving) this.#reset(receiving);
  }

  #reset({ receiver, parts }: Receiving): void {
    receiver.reset();
    if (parts.size > 0) this.recycle([...parts.values()]);
    parts.clear();
  }
}

const isEarlyPart = (data: unknown): data is EarlyPartMessage =>
  typeof data === 'object' && data !== null && 'mixtabRead' in data;
