/** Tests the npm package as its users see it: packed, installed in another folder, type-checked and imported. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ROOT } from './dependencies.mjs';

const folder = mkdtempSync(join(tmpdir(), 'mixtab-consumer-'));
afterAll(() => rmSync(folder, { recursive: true }));

function run(command: string, args: string[], cwd = folder): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}:\n${stdout}${stderr}`);
  return stdout.trim();
}

const CONSUMER = `
import { createMixtab, MixtabError, type ChatChunk, type Metrics, type Mixtab, type ModelSummary, type ResponseFormat, type Routing } from 'mixtab-client';

const mixtab: Mixtab = await createMixtab({ embedUrl: 'https://host/embed.html' });
const models: ModelSummary[] = await mixtab.models.list();
const format: ResponseFormat = { type: 'json_schema', json_schema: { schema: { type: 'object' } } };
const answer = await mixtab.chat.completions.create({ model: models[0].id, messages: [{ role: 'user', content: 'Hi' }], response_format: format });
const text: string = answer.choices[0].message.content;
const chunks: AsyncIterable<ChatChunk> = await mixtab.chat.completions.create({ messages: [], stream: true }, { signal: AbortSignal.timeout(9) });
for await (const { usage } of chunks) console.log(usage?.total_tokens, text);
const routing: Routing = await mixtab.routing('text');
const metrics: Metrics | null = await mixtab.metrics();
console.log(routing.layers[0].use, metrics?.residence[0][0] === 'gpu', new MixtabError('busy', 'x').code === 'busy');
// @ts-expect-error there are no tools
await mixtab.chat.completions.create({ messages: [], tools: [] });
// @ts-expect-error a role must be one of three
await mixtab.chat.completions.create({ messages: [{ role: 'tool', content: '' }] });
`;

beforeAll(() => {
  const tarball = join(ROOT, run('node', [join(ROOT, 'scripts', 'pack-client.mjs')], ROOT));
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module' }));
  run('npm', ['install', '--offline', '--no-audit', '--no-fund', tarball]);
});

it('contains code, types, licence and README, and has no dependencies', () => {
  const installed = join(folder, 'node_modules', 'mixtab-client');
  for (const file of ['mixtab-client.js', 'types/client/mixtab.d.ts', 'LICENSE', 'README.md'])
    expect(existsSync(join(installed, file)), file).toBe(true);
  const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  expect(manifest).toMatchObject({ name: 'mixtab-client', version, license: 'MIT' });
  expect([manifest.dependencies, manifest.private]).toEqual([undefined, undefined]);
});

it('type-checks strictly, including its declarations', () => {
  writeFileSync(join(folder, 'consumer.ts'), CONSUMER);
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        strict: true,
        skipLibCheck: false,
        noEmit: true,
        target: 'ES2022',
        module: 'NodeNext',
        moduleResolution: 'NodeNext',
        types: [],
        lib: ['ES2022', 'DOM', 'DOM.Iterable'],
      },
      files: ['consumer.ts'],
    }),
  );
  run('node', [join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', '.']);
});

it('can be imported in Node', () => {
  const script =
    "import('mixtab-client').then(({ createMixtab, MixtabError }) => console.log(typeof createMixtab, new MixtabError('busy', 'x').code))";
  expect(run('node', ['-e', script])).toBe('function busy');
});
