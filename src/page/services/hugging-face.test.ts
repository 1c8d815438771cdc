import { describe, expect, it } from 'vitest';
import { bitsOf, expectSpeedOfFile, KNOWN_MODELS, urlOf } from '../library/known-models.ts';
import { filesFrom, listRepo, repoFrom } from './hugging-face.ts';
import { sourceUrl } from './source-url.ts';

it('distinguishes repositories from other addresses', () => {
  expect(repoFrom(' TheBloke/Mixtral-8x7B-v0.1-GGUF ')).toBe('TheBloke/Mixtral-8x7B-v0.1-GGUF');
  expect(repoFrom('https://huggingface.co/a/b.c/')).toBe('a/b.c');
  expect(repoFrom('https://huggingface.co/a/b/tree/main')).toBe('a/b');
  for (const other of [
    '',
    'a',
    'a/b/c',
    'https://example.org/a/b',
    'https://huggingface.co/a/b/resolve/main/x.gguf',
    'dir/model.gguf',
    '../b',
  ]) {
    expect(repoFrom(other)).toBeUndefined();
  }
});

describe('files of a repository', () => {
  it('lists the GGUF files, smallest first, with split files as one', () => {
    const items = [
      { path: 'README.md', size: 1 },
      { path: 'big.gguf', size: 9 },
      { path: 'sub dir/small.gguf', size: 3 },
      { path: 'x-00001-of-00002.gguf', size: 4 },
      { path: 'x-00002-of-00002.gguf', size: 2 },
      { path: 'y.gguf.part2of3', size: 10 },
      { path: 'y.gguf.part1of3', size: 10 },
      { path: 'z.gguf-split-a', size: 30 },
      { path: 'z.gguf-split-b', size: 30 },
      { path: 'z.gguf.sha256', size: 30 },
      { path: 'no-size.gguf' },
      null,
    ];
    expect(filesFrom(items, 'a/b').map(({ path }) => path)).toEqual([
      'sub dir/small.gguf',
      'x-00001-of-00002.gguf',
      'big.gguf',
      'y.gguf.part1of3',
      'z.gguf-split-a',
    ]);
    expect(filesFrom(items, 'a/b')[0].url).toBe('https://huggingface.co/a/b/resolve/main/sub%20dir/small.gguf');
    expect(filesFrom(items, 'a/b')[1].bytes).toBe(6);
    expect(filesFrom({ error: 'x' }, 'a/b')).toEqual([]);
  });

  it('names the cause of a failure', async () => {
    await expect(listRepo('a/b', undefined, async () => new Response('', { status: 404 }))).rejects.toMatchObject({
      code: 'source-unreachable',
    });
    const access = { origin: 'https://huggingface.co', token: 'hf_secret' };
    const forbidden = (token?: typeof access) => listRepo('a/b', token, async () => new Response('', { status: 403 }));
    await expect(forbidden()).rejects.toMatchObject({
      code: 'source-gated',
      remedy: expect.stringContaining('https://huggingface.co/a/b'),
    });
    await expect(forbidden(access)).rejects.toMatchObject({
      code: 'source-gated',
      remedy: expect.stringContaining('with that account'),
    });
    await expect(listRepo('a/b', undefined, () => Promise.reject(new TypeError()))).rejects.toThrow(
      /cannot be reached/,
    );
  });
});

it('sends the token as a header, and rejects one that no header can hold without quoting it', async () => {
  const seen: (string | null)[] = [];
  const fetchFile = async (_url: unknown, init?: RequestInit) => {
    seen.push(new Headers(init?.headers).get('authorization'));
    return Response.json([]);
  };
  const origin = 'https://huggingface.co';
  await listRepo('a/b', undefined, fetchFile);
  await listRepo('a/b', { origin, token: 'hf_secret' }, fetchFile);
  await listRepo('a/b', { origin: 'https://example.org', token: 'hf_secret' }, fetchFile);
  expect(seen).toEqual([null, 'Bearer hf_secret', null]);
  const error: unknown = await listRepo('a/b', { origin, token: 'hf_secret\n' }, fetchFile).catch(
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({ code: 'source-gated' });
  expect(JSON.stringify(error) + String(error)).not.toContain('hf_secret');
});

it('knows well-known files whose addresses can be imported, with plausible bits per weight', () => {
  for (const model of KNOWN_MODELS) {
    for (const file of model.files) {
      expect(sourceUrl(urlOf(model, file))).toBe(urlOf(model, file));
      expect(bitsOf(model, file)).toBeGreaterThan(2);
      expect(bitsOf(model, file)).toBeLessThan(9);
      // From a GPU that holds the whole model to one that cannot hold the experts of one token.
      const device = { kind: 'gpu' as const, ramBytes: 0, gpuRate: 1e11, ramRate: 5e9, storeRate: 1e9 };
      expect(expectSpeedOfFile(model, file, { ...device, gpuBytes: 2 * file.bytes }).fit).toBe('resident');
      expect(expectSpeedOfFile(model, file, { ...device, gpuBytes: file.bytes / 4 }).fit).toBe('streams');
      expect(expectSpeedOfFile(model, file, { ...device, gpuBytes: file.bytes / 50 }).fit).toBe('too-large');
      expect(file.file.toLowerCase()).toContain(file.mix.toLowerCase());
    }
  }
});
