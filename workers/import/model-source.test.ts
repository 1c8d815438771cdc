/**
 * Split GGUFs from a server and from local files: the same records as from the whole file, and errors that name the
 * parts.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { sendRange, syntheticRanged } from '../../scripts/cli/server.ts';
import { inspectFile } from '../format/gguf/inspect.ts';
import { splitName } from '../format/gguf/split.ts';
import { MemoryStore } from '../store/memory-store.ts';
import { SYNTH_PRESETS } from '../synth/presets.ts';
import { createSplitSynth, createSynth, type SynthFile, type SynthOptions } from '../synth/synth.ts';
import type { ByteSource } from './byte-source.ts';
import { openFiles, openUrl } from './model-source.ts';
import { importSource } from './testing.ts';

const TINY: SynthOptions = SYNTH_PRESETS.tiny;
const COUNT = 3;

const blobOf = (file: SynthFile): Blob => new Blob([file.read(0, file.size)]);
const nameOf = (part: number, prefix = 'tiny', count = COUNT): string => splitName({ prefix, part, count });
const partsOf = (options: SynthOptions, prefix?: string): { blob: Blob; name: string }[] =>
  createSplitSynth(options, COUNT).map((file, n) => ({ blob: blobOf(file), name: nameOf(n + 1, prefix) }));

/** [key, hash] of each record, in order. */
async function hashesOf(source: ByteSource): Promise<string[][]> {
  const store = new MemoryStore();
  const { id } = await importSource(store, source);
  return (await store.getManifest(id))!.records.map(({ key, sha256 }) => [key, sha256]);
}

const whole = async (options = TINY): Promise<string[][]> =>
  hashesOf(await openFiles([{ blob: blobOf(createSynth(options)), name: 'tiny.gguf' }]));

