import { describe, expect, it } from 'vitest';
import { checkText, REPLACED } from './check-vocabulary.mjs';

describe('checkText', () => {
  it.each([
    ['workers/experts/cache.ts', 'const guessed = 1;', 1],
    ['workers/experts/cache.ts', 'cache.ensure(layer); experts.ensure(layer, all);', 1],
    ['workers/compute/gpu/model/buffers.ts', 'readonly promptRows: PromptRows;', 2],
    ['shaders/router.wgsl', 'selected[token] = 0u;', 1],
    ['src/page/chat/Thread.tsx', 'if (option.selected) return;', 0],
    ['src/client/types.ts', 'choices: Choice[];', 0],
    ['workers/generate/decode.ts', 'choices: Uint32Array;', 1],
    ['docs/streaming.md', 'The record lies in memory and the answer goes on.', 2],
    ['docs/measurements/streaming.md', 'The record lies in memory.', 0],
    ['src/page/state/settings.ts', 'told', 0],
    ['public/icon.png', 'told', 0],
  ])('%s: %s has %i', (path, text, count) => {
    expect(checkText(path, text)).toHaveLength(count);
  });

  it('names the file, the line, the word and its replacement', () => {
    expect(checkText('docs/text.md', 'Fine.\nA nudge.')).toEqual(['docs/text.md:2: "nudge"; write: Firefox poll']);
  });
});

it('every rule has a pattern that finds all occurrences, and a replacement', () => {
  for (const { pattern, use } of REPLACED) {
    expect(pattern.flags).toContain('g');
    expect(use).not.toBe('');
  }
});
