/**
 * Copies a figure as a PNG image. The SVG's elements are drawn onto a canvas one by one: an image element would need
 * `blob:` in the page's policy, and would not know the page's colours.
 */

/** Pixels of the image per CSS pixel. */
const SCALE = 2;
const MARGIN = 12;

/** What happened to the image. */
export type CopiedImage = 'copied' | 'saved';

/**
 * Copies the figure to the clipboard, or saves it as a file if the browser does not allow that.
 * @param name of the file, without `.png`
 */
export async function copyImage(svg: SVGSVGElement, title: string, name: string): Promise<CopiedImage> {
  const image = drawFigure(svg, title);
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

/** @returns the figure with its title above it, as a PNG */
function drawFigure(svg: SVGSVGElement, title: string): Promise<Blob> {
  const { width, height } = svg.getBoundingClientRect();
  const page = getComputedStyle(document.body);
  const canvas = document.createElement('canvas');
  const titleHeight = 30;
  canvas.width = Math.round((width + 2 * MARGIN) * SCALE);
  canvas.height = Math.round((height + titleHeight + 2 * MARGIN) * SCALE);
  const context = canvas.getContext('2d')!;
  context.scale(SCALE, SCALE);
  context.fillStyle = page.backgroundColor;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = page.color;
  context.font = `600 16px ${page.fontFamily}`;
  context.fillText(title, MARGIN, MARGIN + 16, width);
  context.translate(MARGIN, MARGIN + titleHeight);
  for (const element of svg.querySelectorAll<SVGGraphicsElement>('path, circle, rect, line, text'))
    drawElement(context, svg, element);
  return new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error('The browser made no image.'))), 'image/png'),
  );
}

function drawElement(context: CanvasRenderingContext2D, svg: SVGSVGElement, element: SVGGraphicsElement): void {
  const style = getComputedStyle(element);
  if (style.visibility === 'hidden' || style.display === 'none') return;
  context.save();
  const matrix = svg.getScreenCTM()!.inverse().multiply(element.getScreenCTM()!);
  context.transform(matrix.a, matrix.b, matrix.c, matrix.d, matrix.e, matrix.f);
  context.globalAlpha = Number(style.opacity);
  if (element instanceof SVGTextElement) drawText(context, element, style);
  else drawShape(context, pathOf(element), style);
  context.restore();
}

function drawShape(context: CanvasRenderingContext2D, path: Path2D, style: CSSStyleDeclaration): void {
  if (style.fill !== 'none') {
    context.fillStyle = style.fill;
    context.globalAlpha *= Number(style.fillOpacity);
    context.fill(path);
    context.globalAlpha = Number(style.opacity);
  }
  if (style.stroke === 'none') return;
  context.strokeStyle = style.stroke;
  context.lineWidth = Number.parseFloat(style.strokeWidth);
  if (style.strokeDasharray !== 'none')
    context.setLineDash(style.strokeDasharray.split(/[\s,]+/).map(Number.parseFloat));
  context.stroke(path);
}

function drawText(context: CanvasRenderingContext2D, element: SVGTextElement, style: CSSStyleDeclaration): void {
  context.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
  context.fillStyle = style.fill;
  context.textAlign = ({ middle: 'center', end: 'right' } as const)[style.textAnchor] ?? 'left';
  const number = (name: string): number => Number.parseFloat(element.getAttribute(name) ?? '0');
  context.fillText(element.textContent ?? '', number('x'), number('y'));
}

/** @returns the outline of an element, from its attributes */
function pathOf(element: SVGGraphicsElement): Path2D {
  const number = (name: string): number => Number(element.getAttribute(name) ?? 0);
  if (element instanceof SVGPathElement) return new Path2D(element.getAttribute('d') ?? '');
  const path = new Path2D();
  if (element instanceof SVGCircleElement) path.arc(number('cx'), number('cy'), number('r'), 0, 2 * Math.PI);
  else if (element instanceof SVGRectElement) path.rect(number('x'), number('y'), number('width'), number('height'));
  else {
    path.moveTo(number('x1'), number('y1'));
    path.lineTo(number('x2'), number('y2'));
  }
  return path;
}