describe('openFiles', () => {
  it('says so if the disk never answers', async () => {
    const blob = blobOf(createSynth(TINY));
    vi.spyOn(blob, 'slice').mockReturnValue(
      Object.assign(new Blob(), { arrayBuffer: () => new Promise<never>(() => {}) }),
    );
    await expect(openFiles([{ blob, name: 'tiny.gguf' }], { patienceMs: 20 })).rejects.toMatchObject({
      code: 'source-unreachable',
      message: expect.stringContaining('tiny.gguf could not be read: the disk has not answered'),
    });
  });

  it('makes the same records from the parts, whatever their order and names', async () => {
    const expected = await whole();
    const parts = partsOf(TINY);
    expect(await hashesOf(await openFiles([parts[2], parts[0], parts[1]]))).toEqual(expected);
    expect(
      await hashesOf(await openFiles(parts.map(({ blob }, n) => ({ blob, name: `download (${n}).gguf` })))),
    ).toEqual(expected);
    const empty = createSplitSynth(TINY, COUNT, true).map((file, n) => ({ blob: blobOf(file), name: nameOf(n + 1) }));
    expect(await hashesOf(await openFiles(empty))).toEqual(expected);
  });

  it('names the parts that are missing', async () => {
    const parts = partsOf(TINY);
    await expect(openFiles([parts[0], parts[2]])).rejects.toMatchObject({
      code: 'gguf-missing-part',
      message: expect.stringMatching(/tiny-00002-of-00003\.gguf is not given/),
    });
    await expect(openFiles([parts[1]])).rejects.toMatchObject({
      code: 'gguf-missing-part',
      message: expect.stringMatching(/tiny-00001-of-00003\.gguf, tiny-00003-of-00003\.gguf are/),
    });
  });

  it('refuses parts of different models', async () => {
    const parts = partsOf(TINY);
    const foreign = partsOf({ ...TINY, seed: 2 }, 'other');
    const mixed = { code: 'gguf-mixed-parts' };
    await expect(openFiles([parts[0], foreign[1], parts[2]])).rejects.toMatchObject({
      ...mixed,
      message: expect.stringContaining('other-00002-of-00003.gguf'),
    });
    await expect(openFiles([parts[0], parts[1], parts[1]])).rejects.toMatchObject({
      ...mixed,
      message: expect.stringContaining('both part 2'),
    });
    await expect(openFiles([parts[0], { blob: blobOf(createSynth(TINY)), name: 'tiny.gguf' }])).rejects.toMatchObject(
      mixed,
    );
    const two = createSplitSynth(TINY, 2).map((file, n) => ({ blob: blobOf(file), name: nameOf(n + 1, 'tiny', 2) }));
    await expect(openFiles([parts[0], two[1]])).rejects.toMatchObject(mixed);
    // Same names, but split elsewhere: some tensors occur twice, others not at all.
    const other = createSplitSynth({ ...TINY, vocabularySize: 4096 }, COUNT).map((file, n) => ({
      blob: blobOf(file),
      name: nameOf(n + 1),
    }));
    await expect(openFiles([parts[0], other[1], parts[2]]).then(hashesOf)).rejects.toMatchObject({
      ...mixed,
      message: expect.stringContaining('different tensors'),
    });
  });

  it('joins a file that was cut anywhere', async () => {
    const expected = await whole();
    const blob = blobOf(createSynth(TINY));
    const pieces = [blob.slice(0, 700_001), blob.slice(700_001, 1_500_000), blob.slice(1_500_000)];
    const numbered = pieces.map((piece, n) => ({ blob: piece, name: `tiny.gguf.part${n + 1}of3` }));
    const lettered = pieces.map((piece, n) => ({ blob: piece, name: `tiny.gguf-split-${'abc'[n]}` }));
    expect(await hashesOf(await openFiles([numbered[2], numbered[1], numbered[0]]))).toEqual(expected);
    expect(await hashesOf(await openFiles([lettered[1], lettered[0], lettered[2]]))).toEqual(expected);
    const missing = (name: string) => ({
      code: 'gguf-missing-part',
      message: expect.stringContaining(`${name} is not given`),
    });
    await expect(openFiles([numbered[0], numbered[1]])).rejects.toMatchObject(missing('tiny.gguf.part3of3'));
    await expect(openFiles([numbered[2]])).rejects.toMatchObject({
      message: expect.stringContaining('tiny.gguf.part1of3, tiny.gguf.part2of3 are not given'),
    });
    await expect(openFiles([lettered[0], lettered[2]])).rejects.toMatchObject(missing('tiny.gguf-split-b'));
    await expect(openFiles([numbered[0], lettered[1]])).rejects.toMatchObject({ code: 'gguf-mixed-parts' });
    // Letters do not show which piece is the last: the file is truncated.
    await expect(openFiles(lettered.slice(0, 2)).then(hashesOf)).rejects.toMatchObject({ code: 'gguf-truncated' });
  });

  it('names a file that is no GGUF', async () => {
    const parts = partsOf(TINY);
    await expect(openFiles([parts[0], { blob: new Blob(['x'.repeat(100)]), name: 'notes.txt' }])).rejects.toMatchObject(
      { code: 'gguf-not-gguf', message: expect.stringContaining('notes.txt') },
    );
  });
});

