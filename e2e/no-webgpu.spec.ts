import { expect, openLibrary, test } from './fixtures.ts';

const CAUSES: [cause: string, script: string, message: RegExp][] = [
  ['no support', 'delete WorkerNavigator.prototype.gpu', /This browser has no WebGPU\. Use a current/],
  [
    'an insecure context',
    'delete WorkerNavigator.prototype.gpu; Object.defineProperty(globalThis, "isSecureContext", { value: false })',
    /hides WebGPU because this page was not loaded over https/,
  ],
  ['a blocked adapter', 'GPU.prototype.requestAdapter = async () => null', /gives no GPU adapter/],
];

for (const [cause, script, message] of CAUSES) {
  test(`${cause}: the page says what to do in one sentence`, async ({ page, server }) => {
    // The engine asks in its worker: the worker's script is served with the change in front of it.
    await page.route(/engine\.worker.*\.js$/, async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, body: `try { ${script} } catch {}\n${await response.text()}` });
    });
    await page.goto(`${server.origin}/`);
    await expect(page.getByRole('alert')).toHaveCount(1);
    await expect(page.getByRole('alert')).toContainText(message);
    // The rest of the page is still of use.
    await openLibrary(page);
  });
}
