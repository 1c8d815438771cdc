import { expect, it } from 'vitest';
import { routingOf } from './routing.ts';

it('counts expert usage and agreement of consecutive tokens per layer, but not across texts', () => {
  // Three tokens, two layers, two experts per token. The third token begins a new text.
  const selectedExperts = Uint8Array.from([0, 1, /**/ 2, 3, 0, 2, /**/ 1, 0, 0, 1, /**/ 1, 0]);
  const [first, second] = routingOf({
    selectedExperts,
    layerCount: 2,
    expertsPerToken: 2,
    expertCount: 4,
    starts: new Set([0, 2]),
  });
  expect(first.use.map((share) => Math.round(share * 6))).toEqual([3, 2, 1, 0]);
  expect(first).toMatchObject({ sameFirst: 1, sameAny: 1 });
  expect(second).toMatchObject({ sameFirst: 0, sameAny: 0 });
  expect(second.use.map((share) => Math.round(share * 6))).toEqual([2, 2, 1, 1]);
});
