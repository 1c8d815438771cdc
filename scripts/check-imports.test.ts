import { describe, expect, it } from 'vitest';
import { checkFile } from './check-imports.mjs';

describe('checkFile', () => {
  it('lets a folder import what the table allows', () => {
    expect(
      checkFile('workers/model/forward.ts', "import { a } from '../gpu/dispatch.ts';\nimport b from 'comlink';"),
    ).toEqual([]);
    expect(
      checkFile('src/engine-client.ts', "new Worker(new URL('../workers/engine.worker.ts', import.meta.url))"),
    ).toEqual([]);
  });

  it.each([
    ['src/main.tsx', "import { Engine } from '../workers/engine.ts';"],
    ['workers/experts/loader.ts', "import type { Model } from '../model/forward.ts';"],
    ['workers/text/tokenizer.ts', "const x = await import('../gpu/device.ts');"],
    ['src/contract/ids.ts', "import code from '../../shaders/embed.wgsl?raw';"],
  ])('refuses %s: %s', (path, text) => {
    expect(checkFile(path, text)).toHaveLength(1);
  });
});
