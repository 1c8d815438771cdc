/**
 * `npm run -s pack:client`: packs the client library as an npm package into dist-client/ and prints the tarball's path.
 * The package contains the compiler's declarations of the library's entry and of all modules that it refers to.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildClientLibrary, CLIENT_FILE } from './client-library.mjs';
import { ROOT } from './dependencies.mjs';

const OUT = join(ROOT, 'dist-client');
const ENTRY = 'client/mixtab.d.ts';

function run(command, args, cwd = ROOT) {
  const { status, stdout } = spawnSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 2] });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed: ${stdout}`);
  return stdout;
}

/**
 * Copies a declaration file and all that it imports. Imports get the extension .js, which resolves in other projects.
 */
function copyDeclaration(from, path, to, done = new Set()) {
  if (done.has(path)) return;
  done.add(path);
  const text = readFileSync(join(from, path), 'utf8').replace(
    /(from\s+|import\()'(\.[^']+)\.ts'/g,
    (_, before, target) => {
      copyDeclaration(from, join(dirname(path), `${target}.d.ts`), to, done);
      return `${before}'${target}.js'`;
    },
  );
  mkdirSync(dirname(join(to, path)), { recursive: true });
  writeFileSync(join(to, path), text);
}

function writeTypes() {
  const temporary = mkdtempSync(join(tmpdir(), 'mixtab-types-'));
  try {
    const project = join(temporary, 'tsconfig.json');
    const options = {
      noEmit: false,
      declaration: true,
      emitDeclarationOnly: true,
      noCheck: true, // npm run check does that
      rootDir: join(ROOT, 'src'),
      outDir: join(temporary, 'out'),
      types: [],
    };
    const extended = {
      extends: join(ROOT, 'tsconfig.json'),
      compilerOptions: options,
      include: [],
      files: [join(ROOT, 'src', 'client', 'mixtab.ts')],
    };
    writeFileSync(project, JSON.stringify(extended));
    run('node', [join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', project]);
    copyDeclaration(options.outDir, ENTRY, join(OUT, 'types'));
  } finally {
    rmSync(temporary, { recursive: true });
  }
}

function writeManifest() {
  const { version, license, engines } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const manifest = {
    name: 'mixtab-client',
    version,
    description:
      'Mixtral-architecture models in a browser tab, in the shape of the OpenAI API: the client of an embedded mixtab page.',
    license,
    type: 'module',
    sideEffects: false,
    engines,
    exports: { '.': { types: `./types/${ENTRY}`, default: `./${CLIENT_FILE}` } },
    types: `./types/${ENTRY}`,
    files: [CLIENT_FILE, 'types'],
  };
  writeFileSync(join(OUT, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** @returns the tarball's path */
export async function packClient() {
  rmSync(OUT, { recursive: true, force: true });
  mkdirSync(OUT);
  await buildClientLibrary(OUT);
  writeTypes();
  writeManifest();
  copyFileSync(join(ROOT, 'LICENSE'), join(OUT, 'LICENSE'));
  copyFileSync(join(ROOT, 'src', 'client', 'README.md'), join(OUT, 'README.md'));
  const [{ filename }] = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', OUT], OUT));
  return join(OUT, filename);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href)
  console.log(relative(process.cwd(), await packClient()));
