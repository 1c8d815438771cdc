/** What the page does without WebGPU, without WebAssembly, and without both. */
import type { Page } from '@playwright/test';
import { computeWith, expect, openLibrary, openPage, stopStoryAfter, storedSetting, test } from './fixtures.ts';

const NO_WEBGPU = 'delete WorkerNavigator.prototype.gpu';
/** The policy of a page that forbids WebAssembly. A worker has the policy that its script is served with. */
const NO_WASM = { 'content-security-policy': "script-src 'self'" };

/** Serves the engine's worker with a script before its own, and with other headers. */
async function changeEngine(page: Page, script: string, headers: Record<string, string> = {}): Promise<void> {
  await page.route(/engine\.worker.*\.js$/, async (route) => {
    const response = await route.fetch();
    await route.fulfill({
      response,
      headers: { ...response.headers(), ...headers },
      body: `try { ${script} } catch {}\n${await response.text()}`,
    });
  });
}

async function writeStory(page: Page): Promise<void> {
  await stopStoryAfter(page, 20, () => page.getByRole('button', { name: 'Once upon a time' }).click());
  await expect(page.getByRole('article', { name: 'Text' })).toContainText(/Once upon a time[\s\S]{20}/);
}

const CAUSES: [cause: string, script: string, message: RegExp, reason: RegExp][] = [
  ['no WebGPU', NO_WEBGPU, /This browser has no WebGPU\. Use a current/, /because this browser has no WebGPU/],
  [
    'a blocked adapter',
    'GPU.prototype.requestAdapter = async () => null',
    /gives no GPU adapter/,
    /because the browser offers no GPU/,
  ],
];

for (const [cause, script, message, reason] of CAUSES) {
  test(`with ${cause}, the CPU writes a story, and a hint says how to get a GPU`, async ({ page, server }) => {
    await changeEngine(page, script);
    await openPage(page, server);
    const hint = page.getByRole('status').filter({ hasText: 'A GPU would be faster' });
    await expect(hint).toContainText(message);
    await expect(page.getByRole('button', { name: /mixtab storyteller.*CPU/ })).toHaveAttribute('title', reason);
    await writeStory(page);
    await expect(page.getByRole('alert')).toHaveCount(0);
    await page.getByRole('button', { name: 'Settings' }).click();
    await expect(page.getByText(/^Computing on the CPU with \d+ threads?, because/)).toContainText(reason);
    await page.getByRole('button', { name: 'Close' }).click();
    // Once dismissed, the hint is not shown again.
    await hint.getByRole('button', { name: 'Dismiss' }).click();
    await expect.poll(() => storedSetting(page, 'gpuHintDismissed')).toBe(true);
    await page.reload();
    await expect(page.getByRole('button', { name: /mixtab storyteller.*CPU/ })).toBeVisible();
    await expect(hint).toHaveCount(0);
  });
}

test('a choice of the GPU without WebGPU is refused, and one click lets the CPU compute', async ({ page, server }) => {
  await changeEngine(page, NO_WEBGPU);
  await openPage(page, server);
  await computeWith(page, 'GPU');
  const alert = page.getByRole('alert');
  await expect(alert).toContainText('This browser has no WebGPU');
  await alert.getByRole('button', { name: 'Use the CPU' }).click();
  await expect(alert).toHaveCount(0);
  await writeStory(page);
});

test('if WebAssembly is blocked, the GPU computes, and a choice of the CPU is refused', async ({ page, server }) => {
  await changeEngine(page, '', NO_WASM);
  await openPage(page, server);
  await expect(page.getByRole('button', { name: /mixtab storyteller.*GPU/ })).toBeVisible();
  await computeWith(page, 'CPU');
  const alert = page.getByRole('alert');
  await expect(alert).toContainText(/policy .* blocks WebAssembly/);
  await alert.getByRole('button', { name: 'Use the GPU' }).click();
  await expect(alert).toHaveCount(0);
  await expect(page.getByRole('button', { name: 'Once upon a time' })).toBeEnabled();
});

const NO_CPU: [cause: string, script: string, headers: Record<string, string>, message: RegExp][] = [
  ['with WebAssembly blocked', '', NO_WASM, /blocks WebAssembly .*'wasm-unsafe-eval'/],
  ['without SIMD', 'WebAssembly.validate = () => false', {}, /The WebAssembly of this browser has no SIMD/],
];

for (const [cause, script, headers, message] of NO_CPU) {
  test(`without WebGPU and ${cause}, the page names both causes and what to do`, async ({ page, server }) => {
    await changeEngine(page, `${NO_WEBGPU}; ${script}`, headers);
    await page.goto(`${server.origin}/`);
    const alert = page.getByRole('alert');
    await expect(alert).toHaveCount(1);
    await expect(alert).toContainText(/This browser has no WebGPU\. Use a current/);
    await expect(alert).toContainText(message);
    // The rest of the page still works.
    await openLibrary(page);
  });
}

test('without WebAssembly, a GPU that comes back is found with one click, without reloading the page', async ({
  page,
  server,
}) => {
  const absent = 'self.find ??= GPU.prototype.requestAdapter; GPU.prototype.requestAdapter = async () => null';
  await changeEngine(page, absent, NO_WASM);
  await page.goto(`${server.origin}/`);
  const alert = page.getByRole('alert');
  await expect(alert).toContainText(/gives no GPU adapter/);
  await alert.getByRole('button', { name: 'Try again' }).click();
  await expect(alert.getByRole('button', { name: 'Try again' })).toBeEnabled();
  for (const worker of page.workers()) {
    await worker.evaluate(() => {
      const find = Reflect.get(self, 'find') as typeof GPU.prototype.requestAdapter | undefined;
      if (find) GPU.prototype.requestAdapter = find;
    });
  }
  await alert.getByRole('button', { name: 'Try again' }).click();
  await expect(page.getByRole('button', { name: /mixtab storyteller.*GPU/ })).toBeVisible();
  await expect(alert).toHaveCount(0);
});

test('over http, the page says that it needs https', async ({ page, server }) => {
  const insecure = 'Object.defineProperty(globalThis, "isSecureContext", { value: false })';
  await changeEngine(page, `${NO_WEBGPU}; ${insecure}`);
  await page.goto(`${server.origin}/`);
  const alert = page.getByRole('alert');
  await expect(alert).toHaveCount(1);
  await expect(alert).toContainText(
    /hides WebGPU because this page was not loaded over https .* Open the page over https/,
  );
  await openLibrary(page);
});
