/** What the page's services find of a page, for tests in Node. */
import { vi } from 'vitest';

/** Stubs a visible document, the address and the window's events. To be called before the services are imported. */
export function stubPage(): void {
  vi.stubGlobal(
    'document',
    Object.assign(new EventTarget(), { visibilityState: 'visible', documentElement: { style: {} } }),
  );
  vi.stubGlobal('location', { hash: '' });
  vi.stubGlobal('addEventListener', () => {});
}