describe('openUrl', () => {
  const files: Record<string, SynthFile> = { '/single.gguf': createSynth(TINY) };
  for (const [n, file] of createSplitSynth(TINY, COUNT).entries()) {
    files[`/${nameOf(n + 1)}`] = file;
    if (n !== 1) files[`/gap/${nameOf(n + 1)}`] = file;
  }
  files['/renamed.gguf'] = files[`/${nameOf(1)}`];
  files[`/wrong/${nameOf(2)}`] = files[`/${nameOf(1)}`];
  const single = files['/single.gguf'];
  for (const [n, [from, to]] of [
    [0, 1_000_000],
    [1_000_000, 2_000_000],
    [2_000_000, single.size],
  ].entries()) {
    const piece: SynthFile = { size: to - from, read: (offset, length) => single.read(from + offset, length) };
    files[`/cut/tiny.gguf.part${n + 1}of3`] = piece;
    files[`/cut/tiny.gguf-split-${'abc'[n]}`] = piece;
    if (n !== 0) files[`/cut/gap.gguf.part${n + 1}of3`] = piece;
  }
  for (const letter of 'ab') files[`/refused/tiny.gguf-split-${letter}`] = files[`/cut/tiny.gguf-split-${letter}`];
  for (const letter of 'bc') files[`/headless/tiny.gguf-split-${letter}`] = files[`/cut/tiny.gguf-split-${letter}`];
  /** Status of files that are not served; of all others: 404. */
  const statuses: Record<string, number> = {};
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const file = files[pathname];
    if (file) sendRange(request, response, syntheticRanged(file));
    else response.writeHead(statuses[pathname] ?? 404).end();
  });
  let origin = '';
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  it('finds the other parts beside the first or any other one, and makes the same records', async () => {
    const expected = await whole();
    expect(await hashesOf(await openUrl(`${origin}/${nameOf(1)}?download=true`))).toEqual(expected);
    expect(await hashesOf(await openUrl(`${origin}/${nameOf(3)}`))).toEqual(expected);
    expect(await hashesOf(await openUrl(`${origin}/single.gguf`))).toEqual(expected);
  });

  it('finds the pieces of a file that was cut anywhere', async () => {
    const expected = await whole();
    expect(await hashesOf(await openUrl(`${origin}/cut/tiny.gguf.part2of3`))).toEqual(expected);
    expect(await hashesOf(await openUrl(`${origin}/cut/tiny.gguf-split-a?download=true`))).toEqual(expected);
    await expect(openUrl(`${origin}/cut/gap.gguf.part2of3`)).rejects.toMatchObject({
      code: 'gguf-missing-part',
      message: expect.stringMatching(/gap\.gguf\.part1of3 is out of reach .*404/),
    });
  });

  it('takes only a 404 after the given piece for the end of a file whose pieces have letters', async () => {
    const pieces = `${origin}/refused/tiny.gguf-split-`;
    const once = { retryDelaysMs: [] };
    // Without the third piece the file is cut off, which only reading it shows.
    expect((await openUrl(`${pieces}a`, once)).size).toBe(2_000_000);
    for (const status of [403, 410, 429, 500, 503]) {
      statuses['/refused/tiny.gguf-split-c'] = status;
      for (const given of 'ab')
        await expect(openUrl(pieces + given, once), `${status}, given ${given}`).rejects.toMatchObject({
          message: expect.stringContaining('tiny.gguf-split-c'),
        });
    }
    await expect(openUrl(`${origin}/headless/tiny.gguf-split-b`, once)).rejects.toMatchObject({
      code: 'gguf-missing-part',
      message: expect.stringMatching(/tiny\.gguf-split-a is out of reach .*404/),
    });
  });

  it('inspects the whole model', async () => {
    const [split, single] = [
      await inspectFile(await openUrl(`${origin}/${nameOf(2)}`)),
      await inspectFile(await openUrl(`${origin}/single.gguf`)),
    ];
    expect(split.tensors).toEqual(single.tensors);
    expect(split.records).toEqual(single.records);
    expect(split.parameterCount).toBe(single.parameterCount);
  });

  it('names the part that the server does not have', async () => {
    await expect(openUrl(`${origin}/gap/${nameOf(1)}`)).rejects.toMatchObject({
      code: 'gguf-missing-part',
      message: expect.stringMatching(/tiny-00002-of-00003\.gguf is out of reach .*404/),
    });
  });

  it('names the other parts if a part has another name, and says which part a wrongly named file is', async () => {
    const renamed = await openUrl(`${origin}/renamed.gguf`);
    await expect(inspectFile(renamed)).rejects.toMatchObject({
      code: 'gguf-missing-part',
      message: expect.stringContaining('part 2, part 3'),
    });
    await expect(openUrl(`${origin}/wrong/${nameOf(2)}`)).rejects.toMatchObject({
      code: 'gguf-mixed-parts',
      message: expect.stringContaining('part 1 of 3'),
    });
  });
});
