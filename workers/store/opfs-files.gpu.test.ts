/** Records as files, through the page's own workers: synchronous access handles exist only in workers. */
import { afterAll, describe, expect, it } from 'vitest';
import { createEngineClient, createImportClient } from '../../src/connect/worker-clients.ts';
import { proxy } from '../../src/contract/rpc.ts';
import { synthBlob } from '../engine/testing.ts';
import { SYNTH_PRESETS } from '../synth/presets.ts';

const importer = createImportClient();
const engine = createEngineClient();
afterAll(() => {
  importer.terminate();
  engine.terminate();
});

const file = (seed: number): File => new File([synthBlob({ ...SYNTH_PRESETS.tiny, seed })], 'tiny.gguf');
const importTo = (storage: 'opfs' | 'indexeddb', seed: number) =>
  importer.api.import(
    { kind: 'file', files: [file(seed)] },
    proxy(() => {}),
    { storage },
  );

async function tokensOf(modelId: string): Promise<number[]> {
  await engine.api.load(
    { modelId },
    proxy(() => {}),
  );
  const { tokens } = await engine.api.generate(
    { input: { kind: 'text', text: 'the first' }, maxTokens: 8, sampling: { temperature: 0 }, ignoreEos: true },
    proxy(() => {}),
  );
  return tokens.map(({ id }) => id);
}

async function fileNames(modelId: string): Promise<string[]> {
  const root = await navigator.storage.getDirectory();
  const folder = await root.getDirectoryHandle('mixtab-records');
  const names: string[] = [];
  try {
    for await (const name of (await folder.getDirectoryHandle(modelId)).keys()) names.push(name);
  } catch (error) {
    if ((error as DOMException).name !== 'NotFoundError') throw error;
  }
  return names;
}

it('this browser is found to have files that work, and no trace of the trial stays', async () => {
  const worker = new Worker(new URL('./opfs-works-testing.worker.ts', import.meta.url), { type: 'module' });
  const works = await new Promise((resolve) => {
    worker.onmessage = ({ data }: MessageEvent<boolean>) => resolve(data);
  });
  worker.terminate();
  expect(works).toBe(true);
  const names: string[] = [];
  for await (const name of (await navigator.storage.getDirectory()).keys()) names.push(name);
  expect(names).not.toContain('mixtab-probe');
});

describe('a model whose records are files', () => {
  it('gives the same tokens as one in the database', async () => {
    const { id } = await importTo('indexeddb', 5);
    const expected = await tokensOf(id);
    expect(await fileNames(id)).toEqual([]);
    await engine.api.unload();
    await importer.api.remove(id);
    await importTo('opfs', 5);
    expect(await fileNames(id)).toContain('L0.E0');
    expect(await tokensOf(id)).toEqual(expected);
    await engine.api.unload();
    await importer.api.remove(id);
    expect(await fileNames(id)).toEqual([]);
  });

  it('is read while another tab has its files open, in browsers that allow one handle per file', async () => {
    const { id } = await importTo('opfs', 7);
    const expected = await tokensOf(id);
    await engine.api.unload();
    const source = `onmessage = async ({ data: id }) => {
      const root = await navigator.storage.getDirectory();
      const folder = await (await root.getDirectoryHandle('mixtab-records')).getDirectoryHandle(id);
      self.held = [];
      for await (const file of folder.values()) self.held.push(await file.createSyncAccessHandle());
      postMessage(self.held.length);
    };`;
    const lockOwner = new Worker(URL.createObjectURL(new Blob([source])));
    const held = new Promise<number>((resolve) =>
      lockOwner.addEventListener('message', ({ data }: MessageEvent<number>) => resolve(data)),
    );
    lockOwner.postMessage(id);
    expect(await held).toBeGreaterThan(10);
    expect(await tokensOf(id)).toEqual(expected);
    lockOwner.terminate();
    await engine.api.unload();
    await importer.api.remove(id);
  });

  it('is found damaged if a file was changed or is missing, and removed completely', async () => {
    const { id } = await importTo('opfs', 6);
    const folder = await (
      await (await navigator.storage.getDirectory()).getDirectoryHandle('mixtab-records')
    ).getDirectoryHandle(id);
    const writable = await (await folder.getFileHandle('L0.E1')).createWritable({ keepExistingData: true });
    await writable.write({ type: 'write', position: 100, data: new Uint8Array([1, 2, 3, 4]) });
    await writable.close();
    await folder.removeEntry('L1.E2');
    expect(
      await importer.api.verify(
        id,
        proxy(() => {}),
      ),
    ).toEqual(['L0.E1', 'L1.E2']);
    await expect(tokensOf(id)).rejects.toMatchObject({ code: 'record-damaged' });
    await importer.api.remove(id);
    expect((await importer.api.list()).map((model) => model.id)).not.toContain(id);
  });
});
