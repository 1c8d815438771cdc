/** Without WebGPU the page explains why and what to do. */
import { expect, openLibrary, test } from './fixtures.ts';

const CAUSES: [cause: string, script: string, message: RegExp][] = [
  ['no WebGPU', 'delete WorkerNavigator.prototype.gpu', /This browser has no WebGPU\. Use a current/],
  [
    'an insecure context',
    'delete WorkerNavigator.prototype.gpu; Object.defineProperty(globalThis, "isSecureContext", { value: false })',
    /hides WebGPU because this page was not loaded over https/,
  ],
  ['a blocked adapter', 'GPU.prototype.requestAdapter = async () => null', /gives no GPU adapter/],
];

for (const [cause, script, message] of CAUSES) {
  test(`with ${cause}, the page says what to do`, async ({ page, server }) => {
    // The engine checks in its worker, so the worker's script is served with the change prepended.
    await page.route(/engine\.worker.*\.js$/, async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, body: `try { ${script} } catch {}\n${await response.text()}` });
    });
    await page.goto(`${server.origin}/`);
    await expect(page.getByRole('alert')).toHaveCount(1);
    await expect(page.getByRole('alert')).toContainText(message);
    // The rest of the page still works.
    await openLibrary(page);
  });
}
