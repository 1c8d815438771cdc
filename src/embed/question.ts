/** Asks the user of the frame a question that the embedding page cannot answer. */
import { onDeliberateClick } from './deliberate-click.ts';

/** How long a question stays. */
const LIMIT_MS = 60_000;

/** Characters of a text's pieces: short enough to be visible as a whole in a small frame. */
const PIECE_CHARACTERS = 16;

/** A question with two answers. */
export interface Question {
  text: string;
  /** Labels of the buttons. */
  allow: string;
  deny: string;
}

/**
 * Shows a question with the buttons of embed.html, in place of everything else, since the frame may be small.
 * @param signal ends the question, as if the user had declined
 * @returns whether the user allowed it; false at once if the frame is hidden
 */
export async function askUser({ text, ...labels }: Question, signal?: AbortSignal): Promise<boolean> {
  const [area, question] = [document.getElementById('question'), document.getElementById('question-text')];
  const [allow, deny] = [document.getElementById('allow'), document.getElementById('deny')];
  if (!area || !question || !(allow instanceof HTMLButtonElement) || !deny) return false;
  // One question at a time. A hidden frame has no size.
  if (!area.hidden || innerWidth === 0 || innerHeight === 0) return false;
  if (signal?.aborted) return false;
  const pieces = showInPieces(text, question);
  [allow.textContent, deny.textContent] = [labels.allow, labels.deny];
  area.hidden = false;
  let stopListening = (): void => {};
  let limit: ReturnType<typeof setTimeout> | undefined;
  try {
    return await new Promise<boolean>((resolve) => {
      stopListening = onDeliberateClick(allow, () => resolve(true), { area, pieces });
      deny.onclick = () => resolve(false);
      signal?.addEventListener('abort', () => resolve(false));
      limit = setTimeout(() => resolve(false), LIMIT_MS);
    });
  } finally {
    stopListening();
    clearTimeout(limit);
    area.hidden = true;
  }
}

/** Shows a text, and returns the elements of its words. Long words are cut. Each element is a box of its own. */
function showInPieces(text: string, element: Element): Element[] {
  const long = new RegExp(`\\S{1,${PIECE_CHARACTERS}}`, 'gu');
  const pieces: Element[] = [];
  element.replaceChildren();
  for (const part of text.split(/(\s+)/)) {
    if (part.trim() === '') element.append(part);
    for (const piece of part.match(long) ?? []) {
      const box = Object.assign(document.createElement('span'), { textContent: piece });
      element.append(box);
      pieces.push(box);
    }
  }
  return pieces;
}
