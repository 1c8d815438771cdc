import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { createReference, REFERENCE } from './client-reference.mjs';

it('the committed client reference is up to date (npm run docs:client writes it)', async () => {
  expect(readFileSync(REFERENCE, 'utf8')).toBe(await createReference());
});
