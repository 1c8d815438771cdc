import { describe, expect, it } from 'vitest';
import { MixtabError } from '../../src/contract/errors.ts';
import { commandOf, parseOptions } from './options.ts';

describe('commandOf', () => {
  it('rejects an unknown command by name', () => {
    expect(commandOf(['generate', '--json'])).toBe('generate');
    expect(() => commandOf(['dance'])).toThrow(/no command dance/);
    expect(() => commandOf([])).toThrow(MixtabError);
  });
});

describe('parseOptions', () => {
  const needed = ['--model', 'a.gguf', '--prompt', 'Hi', '--max-tokens', '5'];

  it('converts numbers and leaves out missing options', () => {
    expect(parseOptions('generate', [...needed, '--temperature', '0.7', '--json'])).toEqual({
      model: 'a.gguf',
      prompt: 'Hi',
      'max-tokens': 5,
      temperature: 0.7,
      json: true,
    });
  });

  it.each(['generate', 'perplexity', 'bench', 'inspect'] as const)(
    '%s takes what computes, and its limits',
    (command) => {
      const argv = ['--model', 'm', '--prompt', 'Hi', '--max-tokens', '5', '--text-file', 't'];
      const own =
        command === 'generate'
          ? argv.slice(0, 6)
          : command === 'inspect'
            ? argv.slice(0, 2)
            : [...argv.slice(0, 2), ...argv.slice(6)];
      const load = { compute: 'cpu', threads: 2, 'ram-budget': 300 };
      expect(
        parseOptions(command, [...own, '--compute', 'cpu', '--threads', '2', '--ram-budget', '300']),
      ).toMatchObject(load);
    },
  );

  it('accepts a prompt that begins with a dash', () => {
    expect(parseOptions('generate', ['--model', 'm', '--max-tokens', '1', '--prompt', '- one']).prompt).toBe('- one');
  });

  it.each([
    [['--model', 'm'], /needs --prompt/],
    [[...needed, '--seed', 'x'], /--seed x is not a number/],
    [[...needed, '--context', '1.5'], /--context 1.5 is not a whole number/],
    [[...needed, '--gpu-budget', '-3'], /--gpu-budget -3 is negative/],
    [[...needed, '--compute', 'tpu'], /--compute tpu is not one of auto, gpu, cpu/],
    [[...needed, '--compute', ''], /--compute {2}is not one of/],
    [[...needed, '--threads', '0'], /--threads must be at least 1/],
    [[...needed, '--threads', '1.5'], /--threads 1.5 is not a whole number/],
    [[...needed, '--threads', 'all'], /--threads all is not a number/],
    [[...needed, '--colour', 'red'], /--colour/],
    [[...needed, 'stray'], /stray/],
  ])('rejects %j', (argv, message) => {
    expect(() => parseOptions('generate', argv)).toThrow(message);
  });
});
