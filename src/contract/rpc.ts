/**
 * comlink, with errors that keep their `code`: comlink's own throw handler copies only name, message and stack. Import
 * this module instead of comlink on both sides of a worker.
 */
import * as Comlink from 'comlink';
import { type ErrorData, errorFromData, errorToData, type MixtabError } from './errors.ts';

interface ThrownValue {
  value: unknown;
}

// comlink wraps every thrown value in an object marked with a symbol that it does not export. Only comlink's own
// handler recognises that mark, so its canHandle is reused and only the serialized form is replaced.
const comlinkThrow = Comlink.transferHandlers.get('throw');
if (!comlinkThrow) throw new Error('comlink has no throw handler; its version changed');

Comlink.transferHandlers.set('throw', {
  canHandle: comlinkThrow.canHandle as (value: unknown) => value is ThrownValue,
  serialize: ({ value }: ThrownValue) => [errorToData(value), []],
  deserialize: (data: ErrorData): MixtabError => {
    throw errorFromData(data);
  },
});

export const { expose, proxy, transfer, wrap } = Comlink;
export type { Remote } from 'comlink';
