/**
 * Messages between an embedding page and `embed.html`. A request has an id; its replies carry the same one: any number of
 * events, then a result or an error. Both sides check window and origin of every message; none is sent to `*`.
 */
import type { ErrorData } from '../contract/errors.ts';

/** Version of the protocol, and the mark by which its messages are known. */
export const PROTOCOL = 1;

export const METHODS = [
  'models.list',
  'models.import',
  'models.remove',
  'models.verify',
  'load',
  'chat.completions.create',
  'completions.create',
  'routing',
  'metrics',
] as const;
export type Method = (typeof METHODS)[number];

export interface Request {
  mixtab: typeof PROTOCOL;
  id: number;
  /** `abort` ends the request whose id is in `params`. */
  method: Method | 'abort';
  params: unknown;
}

export type Reply = { mixtab: typeof PROTOCOL; id: number } & (
  | { event: unknown }
  | { result: unknown }
  | { error: ErrorData }
);

/** Said by the frame once it listens. */
export interface Ready {
  mixtab: typeof PROTOCOL;
  ready: true;
}

/** Said by the frame when the user let it at the models of its own site: `models.list` has them now. */
export interface ModelsChanged {
  mixtab: typeof PROTOCOL;
  changed: 'models';
}

const isOurs = (data: unknown): data is { mixtab: typeof PROTOCOL } & Record<string, unknown> =>
  typeof data === 'object' && data !== null && (data as { mixtab?: unknown }).mixtab === PROTOCOL;

export const isReady = (data: unknown): data is Ready => isOurs(data) && data.ready === true;

export const isModelsChanged = (data: unknown): data is ModelsChanged => isOurs(data) && data.changed === 'models';

export const isReply = (data: unknown): data is Reply =>
  isOurs(data) && typeof data.id === 'number' && ('event' in data || 'result' in data || 'error' in data);

export const isRequest = (data: unknown): data is Request =>
  isOurs(data) && typeof data.id === 'number' && typeof data.method === 'string' && 'params' in data;

/** The one origin that the address of the embedded page names, if it is one. */
export function originFrom(search: string): string | undefined {
  const given = new URLSearchParams(search).get('origin');
  try {
    // Opaque origins ("null") and anything with a path are no origin that could be checked.
    return given !== null && new URL(given).origin === given ? given : undefined;
  } catch {
    return undefined;
  }
}
