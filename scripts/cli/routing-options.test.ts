import { expect, it } from 'vitest';
import { parseOptions } from './options.ts';
import { routingOptions } from './routing-options.ts';

const perplexity = (...argv: string[]) =>
  routingOptions(parseOptions('perplexity', ['--model', 'm', '--text-file', 't', ...argv]));

it('passes no options on if none is given', () => {
  expect(perplexity()).toEqual({});
});

it.each<[string, object]>([
  ['--experts-used 1', { expertsUsed: 1 }],
  ['--choices-skipped 1', { choicesSkipped: 1 }],
  ['--random-experts 0', { randomSeed: 0 }],
  ['--router-noise 1.5', { noise: { amount: 1.5, seed: 1 } }],
  ['--router-noise 0.5 --noise-seed 7', { noise: { amount: 0.5, seed: 7 } }],
  ['--ban-experts 3,1.5', { banned: [{ expert: 3 }, { layer: 1, expert: 5 }] }],
  ['--replace-experts *=3', { replaced: [{ by: 3 }] }],
  ['--experts-used 1 --ban-experts 2', { expertsUsed: 1, banned: [{ expert: 2 }] }],
])('perplexity %s', (argv, ablation) => {
  expect(perplexity(...argv.split(' '))).toEqual({ ablation });
});

it('takes them for generate too, beside the lossy options', () => {
  const argv = ['--model', 'm', '--prompt', 'p', '--max-tokens', '1', '--skip-below', '0.1', '--random-experts', '4'];
  expect(routingOptions(parseOptions('generate', argv))).toEqual({
    lossy: { skipBelow: 0.1 },
    ablation: { randomSeed: 4 },
  });
});

it.each([
  ['--ban-experts 3=1', /--ban-experts 3=1 is no list of experts/],
  ['--replace-experts 3', /--replace-experts 3 is no list of experts/],
  ['--experts-used 1.5', /--experts-used 1.5 is not a whole number/],
  ['--noise-seed 7', /--noise-seed has no effect without --router-noise/],
  ['--router-noise -1', /--router-noise -1 is negative/],
])('rejects %s', (argv, message) => {
  expect(() => perplexity(...argv.split(' '))).toThrow(message);
});
