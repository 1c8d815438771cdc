import { expect, it } from 'vitest';
import { MAX_CHANGEABLE_EXPERTS } from '../compute.ts';
import {
  decodeStepState,
  encodeStepState,
  readStalledLayer,
  STEP_STATE_BYTES,
  STEP_STATE_OFFSETS,
  STEP_STATE_WGSL,
} from './step-state.ts';

it('stores the fields one after the other, in 4340 bytes', () => {
  expect(STEP_STATE_OFFSETS).toEqual({
    tokenCount: 0,
    position: 1,
    stalled: 2,
    step: 3,
    residentBias: 4,
    skipBelow: 5,
    expertsUsed: 6,
    choicesSkipped: 7,
    random: 8,
    randomSeed: 9,
    noiseStep: 10,
    noiseSeed: 11,
    replaces: 12,
    banned: 13,
    standIns: 132,
  });
  expect(STEP_STATE_BYTES).toBe(4 * (132 + 952));
  expect(MAX_CHANGEABLE_EXPERTS).toBe(119 * 32);
});

it('declares the same fields in WGSL, in the same order', () => {
  const members = [...STEP_STATE_WGSL.matchAll(/^ {2}(\w+): (.+), {2}\/\//gm)].map(([, name, type]) => [name, type]);
  expect(members).toEqual([
    ['token_count', 'u32'],
    ['position', 'u32'],
    ['stalled', 'u32'],
    ['step', 'u32'],
    ['resident_bias', 'f32'],
    ['skip_below', 'f32'],
    ['experts_used', 'u32'],
    ['choices_skipped', 'u32'],
    ['random', 'u32'],
    ['random_seed', 'u32'],
    ['noise_step', 'f32'],
    ['noise_seed', 'u32'],
    ['replaces', 'u32'],
    ['banned', 'array<u32, BANNED_LENGTH>'],
    ['stand_ins', 'array<u32, STAND_INS_LENGTH>'],
  ]);
  expect(STEP_STATE_WGSL).toContain('const BANNED_LENGTH = 119u;');
});

it('decodes what it encodes; fields that are not given are 0', () => {
  const banned = Uint32Array.from({ length: 119 }, (_, word) => word * 3);
  const values = { tokenCount: 5, position: 40, residentBias: 0.5, skipBelow: 0.25, random: 1, randomSeed: 7, banned };
  const words = encodeStepState(values);
  expect(words.byteLength).toBe(STEP_STATE_BYTES);
  const zeros = { stalled: 0, step: 0, expertsUsed: 0, choicesSkipped: 0, noiseStep: 0, noiseSeed: 0, replaces: 0 };
  expect(decodeStepState(words.buffer)).toEqual({ ...values, ...zeros, standIns: new Uint32Array(952) });
});

it('reads the layer that stalled', () => {
  expect(readStalledLayer(Uint32Array.of(0).buffer)).toBeUndefined();
  expect(readStalledLayer(Uint32Array.of(1).buffer)).toBe(0);
  expect(readStalledLayer(Uint32Array.of(32).buffer)).toBe(31);
});
