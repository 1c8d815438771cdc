/** A store that deletes what can be computed again before it says that the disk is full. */
import { MixtabError } from '../../src/contract/errors.ts';
import type { RecordStore } from './store.ts';

/** The methods that need space. */
const WRITES: ReadonlySet<string | symbol> = new Set<keyof RecordStore>([
  'putRecord',
  'putRecords',
  'putJournal',
  'putPartial',
  'putManifest',
  'updateManifest',
]);

/**
 * @param freeSpace deletes saved sessions; resolves with whether there were any
 * @returns the store; a write that fails because the storage is full is tried once more after space was freed
 */
export function makingRoom(store: RecordStore, freeSpace: () => Promise<boolean>): RecordStore {
  return new Proxy(store, {
    get(target, key) {
      const member: unknown = Reflect.get(target, key);
      if (typeof member !== 'function') return member;
      const call = (...args: unknown[]): unknown => Reflect.apply(member, target, args);
      if (!WRITES.has(key)) return call;
      return async (...args: unknown[]) => {
        try {
          return await call(...args);
        } catch (error) {
          const isFull = error instanceof MixtabError && error.code === 'storage-full';
          if (!isFull || !(await freeSpace())) throw error;
          return await call(...args);
        }
      };
    },
  });
}
