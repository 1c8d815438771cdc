import { expect, it } from 'vitest';
import type { AblationOptions } from '../../src/contract/engine-api.ts';
import { routerOptionsKey } from './router-options.ts';

it('has no key for options that select exactly what the model selects', () => {
  expect(routerOptionsKey({})).toBe('');
  expect(routerOptionsKey({ lossy: { residentBias: 0, skipBelow: 0 }, ablation: {} })).toBe('');
  const neutral = { choicesSkipped: 0, banned: [], replaced: [], noise: { amount: 0, seed: 4 } };
  expect(routerOptionsKey({ ablation: neutral })).toBe('');
});

it('has another key for each ablation, whatever the order of its experts', () => {
  const ablations: AblationOptions[] = [
    { expertsUsed: 1 },
    { choicesSkipped: 1 },
    { randomSeed: 1 },
    { noise: { amount: 1, seed: 1 } },
    { noise: { amount: 1, seed: 2 } },
    { noise: { amount: 2, seed: 1 } },
    { banned: [{ expert: 1 }] },
    { banned: [{ layer: 0, expert: 1 }] },
    { replaced: [{ expert: 1, by: 2 }] },
    { replaced: [{ layer: 0, expert: 1, by: 2 }] },
    { replaced: [{ expert: 2, by: 1 }] },
    { replaced: [{ by: 1 }] },
  ];
  const keys = ablations.map((ablation) => routerOptionsKey({ ablation }));
  expect(new Set([...keys, '']).size).toBe(ablations.length + 1);
  const [a, b] = [
    { expert: 1, by: 2 },
    { expert: 2, by: 1 },
  ];
  expect(routerOptionsKey({ ablation: { replaced: [a, b] } })).toBe(
    routerOptionsKey({ ablation: { replaced: [b, a] } }),
  );
});
