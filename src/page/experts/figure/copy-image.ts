/** Copies a part of the page as a PNG image, for figures and for texts alike. */
import { drawHtml } from './draw-html.ts';

/** Pixels of the image per CSS pixel, unless the image becomes too large. */
const SCALE = 2;
/** Pixels. Safari draws nothing onto a canvas that is larger. */
const MAX_SIDE = 16_384;
const MAX_AREA = 4096 ** 2;
const MARGIN = 12;
const TITLE_HEIGHT = 30;

/** What happened to the image. */
export type CopiedImage = 'copied' | 'saved';

/**
 * Copies a part of the page to the clipboard, or saves it as a file if the browser does not allow that.
 * @param name of the file, without `.png`
 */
export async function copyImage(shown: HTMLElement, title: string, name: string): Promise<CopiedImage> {
  const image = drawImage(shown, title);
  try {
    // The promise lets Safari start before the image is ready.
    await navigator.clipboard.write([new ClipboardItem({ 'image/png': image })]);
    return 'copied';
  } catch {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(await image);
    link.download = `${name}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    return 'saved';
  }
}

/** @returns the part of the page with its title above it, as a PNG. What does not fit into a canvas is cut off below. */
function drawImage(shown: HTMLElement, title: string): Promise<Blob> {
  const canvas = document.createElement('canvas');
  laidOutAsImage(shown, () => {
    const { width, height } = shown.getBoundingClientRect();
    const [wide, high] = [width + 2 * MARGIN, height + TITLE_HEIGHT + 2 * MARGIN];
    const scale = scaleFor(wide, high);
    canvas.width = Math.round(wide * scale);
    canvas.height = Math.min(MAX_SIDE, Math.floor(MAX_AREA / canvas.width), Math.round(high * scale));
    const context = canvas.getContext('2d')!;
    context.scale(scale, scale);
    const page = getComputedStyle(document.body);
    context.fillStyle = page.backgroundColor;
    context.fillRect(0, 0, wide, high);
    context.fillStyle = page.color;
    context.font = `600 16px ${page.fontFamily}`;
    context.fillText(title, MARGIN, MARGIN + 16, width);
    context.translate(MARGIN, MARGIN + TITLE_HEIGHT);
    drawHtml(context, shown);
  });
  return new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error('The browser made no image.'))), 'image/png'),
  );
}

/** Pixels per CSS pixel for an image of this size in CSS pixels. At least 1, so that its text can be read. */
const scaleFor = (width: number, height: number): number =>
  Math.max(1, Math.min(SCALE, MAX_SIDE / Math.max(width, height), Math.sqrt(MAX_AREA / (width * height))));

/**
 * Calls a function while an element shows everything that it otherwise scrolls to, but no controls (figures.css). The
 * page is not painted meanwhile.
 */
function laidOutAsImage(shown: HTMLElement, act: () => void): void {
  const scrolled = [...shown.querySelectorAll('*')].map((element) => [element, element.scrollTop] as const);
  shown.classList.add('as-image');
  try {
    act();
  } finally {
    shown.classList.remove('as-image');
    for (const [element, top] of scrolled) if (top > 0) element.scrollTop = top;
  }
}
