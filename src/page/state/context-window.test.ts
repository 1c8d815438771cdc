import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cutText, firstKept, messagesFor, positionAt, seenTurns, textFor } from './context-window.ts';
import { addTurn, type Conversation, createConversation, pathOf } from './conversation-tree.ts';
import { DEFAULT_GENERATION } from './generation-settings.ts';

function talk(...texts: string[]): Conversation {
  let conversation = createConversation({ id: 'c', kind: 'chat', generation: DEFAULT_GENERATION }, 0);
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

describe('the part that the model sees', () => {
  it('is the path up to a turn, after the system prompt', () => {
    const conversation = talk('a', 'b', 'c');
    expect(messagesFor(conversation, 't1').map(({ role, content }) => `${role} ${content}`)).toEqual([
      'user a',
      'assistant b',
    ]);
    const briefed = { ...conversation, generation: { ...DEFAULT_GENERATION, systemPrompt: 'S' } };
    expect(messagesFor(briefed, 't2')[0]).toEqual({ role: 'system', content: 'S' });
    expect(messagesFor(briefed, 't2').length).toBe(4);
  });

  it('joins a message that was never answered with the next one', () => {
    let conversation = talk('a', 'b', 'c');
    conversation = addTurn(conversation, { id: 't3', parent: 't2', by: 'user', text: 'd', at: 3 });
    expect(messagesFor(conversation, 't3').map(({ role, content }) => `${role} ${content}`)).toEqual([
      'user a',
      'assistant b',
      'user c\n\nd',
    ]);
  });

  it('begins where the user has cut the conversation', () => {
    const conversation = { ...talk('a', 'b', 'cde'), seenFrom: { turn: 't2', offset: 1 } };
    expect(messagesFor(conversation, 't2').map(({ content }) => content)).toEqual(['cde']);
    expect(textFor(conversation, 't2')).toBe('de');
    // The turn is not on this branch, so everything is seen.
    expect(textFor({ ...conversation, seenFrom: { turn: 'other branch', offset: 1 } }, 't2')).toBe('abcde');
  });
});

describe('shortening a chat', () => {
  const path = pathOf(talk('a', 'b', 'c', 'd', 'e'));

  it('keeps the newest messages that fit into half of the context, from a message of the user on', () => {
    expect(firstKept(path, [10, 10, 10, 10, 10], 0, 1000)).toBe(0);
    expect(firstKept(path, [10, 10, 10, 10, 10], 0, 80)).toBe(2);
    expect(firstKept(path, [10, 10, 10, 10, 10], 20, 80)).toBe(4);
  });

  it('keeps the last message alone if it fits into the context but not into half of it', () => {
    expect(firstKept(path, [10, 10, 10, 10, 60], 0, 80)).toBe(4);
    expect(firstKept(path, [10, 10, 10, 10, 80], 0, 80)).toBeUndefined();
  });
});

describe('shortening a text', () => {
  it('cuts at a paragraph, otherwise at a sentence, otherwise at a word', () => {
    const words = 'word '.repeat(60);
    expect((words + '\n\n' + words).slice(cutText(words + '\n\n' + words, 120, 120))).toBe(words);
    const sentences = 'One two three. '.repeat(40);
    expect(sentences.slice(cutText(sentences, 160, 100))).toMatch(/^One two three\. One/);
    expect(words.slice(cutText(words, 60, 30))).toMatch(/^word word/);
  });

  it('keeps at most half of the context, and at least one character, of any text', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 400 }), fc.integer({ min: 2, max: 600 }), (text, context) => {
        const cut = cutText(text, text.length, context); // one token per character
        expect(text.length - cut).toBeLessThanOrEqual(Math.ceil(context / 2));
        expect(cut).toBeLessThan(text.length);
      }),
    );
  });

  it('finds the turn of a position', () => {
    const path = pathOf(talk('abc', 'de'));
    expect([positionAt(path, 0), positionAt(path, 3), positionAt(path, 5)]).toEqual([
      { turn: 't0', offset: 0 },
      { turn: 't1', offset: 0 },
      undefined,
    ]);
    expect(seenTurns({ ...talk('abc', 'de'), seenFrom: { turn: 't1', offset: 0 } }, path).length).toBe(1);
  });
});
