import { expect, it } from 'vitest';
import type { AblationOptions } from '../contract/engine-api.ts';
import { ablationOf } from './ablation.ts';

it('passes every option on', () => {
  const ablation: Required<AblationOptions> = {
    expertsUsed: 2,
    choicesSkipped: 1,
    randomSeed: 3,
    noise: { amount: 0.5, seed: 1 },
    banned: [{ expert: 3 }, { layer: 1, expert: 2 }],
    replaced: [{ by: 1 }, { layer: 0, expert: 2, by: 3 }],
  };
  expect(ablationOf(ablation)).toEqual({ ablation });
  expect(ablationOf({ randomSeed: undefined })).toEqual({ ablation: {} });
});

it('takes null as no change', () => {
  expect(ablationOf(null)).toEqual({});
  expect(ablationOf(undefined)).toEqual({});
});

it.each<[unknown, RegExp]>([
  ['top1', /ablation must be an object/],
  [[], /ablation must be an object/],
  [{ top: 1 }, /ablation\.top does not exist; there are expertsUsed, /],
  [{ toString: 1 }, /ablation\.toString does not exist/],
  [{ expertsUsed: '1' }, /ablation\.expertsUsed must be a number/],
  [{ noise: 1 }, /ablation\.noise must have amount and seed/],
  [{ noise: { amount: 1 } }, /ablation\.noise: seed must be a number/],
  [{ banned: { expert: 1 } }, /ablation\.banned must be a list/],
  [{ banned: [1] }, /ablation\.banned must have expert/],
  [{ banned: [{ layer: 1 }] }, /ablation\.banned: expert must be a number/],
  [{ banned: [{ expert: 1, layr: 3 }] }, /ablation\.banned: layr does not exist; there are expert, layer/],
  [{ replaced: [{ by: 1 }, { by: 1, experts: 2 }] }, /ablation\.replaced: experts does not exist/],
  [{ noise: { amount: 1, seed: 1, sed: 2 } }, /ablation\.noise: sed does not exist; there are amount, seed/],
  [{ replaced: [{ expert: 1, by: null }] }, /ablation\.replaced: by must be a number/],
])('refuses %j', (given, message) => {
  expect(() => ablationOf(given)).toThrow(message);
});
