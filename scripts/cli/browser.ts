/** Runs the page's workers in a real headless Chromium with a profile of its own that is removed afterwards. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { chromium } from 'playwright';
import type { CliRequest, CliResult } from '../../src/cli/page.ts';
import { errorFromData } from '../../src/contract/errors.ts';
import { ensureBuild } from '../build.mjs';
import { ensureChromium, findChromium } from '../chromium.mjs';
import { chromiumFlags } from '../chromium-flags.mjs';
import { ROOT } from '../dependencies.mjs';
import { partPaths } from './part-paths.ts';
import { fileRanged, serve } from './server.ts';

/** Where a model comes from, as the command line names it. */
export type ModelArgument = { kind: 'builtin' } | { kind: 'url'; url: string } | { kind: 'file'; path: string };

/** @param onText gets the text of each token as it comes */
export async function generateInBrowser(
  model: ModelArgument,
  request: Omit<CliRequest, 'source'>,
  onText?: (text: string) => void,
): Promise<CliResult> {
  ensureBuild({ quiet: true });
  const modelName = model.kind === 'file' ? `/model/${encodeURIComponent(basename(model.path))}` : '';
  const paths = model.kind === 'file' ? partPaths(model.path) : [];
  const ranged = Object.fromEntries(paths.map((path) => [`/model/${basename(path)}`, fileRanged(path)]));
  const server = await serve(join(ROOT, 'dist'), ranged);
  const profile = mkdtempSync(join(tmpdir(), 'mixtab-cli-'));
  const cleanUp = (): void => {
    server.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  };
  process.on('exit', cleanUp); // Playwright ends the browser on signals, then the process
  try {
    const context = await chromium.launchPersistentContext(profile, {
      executablePath: findChromium()?.path ?? ensureChromium(),
      args: chromiumFlags(),
      headless: true,
      // Some systems' Chromium is started through a wrapper that Playwright's own sandbox flag does not reach.
      chromiumSandbox: false,
    });
    try {
      const page = context.pages()[0] ?? (await context.newPage());
      if (onText) await page.exposeFunction('mixtabOnText', onText);
      await page.goto(`${server.origin}/cli.html`);
      await page.waitForFunction(() => 'mixtabGenerate' in window);
      const source: CliRequest['source'] =
        model.kind === 'builtin'
          ? { kind: 'builtin', url: `${server.origin}/models/builtin.gguf` }
          : { kind: 'url', url: model.kind === 'url' ? model.url : `${server.origin}${modelName}` };
      const answer = await page.evaluate((full: CliRequest) => window.mixtabGenerate(full), { ...request, source });
      if ('error' in answer) throw errorFromData(answer.error);
      return answer.result;
    } finally {
      await context.close();
    }
  } finally {
    cleanUp();
  }
}
