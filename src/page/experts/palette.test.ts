import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { asCss, expertColours } from './palette.ts';

/** @returns linear sRGB of `#rrggbb` */
const linear = (hex: string): number[] =>
  [1, 3, 5].map((at) => {
    const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });

/** The contrast ratio of WCAG 2. */
function contrast(a: string, b: string): number {
  const [x, y] = [a, b].map((hex) =>
    linear(hex).reduce((sum, value, i) => sum + value * [0.2126, 0.7152, 0.0722][i], 0.05),
  );
  return Math.max(x, y) / Math.min(x, y);
}

/** Distance in CIE L*a*b*. The colours are made in OKLab, so this checks them independently. 2.3 is just noticeable. */
function difference(a: string, b: string): number {
  const lab = (hex: string): number[] => {
    const [r, g, blue] = linear(hex);
    const white = [0.9505, 1, 1.089];
    const [x, y, z] = [
      0.4124 * r + 0.3576 * g + 0.1805 * blue,
      0.2126 * r + 0.7152 * g + 0.0722 * blue,
      0.0193 * r + 0.1192 * g + 0.9505 * blue,
    ].map((value, i) => Math.cbrt(value / white[i]));
    return [116 * y, 500 * (x - y), 200 * (y - z)];
  };
  const [p, q] = [lab(a), lab(b)];
  return Math.hypot(...p.map((value, i) => value - q[i]));
}

/** The two values of a `light-dark()` pair in the style sheet. */
function pair(name: string): string[] {
  const css = readFileSync(new URL('../../ui/css/base.css', import.meta.url), 'utf8');
  return new RegExp(`--${name}: light-dark\\((#\\w{6}), (#\\w{6})\\)`).exec(css)!.slice(1);
}

it.each([2, 4, 8, 16])(
  '%d colours are distinguishable, and text on them is readable, in light and dark mode',
  (count) => {
    const [onLight, onDark] = pair('text');
    const colours = expertColours(count);
    expect(colours).toHaveLength(count);
    for (const [i, { light, dark }] of colours.entries()) {
      expect(contrast(light, onLight)).toBeGreaterThan(4.5);
      expect(contrast(dark, onDark)).toBeGreaterThan(4.5);
      for (const other of colours.slice(i + 1)) {
        expect(difference(light, other.light)).toBeGreaterThan(10);
        expect(difference(dark, other.dark)).toBeGreaterThan(10);
      }
    }
  },
);

it('returns a CSS colour that follows the colour scheme', () => {
  expect(asCss(expertColours(8)[0])).toMatch(/^light-dark\(#[0-9a-f]{6}, #[0-9a-f]{6}\)$/);
});
