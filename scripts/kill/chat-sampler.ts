/** What a page shows of its chat, sampled often enough to know what it showed two seconds before a kill. */
import type { Page } from 'playwright';

/** What the page showed at one moment. */
export interface ChatSample {
  /**
   * Milliseconds that the page was running. A pause of the whole machine counts as 100 ms: in it, nothing could be
   * stored either.
   */
  at: number;
  /** The messages of the open chat. Those of the model without marks of Markdown, spaces and punctuation. */
  messages: { by: 'user' | 'model'; text: string }[];
  /** Text that is typed and not sent. */
  draft: string;
  /** An answer is being written. */
  busy: boolean;
  /** Settings: dark, light or neither, and the sampling preset. */
  appearance: string;
  preset: string;
}

const SAMPLE_EVERY_MS = 25;

/** Samples a page until it ends. @returns the samples so far, which grow */
export async function sampleChat(page: Page): Promise<ChatSample[]> {
  const samples: ChatSample[] = [];
  await page.exposeFunction('takeSample', (sample: ChatSample) => samples.push(sample));
  await page.evaluate(sampleRepeatedly, SAMPLE_EVERY_MS);
  return samples;
}

/** A text without what rendering may hide. */
export const lettersOf = (text: string): string => text.replace(/[^\p{L}\p{N}]/gu, '');

/** Runs in the page. */
function sampleRepeatedly(everyMs: number): void {
  const { takeSample } = globalThis as unknown as { takeSample: (sample: ChatSample) => void };
  let at = 0;
  let last = performance.now();
  const messageOf = (item: Element): ChatSample['messages'][number] => {
    const byUser = item.classList.contains('user');
    const text = item.querySelector(byUser ? '.bubble' : '.prose')?.textContent ?? '';
    return byUser ? { by: 'user', text } : { by: 'model', text: text.replace(/[^\p{L}\p{N}]/gu, '') };
  };
  setInterval(() => {
    const now = performance.now();
    at += Math.min(now - last, 100);
    last = now;
    takeSample({
      at,
      messages: [...document.querySelectorAll('.messages > .message')].map(messageOf),
      draft: document.querySelector<HTMLTextAreaElement>('.composer textarea')?.value ?? '',
      busy: document.querySelector('[aria-busy="true"]') !== null,
      appearance: document.documentElement.style.colorScheme,
      preset: document.querySelector<HTMLSelectElement>('select[aria-label="Sampling preset"]')?.value ?? '',
    });
  }, everyMs);
}
