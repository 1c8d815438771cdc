import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { checkFile, findCycle, folderOf, importsOf, rulesTable } from './check-imports.mjs';

describe('checkFile', () => {
  it('lets a folder import what its rule allows', () => {
    expect(
      checkFile(
        'workers/compute/gpu/model/forward.ts',
        "import { a } from '../../../experts/grouping.ts';\nimport b from 'comlink';",
      ),
    ).toEqual([]);
    expect(
      checkFile(
        'src/connect/worker-clients.ts',
        "new Worker(new URL('../../workers/engine.worker.ts', import.meta.url))",
      ),
    ).toEqual([]);
    expect(checkFile('src/page/shell/App.tsx', "import { ChatView } from '../chat/ChatView.tsx';")).toEqual([]);
  });

  it.each([
    ['src/page/shell/main.tsx', "import { Engine } from '../../../workers/engine/engine.ts';"],
    ['src/page/state/models.ts', "import { loadModel } from '../services/models.ts';"],
    ['src/page/services/answers.ts', "import { Thread } from '../chat/Thread.tsx';"],
    ['src/page/chat/Thread.tsx', "import { Sidebar } from '../sidebar/Sidebar.tsx';"],
    ['src/page/chat/Thread.tsx', "import { createEngineClient } from '../../connect/worker-clients.ts';"],
    ['src/page/experts/RunBar.tsx', "import { engine } from '../services/workers.ts';"],
    ['src/ui/Dialog.tsx', "import { view } from '../page/state/route.ts';"],
    ['workers/experts/loader.ts', "import type { Model } from '../compute/gpu/model/model.ts';"],
    ['workers/compute/model-records.ts', "import type { Model } from './gpu/model/model.ts';"],
    ['workers/text/tokenizer.ts', "const x = await import('../compute/gpu/device.ts');"],
    ['src/contract/ids.ts', "import code from '../../shaders/embed.wgsl?raw';"],
    ['workers/engine.ts', "import { a } from '../src/page/shell/App.tsx';"],
    ['src/somewhere/new.ts', ''],
  ])('refuses %s: %s', (path, text) => {
    expect(checkFile(path, text)).toHaveLength(1);
  });

  it('lets tests import anything', () => {
    expect(checkFile('workers/text/tokenizer.test.ts', "import { a } from '../compute/gpu/device.ts';")).toEqual([]);
  });
});

describe('folderOf', () => {
  it('prefers the longest folder, and does not match a mere prefix of a name', () => {
    expect(folderOf('workers/compute/gpu/ops/matmul.ts')).toBe('workers/compute/gpu');
    expect(folderOf('workers/engine.worker.ts')).toBe('workers');
    expect(folderOf('src/client-side/x.ts')).toBeUndefined();
  });
});

it('importsOf finds static, dynamic, type and worker imports, without their queries', () => {
  const text = `import a from './a.ts'; import type { B } from '../b.ts'; export * from './c.ts';
    await import('./d.ts'); new Worker(new URL('./e.worker.ts', import.meta.url)); import s from './f.wgsl?raw';
    import './g.css'; import 'package';`;
  expect(importsOf('x/y/z.ts', text).sort()).toEqual(
    ['x/b.ts', ...['a.ts', 'c.ts', 'd.ts', 'e.worker.ts', 'f.wgsl', 'g.css'].map((name) => `x/y/${name}`)].sort(),
  );
});

describe('findCycle', () => {
  it('names the cycle without the nodes that lead to it', () => {
    const edges = new Map([
      ['a', ['b', 'x']],
      ['b', ['c']],
      ['c', ['d']],
      ['d', ['b']],
      ['x', []],
    ]);
    expect(findCycle(edges)).toEqual(['b', 'c', 'd', 'b']);
  });

  it('finds none where two paths meet', () => {
    const edges = new Map([
      ['a', ['b', 'c']],
      ['b', ['d']],
      ['c', ['d']],
      ['d', []],
    ]);
    expect(findCycle(edges)).toBeUndefined();
  });
});

it('docs/architecture.md shows exactly the rules that are enforced', () => {
  const page = readFileSync(new URL('../docs/architecture.md', import.meta.url), 'utf8');
  expect(page).toContain(rulesTable());
});
