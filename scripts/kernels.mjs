/**
 * Compiles the CPU kernels (AssemblyScript, workers/compute/cpu/kernels) to WebAssembly if a source is newer. Needs
 * node_modules.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT } from './dependencies.mjs';

const SOURCES = join(ROOT, 'workers', 'compute', 'cpu', 'kernels');
const OUTPUT = join(ROOT, 'workers', 'compute', 'cpu', 'kernels.wasm');

/** Pages of 64 KiB: what the kernels' own data need at first, and what a 32-bit memory can have at most. */
const PAGES = { initial: 8, maximum: 65536 };

export function ensureKernels() {
  const inputs = readdirSync(SOURCES).map((name) => join(SOURCES, name));
  inputs.push(join(ROOT, 'package-lock.json'), import.meta.filename);
  const newest = Math.max(...inputs.map((path) => statSync(path).mtimeMs));
  if (existsSync(OUTPUT) && statSync(OUTPUT).mtimeMs > newest) return;
  process.stderr.write('Compiling the CPU kernels ...\n');
  const asc = join(ROOT, 'node_modules', 'assemblyscript', 'bin', 'asc.js');
  const { status } = spawnSync(
    process.execPath,
    [
      asc,
      join(SOURCES, 'index.ts'),
      '--outFile',
      OUTPUT,
      '-O3',
      '--noAssert',
      '--runtime',
      'stub',
      '--enable',
      'simd',
      '--use',
      'abort=',
      '--initialMemory',
      String(PAGES.initial),
      '--maximumMemory',
      String(PAGES.maximum),
    ],
    { cwd: ROOT, stdio: ['ignore', 2, 2] },
  );
  if (status !== 0) process.exit(status ?? 1);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) ensureKernels();
