/** The page on a phone: what is visible without scrolling. */
import { expect, openPage, test } from './fixtures.ts';

const SCREENS = [
  { width: 390, height: 844 },
  { width: 360, height: 640 },
];

for (const size of SCREENS) {
  test(`the start screen opens at its top on ${size.width} x ${size.height}`, async ({ page, server }) => {
    await page.setViewportSize(size);
    await openPage(page, server);
    const expectAtTop = async (): Promise<void> => {
      await expect(page.getByRole('heading', { level: 1 })).toBeInViewport({ ratio: 1 });
      expect(await page.getByRole('main').evaluate(({ scrollTop }) => scrollTop)).toBe(0);
    };
    await expectAtTop();
    // The import notice is gone once the built-in model is stored, and the page is laid out again.
    await expect(page.getByRole('progressbar')).toBeHidden();
    await expectAtTop();
    // There is no conversation to scroll, so there is no button for it.
    await expect(page.getByRole('button', { name: 'Scroll to bottom' })).toBeHidden();
    // After a reload the model is loaded from the store instead of imported.
    await page.reload();
    await expect(page.getByRole('button', { name: 'Once upon a time' })).toBeEnabled();
    await expectAtTop();
  });
}
