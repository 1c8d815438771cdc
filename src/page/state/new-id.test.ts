import { expect, it } from 'vitest';
import { newId } from './new-id.ts';

it('makes unique ids, with and without randomUUID', () => {
  const getRandomValues: Crypto['getRandomValues'] = (array) => crypto.getRandomValues(array);
  for (const make of [() => newId(), () => newId({ getRandomValues })]) {
    const ids = Array.from({ length: 100 }, make);
    expect(new Set(ids).size).toBe(100);
    expect(ids.every((id) => /^[\da-f-]{32,36}$/.test(id))).toBe(true);
  }
});
