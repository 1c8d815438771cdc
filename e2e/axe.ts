import { AxeBuilder } from '@axe-core/playwright';
import type { Page } from '@playwright/test';
import { expect } from './fixtures.ts';

/**
 * Expects that axe finds no problem with any of its rules, in light and in dark mode because contrast differs.
 * @param where names the view in a failure
 */
export async function expectNoFindings(page: Page, where: string): Promise<void> {
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    // Otherwise axe opens a page of its own each time, for frames of other origins, of which there are none.
    const { violations } = await new AxeBuilder({ page }).setLegacyMode().analyze();
    const found = violations.flatMap(({ id, nodes }) =>
      nodes.map(
        ({ target, failureSummary }) => `${where}, ${colorScheme}: ${id} at ${target.join()} ${failureSummary}`,
      ),
    );
    expect(found).toEqual([]);
  }
}
