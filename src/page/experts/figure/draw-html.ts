/**
 * Draws elements of the page onto a canvas, one by one: backgrounds, borders and texts where the browser has laid them
 * out, and what SVG elements contain. An image element of the page would need `blob:` in the page's policy, and would
 * not know the page's colours.
 */
import { drawSvg } from './draw-svg.ts';

const SIDES = ['Top', 'Right', 'Bottom', 'Left'] as const;

/** Draws an element with its contents. Its upper left corner becomes the origin of the canvas. */
export function drawHtml(context: CanvasRenderingContext2D, element: HTMLElement): void {
  const { left, top } = element.getBoundingClientRect();
  context.save();
  context.translate(-left, -top);
  drawElement(context, element);
  context.restore();
}

function drawElement(context: CanvasRenderingContext2D, element: Element): void {
  if (element instanceof SVGSVGElement) {
    drawSvg(context, element);
    return;
  }
  const style = getComputedStyle(element);
  if (style.visibility === 'hidden') return;
  for (const box of element.getClientRects()) drawBox(context, box, style);
  for (const node of element.childNodes) {
    if (node instanceof Element) drawElement(context, node);
    else if (node instanceof Text) drawWords(context, node, style);
  }
}

/** Draws background and border of one box. An element within a line has a box per line. */
function drawBox(context: CanvasRenderingContext2D, box: DOMRect, style: CSSStyleDeclaration): void {
  const { left, top, width, height } = box;
  const radius = Number.parseFloat(style.borderTopLeftRadius);
  const inPixels = style.borderTopLeftRadius.endsWith('%') ? (radius / 100) * Math.min(width, height) : radius;
  const outline = new Path2D();
  outline.roundRect(left, top, width, height, Math.min(inPixels, width / 2, height / 2));
  context.fillStyle = style.backgroundColor;
  context.fill(outline);
  const widths = SIDES.map((side) => Number.parseFloat(style[`border${side}Width`]));
  if (widths.every((one) => one > 0)) {
    context.lineWidth = widths[0];
    context.strokeStyle = style.borderTopColor;
    context.stroke(outline);
    return;
  }
  const corners = [
    [left, top],
    [box.right, top],
    [box.right, box.bottom],
    [left, box.bottom],
  ];
  for (const [index, side] of SIDES.entries()) {
    if (!(widths[index] > 0)) continue;
    const line = new Path2D();
    line.moveTo(corners[index][0], corners[index][1]);
    line.lineTo(corners[(index + 1) % 4][0], corners[(index + 1) % 4][1]);
    context.lineWidth = widths[index];
    context.strokeStyle = style[`border${side}Color`];
    context.setLineDash(style[`border${side}Style`] === 'dashed' ? [3 * widths[index], 2 * widths[index]] : []);
    context.stroke(line);
    context.setLineDash([]);
  }
}

/** Draws the words of a text where the browser has put them. */
function drawWords(context: CanvasRenderingContext2D, node: Text, style: CSSStyleDeclaration): void {
  context.font = `${style.fontStyle} ${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
  context.fillStyle = style.color;
  context.textAlign = 'left';
  const { fontBoundingBoxAscent: ascent, fontBoundingBoxDescent: descent } = context.measureText('x');
  const range = document.createRange();
  const draw = (text: string, start: number, splits: boolean): void => {
    range.setStart(node, start);
    range.setEnd(node, start + text.length);
    const boxes = range.getClientRects();
    if (boxes.length > 1 && splits) {
      let at = start;
      for (const character of text) {
        draw(character, at, false);
        at += character.length;
      }
    } else if (boxes.length > 0) {
      const { left, top, width, height } = boxes[boxes.length - 1];
      const baseline = top + (height * ascent) / (ascent + descent);
      context.fillText(text, left, baseline);
      if (style.textDecorationLine.includes('underline')) context.fillRect(left, baseline + 3, width, 2);
    }
  };
  for (const { 0: word, index } of node.data.matchAll(/\S+/g)) draw(word, index, true);
}
