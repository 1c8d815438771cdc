/** Clicks on tokens of answers, with a stand-in for the reading. */
import { beforeEach, expect, it, vi } from 'vitest';
import type { TextPlace } from '../state/token-of-character.ts';

vi.mock('../state/database.ts', () => import('../state/database-testing.ts'));
vi.stubGlobal('document', { documentElement: { style: {} } });
vi.stubGlobal('location', { hash: '', href: 'https://mixtab.test/' });
vi.stubGlobal('history', { pushState() {}, replaceState() {} });
vi.stubGlobal('addEventListener', () => {});

/** What a reading does: it sets `reading`, or not. */
let read: () => Promise<void> | void;
const reads = vi.fn();
const followed: number[] = [];
vi.mock('./workers.ts', () => ({ engine: {} }));
vi.mock('./text-routing.ts', () => ({
  inputOf: (conversation?: { id: string }) => conversation && { kind: 'text', text: conversation.id },
  read: async (input: { text: string }) => {
    reads(input.text);
    await read();
  },
}));
vi.mock('./token-observation.ts', () => ({
  canFollow: () => false,
  followToken: async (token: number) => void followed.push(token),
}));

const { conversations, currentId } = await import('../state/conversations.ts');
const { createConversation } = await import('../state/conversation-tree.ts');
const { DEFAULT_GENERATION } = await import('../state/generation-settings.ts');
const { experiment } = await import('../state/generation.ts');
const { choices } = await import('../state/route.ts');
const { reading } = await import('../state/text-routing.ts');
const { wanted } = await import('../state/token-observation.ts');
const { followPlace } = await import('./answer-tokens.ts');
const { followLink, isStored, openLinked } = await import('./follow.ts');

/** The second token of what {@link succeed} reads. */
const PLACE: TextPlace = { texts: ['Hello there'], offset: 7 };
const succeed = (): void => {
  reading.value = { trace: { pieces: ['Hello', ' there'] } } as unknown as NonNullable<typeof reading.value>;
};

beforeEach(() => {
  reading.value = wanted.value = experiment.value = undefined;
  followed.length = 0;
  reads.mockClear();
  conversations.value = ['a', 'b'].map((id) =>
    createConversation({ id, kind: 'text', generation: DEFAULT_GENERATION }, 0),
  );
  currentId.value = 'a';
});

it('a click reads the conversation and follows the token', async () => {
  read = succeed;
  followPlace(PLACE);
  await followLink();
  expect([reads.mock.calls, followed, wanted.value]).toEqual([[['a']], [1], undefined]);
});

it('a reading that was stopped or failed is not begun again by the next visit', async () => {
  read = () => {};
  followPlace(PLACE);
  await followLink();
  expect(wanted.value).toBeUndefined(); // what the view looks at when it is opened
  await followLink();
  expect([reads.mock.calls.length, followed]).toEqual([1, []]);
});

it('a click is forgotten once another conversation is shown', async () => {
  read = succeed;
  followPlace(PLACE);
  currentId.value = 'b';
  await followLink();
  expect([reads.mock.calls, followed, wanted.value]).toEqual([[], [], undefined]);
});

it('a second click during the reading is followed when it ends', async () => {
  let end = (): void => {};
  read = () =>
    new Promise<void>((resolve) => {
      end = resolve;
    });
  followPlace({ ...PLACE, offset: 0 });
  const first = followLink();
  experiment.value = { kind: 'routing', done: 0, total: 0 };
  read = () => {}; // the engine is busy
  followPlace(PLACE);
  await followLink();
  succeed();
  end();
  await first;
  expect([followed, wanted.value]).toEqual([[1], undefined]);
});

it('a link opens a stored conversation, and only a missing one is called missing', () => {
  choices.value = { conversation: 'b' };
  expect(isStored('b')).toBe(true); // before it is opened, when the view is drawn first
  openLinked('b');
  expect([currentId.value, choices.value.conversation]).toEqual(['b', undefined]);
  choices.value = { conversation: 'elsewhere' };
  openLinked('elsewhere');
  expect([isStored('elsewhere'), currentId.value, choices.value.conversation]).toEqual([false, 'b', 'elsewhere']);
});
