import { expect, it } from 'vitest';
import { changeOf, changesOf, labValues, toggleInMix } from './lab-experiments.ts';

const CONFIG = { layerCount: 3, expertCount: 8, expertsPerToken: 2 };

it('has a change for every experiment, without a link', () => {
  const changes = changesOf(labValues({}, CONFIG), CONFIG);
  expect(changes.map(({ name, ablation }) => [name, ablation])).toEqual([
    ['First choice only', { expertsUsed: 1 }],
    ['Second choice only', { expertsUsed: 2, choicesSkipped: 1 }],
    ['Random experts, seed 1', { randomSeed: 1 }],
    ['Without expert 0 of every layer', { banned: [0, 1, 2].map((layer) => ({ layer, expert: 0 })) }],
    [
      'Experts 0 and 1 swapped',
      {
        replaced: [
          { expert: 0, by: 1 },
          { expert: 1, by: 0 },
        ],
      },
    ],
    ['Expert 0 for all', { replaced: [{ by: 0 }] }],
    ['Router noise 1, seed 1', { noise: { amount: 1, seed: 1 } }],
  ]);
});

it('reads every control of a link', () => {
  const link = { set: 'noise swap mix', seed: '7', ban: '2,1.3', swap: '4', with: '6', one: '5', noise: '2.5' };
  const values = labValues({ ...link, mix: 'ban noise' }, CONFIG);
  expect(changesOf(values, CONFIG).map(({ name }) => name)).toEqual([
    'Experts 4 and 6 swapped',
    'Router noise 2.5, seed 7',
    'Router noise 2.5, seed 7; without expert 2 of every layer, expert 3 of layer 1',
  ]);
  expect(changeOf('one', values, CONFIG)!.ablation).toEqual({ replaced: [{ by: 5 }] });
});

it.each([
  { seed: '-1', one: '8', noise: '9', swap: 'x', with: '', used: '2', ban: '9', mix: 'mix bogus' },
  { seed: '1.5', one: '-1', noise: 'NaN', swap: '8', with: '1', used: '0', ban: '0,1,2,3,4,5,6', mix: '' },
])('uses defaults in place of what a link cannot ask for: %j', (link) => {
  const values = labValues(link, CONFIG);
  expect(values).toMatchObject({ seed: 1, one: 0, noise: 1, swap: [0, 1], used: 1, mix: [] });
  expect(values.bans.size).toBe(0);
  expect(changeOf('ban', values, CONFIG)).toBeUndefined();
  expect(changeOf('mix', values, CONFIG)).toBeUndefined();
});

it('swaps two different experts even if a link names one twice', () => {
  expect(labValues({ swap: '7', with: '7' }, CONFIG).swap).toEqual([7, 0]);
});

it('leaves out what a small model cannot do', () => {
  const names = (expertCount: number, expertsPerToken: number): string[] => {
    const config = { layerCount: 1, expertCount, expertsPerToken };
    return changesOf(labValues({}, config), config).map(({ experiment }) => experiment);
  };
  expect(names(8, 1)).toEqual(['random', 'ban', 'swap', 'one', 'noise']);
  expect(names(2, 2)).toEqual(['first', 'second', 'random', 'swap', 'one', 'noise']);
  expect(names(1, 1)).toEqual([]);
});

it('combines at least two experiments, of which none excludes another', () => {
  expect(toggleInMix([], 'noise')).toEqual(['noise']);
  expect(toggleInMix(['noise', 'first'], 'random')).toEqual(['first', 'random']);
  expect(toggleInMix(['first', 'random'], 'first')).toEqual(['random']);
  const one = labValues({ mix: 'first' }, CONFIG);
  expect(changeOf('mix', one, CONFIG)).toBeUndefined();
  const two = labValues({ mix: 'first ban' }, CONFIG);
  expect(changeOf('mix', two, CONFIG)).toMatchObject({
    name: 'First choice only; without expert 0 of every layer',
    ablation: { expertsUsed: 1, banned: [{}, {}, {}] },
  });
});
