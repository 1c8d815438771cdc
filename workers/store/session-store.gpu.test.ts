/** Saved sessions of several tabs, in a real database with real locks. */
import { expect, it } from 'vitest';
import { type SessionHeader, SessionStore } from './session-store.ts';

const database = `mixtab-test-sessions-${Date.now()}`;
const tab = (): SessionStore => new SessionStore(database);
const header = (generation: number, bytes = 10): SessionHeader =>
  ({ modelId: 'm', generation, bytes, savedAt: generation, parts: ['x'], tokens: new Uint32Array(1) }) as SessionHeader;
const textOf = (part: ArrayBuffer | undefined): string => new TextDecoder().decode(part);

it('making room in one tab leaves the parts alone that another tab is saving', async () => {
  const [a, b] = [tab(), tab()];
  await a.whileSaving('one', async () => {
    await a.putPart('one', 1, 0, new Blob(['saved']));
    await b.whileSaving('two', () => b.makeRoom(1000, 10, 'two'));
    await a.putHeader('one', header(1));
  });
  expect(textOf(await a.part('one', 1, 0))).toBe('saved');
});

it.each(['a limit', 'a full disk'])(
  'an older session that is being saved again is not removed by %s',
  async (cause) => {
    const [a, b] = [tab(), tab()];
    await a.putPart('one', 1, 0, new Blob(['old']));
    await a.putHeader('one', header(1, 900));
    await a.whileSaving('one', async () => {
      await a.putPart('one', 2, 0, new Blob(['new']));
      if (cause === 'a full disk') await b.removeAll();
      else await b.whileSaving('two', () => b.makeRoom(1000, 500, 'two'));
      await a.putHeader('one', header(2, 900));
    });
    expect(textOf(await a.part('one', 2, 0))).toBe('new');
  },
);

it('parts of a tab that was closed while saving are removed, and old sessions give way', async () => {
  const store = tab();
  await store.putPart('closed', 1, 0, new Blob(['orphan']));
  await store.putHeader('old', header(1, 900));
  await store.whileSaving('two', () => store.makeRoom(1000, 500, 'two'));
  expect(await store.part('closed', 1, 0)).toBeUndefined();
  expect(await store.header('old')).toBeUndefined();
});
