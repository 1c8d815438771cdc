import { beforeEach, expect, it, vi } from 'vitest';
import { FakeStorage } from './web-storage-testing.ts';

const local = new FakeStorage();
const stored = local.values;
const held = new Set<string>();
const listeners = new Map<string, () => void>();
const page = {
  visibilityState: 'visible',
  addEventListener: (type: string, call: () => void) => void listeners.set(type, call),
};
vi.stubGlobal('document', page);
vi.stubGlobal('addEventListener', page.addEventListener);
vi.stubGlobal('navigator', {
  locks: {
    request: (name: string) => void held.add(name),
    query: async () => ({ held: [...held].map((name) => ({ name })) }),
  },
});
vi.stubGlobal('localStorage', local);

/** The module as a tab that was just opened has it. */
async function openTab() {
  vi.resetModules();
  const tab = await import('./load-mark.ts');
  tab.watchTab();
  return tab;
}

const MARK = { modelId: 'm', name: 'M' };

beforeEach(() => {
  stored.clear();
  held.clear();
  page.visibilityState = 'visible';
});

it('finds the note of a tab that ended while it loaded a model, once', async () => {
  const tab = await openTab();
  tab.markLoading(MARK);
  tab.updateMark({ megabytes: 7 });
  held.clear(); // the browser releases the locks of a tab that has ended
  const next = await openTab();
  expect(await next.takeLeftMarks()).toEqual([{ ...MARK, megabytes: 7 }]);
  expect(await next.takeLeftMarks()).toEqual([]);
});

it('leaves the note of a tab that lives', async () => {
  (await openTab()).markLoading(MARK);
  expect(await (await openTab()).takeLeftMarks()).toEqual([]);
  expect(stored.size).toBe(1);
});

it.each(['the first answer', 'closing the tab', 'hiding the tab'])('leaves no note after %s', async (end) => {
  const tab = await openTab();
  tab.markLoading(MARK);
  if (end === 'the first answer') tab.markLoading(undefined);
  else if (end === 'closing the tab') listeners.get('pagehide')!();
  else {
    page.visibilityState = 'hidden';
    listeners.get('visibilitychange')!();
  }
  held.clear();
  expect(await (await openTab()).takeLeftMarks()).toEqual([]);
});

it('keeps the note of a model that lost its device, though the tab is closed; other errors remove it', async () => {
  const tab = await openTab();
  tab.markLoading(MARK);
  tab.noteFailure(new Error('a record is missing'));
  expect(stored.size).toBe(0);
  tab.markLoading(MARK);
  tab.updateMark({ deviceLost: true });
  listeners.get('pagehide')!();
  held.clear();
  expect(await (await openTab()).takeLeftMarks()).toEqual([{ ...MARK, deviceLost: true }]);
});

it('finds the notes of all tabs that ended, and keeps that of a model that was held back', async () => {
  (await openTab()).markLoading(MARK);
  (await openTab()).markLoading({ modelId: 'n', name: 'N' });
  held.clear();
  const next = await openTab();
  expect((await next.takeLeftMarks()).map(({ modelId }) => modelId).sort()).toEqual(['m', 'n']);
  next.markLoading({ ...MARK, heldBack: true });
  listeners.get('pagehide')!();
  held.clear();
  expect(await (await openTab()).takeLeftMarks()).toEqual([{ ...MARK, heldBack: true }]);
});
