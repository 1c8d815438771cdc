import { AxeBuilder } from '@axe-core/playwright';
import type { Page } from '@playwright/test';
import { expect } from './fixtures.ts';

/** The rules that are on and depend on colours (axe's `cat.color`). All others find the same in light and dark mode. */
const COLOUR_RULES = ['color-contrast', 'link-in-text-block'];

/**
 * Expects that axe finds no problem: with all of its rules in light mode, and with those about colours in dark mode too.
 * @param where names the view in a failure
 */
export async function expectNoFindings(page: Page, where: string): Promise<void> {
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    const { violations } = await (await analysis(page))
      .options({
        // For other results axe would look for a selector of each element, and Playwright would copy them.
        resultTypes: ['violations'],
        ...(colorScheme === 'dark' && { runOnly: { type: 'rule', values: COLOUR_RULES } }),
      })
      .analyze();
    const found = violations.flatMap(({ id, nodes }) =>
      nodes.map(
        ({ target, failureSummary }) => `${where}, ${colorScheme}: ${id} at ${target.join()} ${failureSummary}`,
      ),
    );
    expect(found).toEqual([]);
  }
}

/** An analysis that gives axe, 1.3 MB of code, only to a page and frames that do not have it yet. */
async function analysis(page: Page): Promise<AxeBuilder> {
  const present = await Promise.all(page.frames().map((frame) => frame.evaluate(() => 'axe' in window)));
  const axeSource = present.every(Boolean) ? 'undefined' : undefined;
  // Otherwise axe opens a page of its own each time, for frames of other origins, of which there are none.
  return new AxeBuilder({ page, ...(axeSource && { axeSource }) }).setLegacyMode();
}
