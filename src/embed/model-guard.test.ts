import { expect, it } from 'vitest';
import type { LocalModels } from '../client/local.ts';
import type { Mixtab } from '../client/types.ts';
import { MixtabError } from '../contract/errors.ts';
import type { ImportOptions, ImportProgress, ModelSummary } from '../contract/import-api.ts';
import { type GuardOptions, guardModels } from './model-guard.ts';

type Models = Mixtab['models'];
type OnProgress = (progress: ImportProgress) => void;

/**
 * A store with the user's model `mine`. Importing an address stores a model with that id, of a number of bytes. Like the
 * import worker, it notes who began an import, and lets an embedding page continue only what it began.
 */
function setUp(options: Partial<GuardOptions> = {}) {
  const stored = new Map<string, string | undefined>([['mine', undefined]]);
  const unfinished = new Map<string, string | undefined>();
  const questions: string[] = [];
  const entries = (map: Map<string, string | undefined>) =>
    [...map].map(([id, embedder]) => ({ id, name: `Model ${id}`, ...(embedder !== undefined && { embedder }) }));
  const models = {
    list: async () => entries(stored),
    unfinished: async () => entries(unfinished),
    remove: async (id: string) => void (stored.delete(id) || unfinished.delete(id)),
    import: async (
      { url }: { url: string },
      { signal, onProgress, embedder }: ImportOptions & { signal: AbortSignal; onProgress: OnProgress },
    ) => {
      if (stored.has(url)) return { id: url, name: url } as ModelSummary;
      if (embedder !== undefined && unfinished.has(url) && unfinished.get(url) !== embedder)
        throw new MixtabError('not-allowed', 'The import was begun by the user.');
      unfinished.set(url, embedder);
      onProgress({ bytesDone: 0, bytesTotal: Number(url.split('/')[1] ?? 1) } as ImportProgress);
      if (signal.aborted) throw new Error('aborted');
      unfinished.delete(url);
      stored.set(url, embedder);
      return { id: url, name: url } as ModelSummary;
    },
  } as unknown as LocalModels;
  const guarded = (embedder = 'https://a.example'): Models =>
    guardModels(models, {
      embedder,
      siteModels: async () => [],
      isInUse: async () => false,
      confirm: async ({ text }) => {
        questions.push(text);
        return false;
      },
      freeBytes: async () => 5e9,
      ...options,
    });
  return { stored, unfinished, questions, guarded };
}

const from = (url: string) => ({ kind: 'url', url }) as const;

it('an embedding page removes what it imported, also after the frame was loaded again', async () => {
  const { stored, questions, guarded } = setUp();
  await guarded().import(from('x'));
  await guarded().remove('x');
  expect([...stored.keys()]).toEqual(['mine']);
  expect(questions).toEqual([]);
});

it('what the user or another embedding page imported is removed only after a click', async () => {
  const { stored, questions, guarded } = setUp();
  await guarded('https://b.example').import(from('x'));
  await guarded().import(from('mine')); // it was there before
  for (const id of ['mine', 'x']) await expect(guarded().remove(id)).rejects.toMatchObject({ code: 'not-allowed' });
  expect([...stored.keys()]).toEqual(['mine', 'x']);
  expect(questions).toEqual([
    'https://a.example wants to delete the model Model mine.',
    'https://a.example wants to delete the model Model x.',
  ]);
  const allowed = setUp({ confirm: async () => true });
  await allowed.guarded().remove('mine');
  expect(allowed.stored.size).toBe(0);
});

it('a model that a tab uses and an unfinished import stay', async () => {
  const { stored, guarded } = setUp({ isInUse: async (id) => id === 'mine', confirm: async () => true });
  await expect(guarded().remove('mine')).rejects.toMatchObject({ code: 'busy' });
  await expect(guarded().remove('unfinished')).rejects.toMatchObject({ code: 'model-not-found' });
  expect(stored.size).toBe(1);
});

it('an unfinished import of the user is neither removed nor continued without a click', async () => {
  const { stored, unfinished, questions, guarded } = setUp();
  unfinished.set('x', undefined);
  await expect(guarded().remove('x')).rejects.toMatchObject({ code: 'model-not-found' });
  await expect(guarded().import(from('x'))).rejects.toMatchObject({ code: 'not-allowed' });
  expect(questions).toEqual([
    'https://a.example wants to continue an import that you have begun. The model stays yours.',
  ]);
  expect([...unfinished]).toEqual([['x', undefined]]);
  const allowed = setUp({ confirm: async () => true });
  allowed.unfinished.set('x', undefined);
  await allowed.guarded().import(from('x'));
  expect([...allowed.stored]).toEqual([
    ['mine', undefined],
    ['x', undefined],
  ]);
  expect(stored.size).toBe(1);
});

it('an import that the embedding page began and did not finish is its own', async () => {
  const { unfinished, questions, guarded } = setUp();
  unfinished.set('x', 'https://a.example');
  await expect(guarded('https://b.example').remove('x')).rejects.toMatchObject({ code: 'model-not-found' });
  await guarded().remove('x');
  expect([unfinished.size, questions]).toEqual([0, []]);
});

it('imports leave a gigabyte of space, and an embedding page has at most 16 models', async () => {
  const { stored, guarded } = setUp();
  await expect(guarded().import(from('x/4100000000'))).rejects.toMatchObject({
    code: 'storage-full',
    message: 'The model needs 4.1 GB, and 5.0 GB are free.',
  });
  await guarded().import(from('x/3900000000'));
  for (let n = 1; n < 16; n++) await guarded().import(from(`y${n}`));
  await expect(guarded().import(from('z'))).rejects.toMatchObject({ code: 'storage-full' });
  await guarded().remove('y1');
  await guarded().import(from('z'));
  expect(stored.size).toBe(17);
});
