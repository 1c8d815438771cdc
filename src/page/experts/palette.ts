/** A background colour per expert on which text is readable, for light and dark mode. Pure functions. */

/** `#rrggbb` for each mode. */
export interface ExpertColour {
  light: string;
  dark: string;
}

/** OKLab lightness. Neighbouring hues get different lightness, because pastels of equal lightness look alike. */
const TIERS = { light: [0.92, 0.77, 0.86, 0.7], dark: [0.34, 0.5, 0.4, 0.45] };
/** OKLab chroma, reduced if sRGB cannot show it. */
const CHROMA = { light: 0.13, dark: 0.12 };
/** Largest number of experts for which two lightness tiers are enough. */
const MAX_FOR_TWO_TIERS = 8;

/** @returns `count` colours, evenly spaced around the hue circle */
export function expertColours(count: number): ExpertColour[] {
  const tiers = count <= MAX_FOR_TWO_TIERS ? 2 : 4;
  return Array.from({ length: count }, (_, expert) => {
    const hue = (2 * Math.PI * expert) / count + 0.4;
    return {
      light: displayable(TIERS.light[expert % tiers], CHROMA.light, hue),
      dark: displayable(TIERS.dark[expert % tiers], CHROMA.dark, hue),
    };
  });
}

/** @returns a CSS colour that follows the colour scheme of the page */
export const asCss = ({ light, dark }: ExpertColour): string => `light-dark(${light}, ${dark})`;

/** @returns the colour as `#rrggbb`, with its chroma reduced until it fits in sRGB */
function displayable(lightness: number, chroma: number, hue: number): string {
  for (let c = chroma; ; c -= 0.005) {
    const rgb = toLinearRgb(lightness, c * Math.cos(hue), c * Math.sin(hue));
    if (c <= 0 || rgb.every((value) => value >= 0 && value <= 1)) return `#${rgb.map(hexOf).join('')}`;
  }
}

/** Converts OKLab to linear sRGB with the matrices of https://www.w3.org/TR/css-color-4/#color-conversion-code. */
function toLinearRgb(lightness: number, a: number, b: number): number[] {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
}

/** @returns one channel of linear sRGB as two hex digits of gamma-encoded sRGB */
function hexOf(linear: number): string {
  const clamped = Math.min(1, Math.max(0, linear));
  const gamma = clamped <= 0.0031308 ? 12.92 * clamped : 1.055 * clamped ** (1 / 2.4) - 0.055;
  return Math.round(255 * gamma)
    .toString(16)
    .padStart(2, '0');
}
