import { expect, it } from 'vitest';
import {
  denseKey,
  EMBEDDING_KEY,
  expertKey,
  isDenseLayerKey,
  isExpertKey,
  isExpertKeyOf,
  isPartOf,
  OUTPUT_KEY,
  partKey,
} from './manifest.ts';

const KEYS = [
  EMBEDDING_KEY,
  partKey(EMBEDDING_KEY, 1),
  denseKey(1),
  denseKey(11),
  expertKey(1, 0),
  expertKey(1, 11),
  expertKey(11, 1),
  partKey(OUTPUT_KEY, 0),
  partKey(OUTPUT_KEY, 12),
];

it('tells experts, dense layers and parts of vocabulary matrices apart', () => {
  expect(KEYS.filter(isExpertKey)).toEqual(['L1.E0', 'L1.E11', 'L11.E1']);
  expect(KEYS.filter((key) => isExpertKeyOf(key, 1))).toEqual(['L1.E0', 'L1.E11']);
  expect(KEYS.filter(isDenseLayerKey)).toEqual(['L1.dense', 'L11.dense']);
  expect(KEYS.filter((key) => isPartOf(key, EMBEDDING_KEY))).toEqual(['embedding', 'embedding.1']);
  expect(KEYS.filter((key) => isPartOf(key, OUTPUT_KEY))).toEqual(['output', 'output.12']);
});
