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

  it('accepts a prompt that begins with a dash', () => {
    expect(parseOptions('generate', ['--model', 'm', '--max-tokens', '1', '--prompt', '- one']).prompt).toBe('- one');
  });

  it.each([
    [['--model', 'm'], /needs --prompt/],
    [[...needed, '--seed', 'x'], /--seed x is not a number/],
    [[...needed, '--context', '1.5'], /--context 1.5 is not a whole number/],
    [[...needed, '--gpu-budget', '-3'], /--gpu-budget -3 is negative/],
    [[...needed, '--colour', 'red'], /--colour/],
    [[...needed, 'stray'], /stray/],
  ])('rejects %j', (argv, message) => {
    expect(() => parseOptions('generate', argv)).toThrow(message);
  });
});
