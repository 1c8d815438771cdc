/** Draws the shapes and texts of an SVG element onto a canvas, with the colours of the style sheet. */

/** Draws an SVG element where it is in the window. */
export function drawSvg(context: CanvasRenderingContext2D, svg: SVGSVGElement): void {
  const { left, top } = svg.getBoundingClientRect();
  context.save();
  context.translate(left, top);
  for (const element of svg.querySelectorAll<SVGGraphicsElement>('path, circle, rect, line, text'))
    drawElement(context, svg, element);
  context.restore();
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
