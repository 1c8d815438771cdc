import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { conversationFrom, fileName, fromFile, toJson, toMarkdown } from './conversation-transfer.ts';
import { addTurn, type Conversation, createConversation, pathOf } from './conversation-tree.ts';
import { DEFAULT_GENERATION } from './generation-settings.ts';

let count = 0;
const newId = (): string => `n${count++}`;

function talk(...texts: string[]): Conversation {
  let conversation = createConversation(
    { id: 'c', kind: 'chat', generation: { ...DEFAULT_GENERATION, temperature: 0.5 } },
    5,
  );
  texts.forEach((text, i) => {
    conversation = addTurn(conversation, {
      id: `t${i}`,
      parent: i ? `t${i - 1}` : null,
      by: i % 2 ? 'model' : 'user',
      text,
      at: i,
    });
  });
  return conversation;
}

const STATS = {
  promptTokens: 3,
  tokens: 4,
  tokensPerSecond: 5,
  prefillMs: 6,
  hitRate: 1,
  finishReason: 'stop' as const,
};

describe('JSON', () => {
  it('restores everything under a new id', () => {
    let original = talk('Hi', 'Hello', 'More');
    original = addTurn(
      { ...original, modelName: 'M', seenFrom: { turn: 't2', offset: 0 } },
      {
        id: 'x',
        parent: 't0',
        by: 'model',
        text: 'Another',
        at: 9,
        model: 'M',
        stats: STATS,
      },
    );
    const [read] = fromFile(toJson([original]), newId, 0);
    expect(read.id).not.toBe(original.id);
    expect({ ...read, id: original.id }).toEqual(original);
  });

  it.each([
    ['{', /damaged JSON/],
    ['{}', /not exported here/],
    ['{"format":"mixtab-conversations","version":2,"conversations":[]}', /version 2/],
    ['{"format":"mixtab-conversations","version":1,"conversations":[{"id":"a"}]}', /damaged/],
    ['some words', /## You/],
  ])('refuses %s and names the cause', (text, message) => {
    expect(() => fromFile(text, newId, 0)).toThrow(message);
  });

  it('rejects a turn whose parent is missing or comes later, and two turns with one id', () => {
    const good = talk('a', 'b');
    expect(conversationFrom(good)).toEqual(good);
    expect(conversationFrom({ ...good, turns: good.turns.toReversed() })).toBeUndefined();
    expect(conversationFrom({ ...good, turns: [good.turns[0], good.turns[0]] })).toBeUndefined();
    expect(conversationFrom({ ...good, turns: [{ ...good.turns[0], parent: 't0' }] })).toBeUndefined();
  });

  it('throws only bad-request for any file', () => {
    fc.assert(
      fc.property(fc.json(), fc.jsonValue(), (text, value) => {
        const wrapped = JSON.stringify({ format: 'mixtab-conversations', version: 1, conversations: [value] });
        for (const file of [text, wrapped]) {
          try {
            fromFile(file, newId, 0);
          } catch (error) {
            expect(error).toHaveProperty('code', 'bad-request');
          }
        }
      }),
    );
  });
});

it('reads the name that generation settings had before version 0.2', () => {
  const { generation, ...rest } = talk('Hi');
  const old = { ...rest, writing: { ...generation, temperature: 0.25, systemPrompt: 'Be brief.' } };
  expect(conversationFrom(old)?.generation).toEqual({ ...generation, temperature: 0.25, systemPrompt: 'Be brief.' });
});

describe('Markdown', () => {
  it('is readable', () => {
    const conversation = {
      ...talk('Hi', 'Hello\nthere'),
      modelName: 'Tiny',
      generation: { ...DEFAULT_GENERATION, systemPrompt: 'Be brief.' },
    };
    expect(toMarkdown(conversation)).toBe(
      '# Hi\n\n<!-- mixtab chat with Tiny -->\n\n## System\n\nBe brief.\n\n## You\n\nHi\n\n## Model\n\nHello\nthere\n',
    );
  });

  it('says what is missing in a conversation that was restored from a copy, and restores that', () => {
    const { turns, ...others } = talk('Hi', 'Hello');
    const missingBefore = { parent: 'before', count: 7 };
    const copy = {
      ...others,
      turns: [
        { ...turns[0], missingBefore },
        { ...turns[1], isCut: true },
      ],
    };
    const text = toMarkdown(copy);
    expect(text).toContain(
      '\n## You\n\n_7 of the turns before this one are missing: they were not in the copy that this was restored from._\n\nHi\n',
    );
    expect(text).toContain('Hello\n\n_The rest is missing: it was not in the copy that this was restored from._\n');
    const [first, second] = pathOf(fromFile(text, newId, 0)[0]);
    expect(first).toMatchObject({ text: 'Hi', missingBefore: { count: 7 } });
    expect([second.text, second.isCut, second.missingBefore]).toEqual(['Hello', true, undefined]);
    expect(toMarkdown(fromFile(text, newId, 0)[0])).toBe(text);
    const [first2, second2] = fromFile(toJson([copy]), newId, 0)[0].turns;
    expect([first2.missingBefore, second2.isCut]).toEqual([missingBefore, true]);
  });

  it('restores any text, even if it looks like a heading or a note', () => {
    const marks = [
      '_The rest is missing: it was not in the copy that this was restored from._',
      '_7 of the turns before this one are missing: they were not in the copy that this was restored from._',
    ];
    const line = fc.oneof(
      fc.string(),
      fc.constantFrom('', '## You', '\\## Model', '\\\\## System', '# Title', '```', ' ', ...marks, `\\${marks[0]}`),
    );
    const text = fc.array(line, { minLength: 1, maxLength: 6 }).map((lines) => lines.join('\n').replaceAll('\r', ''));
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 5 }), (texts) => {
        const [read] = fromFile(toMarkdown(talk(...texts)), newId, 0);
        expect(pathOf(read).map((turn) => turn.text)).toEqual(texts);
        expect(pathOf(read).map(({ by }) => by)).toEqual(texts.map((_, i) => (i % 2 ? 'model' : 'user')));
      }),
    );
  });
});

it('makes file names from letters and digits', () => {
  expect(fileName('What is ½ of "ü"?', 'md')).toBe('What-is-1-2-of-ü.md');
  expect(fileName('???', 'json')).toBe('conversation.json');
});
