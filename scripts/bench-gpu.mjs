/**
 * `npm run bench:gpu [-- OPTIONS]`: measures this machine's GPU in Node with Dawn, without a browser and without model
 * files. `npm run bench:gpu -- --pack FILE` writes an archive that does the same on a machine without a network. All
 * options: docs/gpu-bench.md.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ensureDependencies, ROOT } from './dependencies.mjs';
import { softwareVulkan } from './vulkan.mjs';

const RUN = join(ROOT, 'bench', 'gpu', 'run.mjs');
/** The archive has to fit where large files are unwelcome. */
const MAX_ARCHIVE_BYTES = 64 * 2 ** 20;

const README = `mixtab: how fast is this GPU?

  sh measure.sh                  at most nine minutes; the report is in gpu-report.json
  sh measure.sh --deadline 120   at most two and a half minutes
  sh measure.sh --tiny           a few seconds, to see whether it runs

It needs a Vulkan driver and the loader libvulkan.so.1. It opens no network connection.
`;

/** Bundles measure.ts with everything that it imports, kernels included. */
export async function bundle(folder) {
  const { build } = await import('vite');
  await build({
    configFile: false,
    root: ROOT,
    logLevel: 'warn',
    publicDir: false,
    // @huggingface/tasks: see vite.config.ts
    build: {
      ssr: join(ROOT, 'workers', 'measure', 'measure.ts'),
      outDir: folder,
      emptyOutDir: false,
      minify: false,
      target: 'node20',
      rollupOptions: {
        treeshake: { moduleSideEffects: (id) => !id.includes('@huggingface/tasks') },
        output: { entryFileNames: 'measure.mjs', inlineDynamicImports: true },
      },
    },
    ssr: { noExternal: true },
  });
  return join(folder, 'measure.mjs');
}

/** The native part of the package `webgpu` for this system. */
function dawnFile() {
  const folder = dirname(createRequire(import.meta.url).resolve('webgpu'));
  const architecture = process.platform === 'darwin' ? 'universal' : process.arch;
  return join(folder, 'dist', `${process.platform}-${architecture}`, 'dawn.node');
}

function command(name, args) {
  const { status, error } = spawnSync(name, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) throw new Error(`${name} ${args.join(' ')} failed${error ? `: ${error.message}` : ''}.`);
}

/** Copies a program without its symbols, if the system has `strip`. */
function copyStripped(from, to) {
  copyFileSync(from, to);
  spawnSync('strip', ['--strip-unneeded', to], { stdio: 'ignore' });
}

/** Writes an archive with bundle, Dawn and Node, for a machine of the same system and processor. */
async function pack(file) {
  const work = mkdtempSync(join(tmpdir(), 'mixtab-gpu-'));
  const folder = join(work, 'mixtab-gpu');
  try {
    mkdirSync(folder);
    await bundle(folder);
    copyFileSync(RUN, join(folder, 'run.mjs'));
    copyStripped(dawnFile(), join(folder, 'dawn.node'));
    copyStripped(process.execPath, join(folder, 'node'));
    writeFileSync(
      join(folder, 'measure.sh'),
      '#!/bin/sh\nexec "$(dirname "$0")/node" "$(dirname "$0")/run.mjs" "$@"\n',
    );
    writeFileSync(join(folder, 'README'), README);
    mkdirSync(dirname(resolve(file)), { recursive: true });
    command('tar', [file.endsWith('.xz') ? '-cJf' : '-czf', resolve(file), '-C', work, 'mixtab-gpu']);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  const { size } = statSync(file);
  if (size > MAX_ARCHIVE_BYTES) throw new Error(`${file} has ${size} bytes, more than ${MAX_ARCHIVE_BYTES}.`);
  console.log(
    `${file}: ${(size / 1e6).toFixed(1)} MB. On the other machine: tar xf ${file} && sh mixtab-gpu/measure.sh`,
  );
}

async function main(args) {
  ensureDependencies();
  const packAt = args.indexOf('--pack');
  if (packAt >= 0) {
    if (!args[packAt + 1]) throw new Error('--pack needs a file name, for example --pack mixtab-gpu.tar.xz');
    return pack(args[packAt + 1]);
  }
  const software = args.includes('--software');
  const env = { ...process.env, ...(software && softwareVulkan()) };
  const folder = join(ROOT, 'node_modules', '.cache', 'bench-gpu');
  const rest = args.filter((arg) => arg !== '--software');
  const own = rest.includes('--bundle') ? [] : ['--bundle', await bundle(folder)];
  const { status } = spawnSync(process.execPath, [RUN, ...own, ...rest], { stdio: 'inherit', env });
  process.exitCode = status ?? 1;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  main(process.argv.slice(2)).catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
