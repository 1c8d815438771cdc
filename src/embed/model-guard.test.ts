import { expect, it } from 'vitest';
import type { Mixtab } from '../client/types.ts';
import type { ImportProgress, ModelSummary } from '../contract/import-api.ts';
import { type GuardOptions, guardModels } from './model-guard.ts';

type Models = Mixtab['models'];

/** A store with the user's model `mine`. Importing an address stores a model with that id, of a number of bytes. */
function setUp(options: Partial<GuardOptions> = {}) {
  const stored = new Set(['mine']);
  const kept = new Map<string, string>();
  const questions: string[] = [];
  const models = {
    list: async () => [...stored].map((id) => ({ id, name: `Model ${id}` })),
    remove: async (id: string) => void stored.delete(id),
    import: async (
      { url }: { url: string },
      { signal, onProgress }: { signal: AbortSignal; onProgress: (progress: ImportProgress) => void },
    ) => {
      onProgress({ bytesDone: 0, bytesTotal: Number(url.split('/')[1] ?? 1) } as ImportProgress);
      if (signal.aborted) throw new Error('aborted');
      stored.add(url);
      return { id: url, name: url } as ModelSummary;
    },
  } as unknown as Models;
  const guarded = (embedder = 'https://a.example'): Models =>
    guardModels(models, {
      embedder,
      storage: { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => void kept.set(key, value) },
      siteModels: async () => [],
      isInUse: async () => false,
      confirm: async (question) => {
        questions.push(question);
        return false;
      },
      freeBytes: async () => 5e9,
      ...options,
    });
  return { stored, questions, guarded };
}

const from = (url: string) => ({ kind: 'url', url }) as const;

it('an embedding page removes what it imported, also after the frame was loaded again', async () => {
  const { stored, questions, guarded } = setUp();
  await guarded().import(from('x'));
  await guarded().remove('x');
  expect([...stored]).toEqual(['mine']);
  expect(questions).toEqual([]);
});

it('what the user or another embedding page imported is removed only after a click', async () => {
  const { stored, questions, guarded } = setUp();
  await guarded('https://b.example').import(from('x'));
  await guarded().import(from('mine')); // it was there before
  for (const id of ['mine', 'x']) await expect(guarded().remove(id)).rejects.toMatchObject({ code: 'not-allowed' });
  expect([...stored]).toEqual(['mine', 'x']);
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
