/**
 * Messages between an embedding page and `embed.html`. A request has an id, and its replies repeat it: any number of
 * events, then one result or error. Both sides check the window and the origin of every message. None is sent to `*`.
 */
import type { ErrorData } from '../contract/errors.ts';

/** Version of the protocol. It also marks a message as one of this protocol. */
export const PROTOCOL = 1;

/** The methods that a request may name. */
export const METHODS = [
  'models.list',
  'models.import',
  'models.remove',
  'models.verify',
  'models.repair',
  'load',
  'chat.completions.create',
  'completions.create',
  'routing',
  'observe',
  'metrics',
] as const;
export type Method = (typeof METHODS)[number];

/** A call from the embedding page. */
export interface Request {
  mixtab: typeof PROTOCOL;
  id: number;
  /** `abort` ends the request whose id is `params`, and has no reply of its own. */
  method: Method | 'abort';
  params: unknown;
}

/** An answer of the frame to the request with the same id. */
export type Reply = { mixtab: typeof PROTOCOL; id: number } & (
  | { event: unknown }
  | { result: unknown }
  | { error: ErrorData }
);

/** Sent by the frame when it is ready for requests. */
export interface Ready {
  mixtab: typeof PROTOCOL;
  ready: true;
}

/**
 * Sent by the frame when the user has let it read the models of the mixtab site: `models.list` then includes them.
 */
export interface ModelsChanged {
  mixtab: typeof PROTOCOL;
  changed: 'models';
}

const isMessage = (data: unknown): data is { mixtab: typeof PROTOCOL } & Record<string, unknown> =>
  typeof data === 'object' && data !== null && (data as { mixtab?: unknown }).mixtab === PROTOCOL;

export const isReady = (data: unknown): data is Ready => isMessage(data) && data.ready === true;

export const isModelsChanged = (data: unknown): data is ModelsChanged => isMessage(data) && data.changed === 'models';

export const isReply = (data: unknown): data is Reply =>
  isMessage(data) && typeof data.id === 'number' && ('event' in data || 'result' in data || 'error' in data);

export const isRequest = (data: unknown): data is Request =>
  isMessage(data) && typeof data.id === 'number' && typeof data.method === 'string' && 'params' in data;

/**
 * Reads the embedding page's origin from the address of the embedded page.
 * @param search the address's query string, `?origin=https://...`
 * @returns undefined if the address names no valid origin
 */
export function originFrom(search: string): string | undefined {
  const origin = new URLSearchParams(search).get('origin');
  try {
    // All opaque origins read "null", so they cannot be compared. An address with a path is not an origin.
    return origin !== null && new URL(origin).origin === origin ? origin : undefined;
  } catch {
    return undefined;
  }
}
