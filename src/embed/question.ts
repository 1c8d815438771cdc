/** Asks the user of the frame a question that the embedding page cannot answer. */

/** How long a question stays. */
const LIMIT_MS = 60_000;
/** Buttons work only after this time, so that a click that was meant for something else has no effect. */
const ARM_MS = 700;

/** A question with two answers. */
export interface Question {
  text: string;
  /** Labels of the buttons. */
  allow: string;
  deny: string;
}

/**
 * Shows a question with the buttons of embed.html.
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
  question.textContent = text;
  [allow.textContent, deny.textContent] = [labels.allow, labels.deny];
  area.hidden = false;
  allow.disabled = true;
  const armed = setTimeout(() => {
    allow.disabled = false;
  }, ARM_MS);
  let limit: ReturnType<typeof setTimeout> | undefined;
  try {
    return await new Promise<boolean>((resolve) => {
      // Scripts of the embedding page cannot reach the button; only clicks of the user count in any case.
      allow.onclick = ({ isTrusted }) => isTrusted && resolve(true);
      deny.onclick = () => resolve(false);
      signal?.addEventListener('abort', () => resolve(false));
      limit = setTimeout(() => resolve(false), LIMIT_MS);
    });
  } finally {
    clearTimeout(armed);
    clearTimeout(limit);
    area.hidden = true;
  }
}
