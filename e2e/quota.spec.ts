/** Imports that meet the browser's own quota: real refusals of Chromium, in the middle of an import. */
import { storedImport } from '../scripts/kill/stored-import.ts';
import { chatModel, expect, importFrom, openLibrary, openPage, standInModel, storedModels, test } from './fixtures.ts';

const MODEL_BYTES = chatModel().length;
/** Room for the stand-in of the built-in model and what else the page stores, and for half of the model to import. */
const QUOTA_BYTES = standInModel().length + 350_000 + MODEL_BYTES / 2;

for (const [place, storage] of [
  ['the database', 'indexeddb'],
  ['private files', 'opfs'],
]) {
  test(`an import into ${place} that meets the browser's quota keeps what is stored, and continues when there is room`, async ({
    page,
    server,
    context,
  }) => {
    const { origin } = server;
    const other = await context.newPage();
    await other.goto(`${origin}/embedder.html`);
    const cdp = await context.newCDPSession(other);
    // Before anything is stored: Chromium's database asks what is left only once the last answer is used up, or
    // after half a minute. Its report (`navigator.storage.estimate`) does not change, so the import begins.
    await cdp.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: QUOTA_BYTES });
    await openPage(page, server);
    await page.getByRole('button', { name: 'Settings' }).click();
    await page.getByRole('combobox', { name: 'Store new models in' }).selectOption(storage);
    await page.getByRole('button', { name: 'Close' }).click();
    server.ranges.length = 0;
    server.bytesPerSecond = MODEL_BYTES; // one second, so that records are stored one by one
    await importFrom(page, `${origin}/chat.gguf`);
    const notice = page.getByRole('alert').filter({ hasText: "The browser's storage is full" });
    const isKept = 'What was stored so far is kept. Free disk space or remove a model, then continue the import on the';
    await expect(notice).toContainText(isKept);
    expect(await storedModels(page)).toEqual(['mixtab storyteller']);
    const kept = await storedImport(page, 'Tiny Chat');
    expect(kept).toMatchObject({ complete: false, bad: [] });
    expect(kept!.records.length).toBeGreaterThanOrEqual(4);
    const first = new Set(server.ranges);

    server.ranges.length = 0;
    server.bytesPerSecond = Number.POSITIVE_INFINITY;
    await openLibrary(page);
    const proceed = page.getByRole('button', { name: 'Continue import of Tiny Chat' });
    await proceed.click(); // there is still no room
    await expect(notice).toContainText(isKept);
    await cdp.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 2 * QUOTA_BYTES });
    await proceed.click();
    await expect(page.getByRole('heading', { name: 'Ask Tiny Chat' })).toBeVisible();
    const whole = await storedImport(page, 'Tiny Chat');
    expect(whole).toMatchObject({ complete: true, bad: [] });
    expect(whole!.records).toHaveLength(20);
    expect(whole!.records).toEqual(expect.arrayContaining(kept!.records));
    // The header and the samples are read again, but nothing of the records that were kept.
    const again = [...new Set(server.ranges)].filter((range) => first.has(range));
    expect(first.size - again.length).toBeGreaterThanOrEqual(2 * kept!.records.length);
  });
}
