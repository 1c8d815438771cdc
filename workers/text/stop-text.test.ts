import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createStopText } from './stop-text.ts';

const feed = (stops: string[], pieces: string[]) => {
  const stopText = createStopText(stops);
  let text = '';
  for (const piece of pieces) {
    const pushed = stopText.push(piece);
    text += pushed.text;
    if (pushed.stopped) return { text, stopped: true };
  }
  return { text: text + stopText.flush(), stopped: false };
};

describe('createStopText', () => {
  it('cuts before a stop text that is spread over several tokens', () => {
    expect(feed(['###'], ['one #', '#', '# two'])).toEqual({ text: 'one ', stopped: true });
  });

  it('returns text that only looked like the beginning of a stop text', () => {
    const stopText = createStopText(['END']);
    expect(stopText.push('the E')).toEqual({ text: 'the ', stopped: false });
    expect(stopText.push('N')).toEqual({ text: '', stopped: false });
    expect(stopText.push('D-game')).toEqual({ text: '', stopped: true });
    expect(feed(['END'], ['the E', 'N', 'tire'])).toEqual({ text: 'the ENtire', stopped: false });
    expect(feed(['END'], ['the E'])).toEqual({ text: 'the E', stopped: false });
  });

  it('stops at the first stop text, however the text is cut', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 20 });
    const stop = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(fc.array(text, { maxLength: 8 }), stop, (pieces, end) => {
        const whole = pieces.join('');
        const at = whole.indexOf(end);
        expect(feed([end, ''], pieces)).toEqual({ text: at < 0 ? whole : whole.slice(0, at), stopped: at >= 0 });
      }),
    );
  });
});
