/** Features that other browsers lack, removed from this one. */
import { expect, importFrom, openLibrary, openPage, stopStoryAfter, test } from './fixtures.ts';

test('with storage blocked, the page says so and still works', async ({ page, server }) => {
  await page.addInitScript(() => {
    const refuse = () => {
      throw new DOMException('denied', 'SecurityError');
    };
    for (const name of ['localStorage', 'sessionStorage']) Object.defineProperty(globalThis, name, { get: refuse });
    IDBFactory.prototype.open = refuse;
  });
  await page.goto(`${server.origin}/`);
  await expect(page.getByRole('alert')).toContainText('The browser blocks storage for this page');
  await openLibrary(page);
  await page.getByRole('button', { name: 'Settings' }).click();
  await expect(page.getByRole('dialog', { name: 'Settings' })).toBeVisible();
});

test('the first visit asks for no permission, and an import asks to keep the data', async ({ page, server }) => {
  await page.addInitScript(() => {
    const asked: string[] = [];
    Object.assign(globalThis, { asked });
    StorageManager.prototype.persisted = async () => false;
    StorageManager.prototype.persist = async () => asked.push('persist') > 0;
    Notification.requestPermission = async () => {
      asked.push('notifications');
      return 'denied';
    };
  });
  const asked = () => page.evaluate(() => (globalThis as unknown as { asked: string[] }).asked);
  await openPage(page, server);
  await openLibrary(page);
  expect(await asked()).toEqual([]);
  await importFrom(page, `${server.origin}/chat.gguf`);
  await expect(page.getByRole('heading', { name: 'Ask Tiny Chat' })).toBeVisible();
  expect(await asked()).toEqual(['persist']);
});

test('the page works without estimate, clipboard, deviceMemory and randomUUID, and leaves out unknown figures', async ({
  page,
  server,
}) => {
  await page.addInitScript(() => {
    delete (StorageManager.prototype as Partial<StorageManager>).estimate;
    Object.defineProperty(navigator, 'clipboard', { value: undefined });
    Object.defineProperty(navigator, 'deviceMemory', { value: undefined });
    Object.defineProperty(crypto, 'randomUUID', { value: undefined });
    document.execCommand = (command) => {
      Object.assign(globalThis, { copied: [command, (document.activeElement as HTMLTextAreaElement).value] });
      return true;
    };
  });
  await openPage(page, server);
  await stopStoryAfter(page, 1, () => page.getByRole('button', { name: 'Once upon a time' }).click());
  await page.getByRole('button', { name: 'Copy text' }).click();
  await expect(page.getByRole('button', { name: 'Copied' })).toBeVisible();
  expect(await page.evaluate(() => (globalThis as unknown as { copied: string[] }).copied)).toEqual([
    'copy',
    expect.stringMatching(/^Once upon a time/),
  ]);
  await openLibrary(page);
  await expect(page.getByText(/that this browser allows this page/)).toBeHidden();
});
