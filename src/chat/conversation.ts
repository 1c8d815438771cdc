/** The conversation on the page; it survives a reload. */
import { signal } from '@preact/signals';
import { get, set } from 'idb-keyval';
import type { GenerateResult } from '../contract/engine-api.ts';

export interface AnswerStats {
  tokens: number;
  tokensPerSecond: number;
  hitRate: number;
  finishReason: GenerateResult['finishReason'];
}

/** In a chat: messages in turn. In a plain text: stretches by the user and by the model that make one text. */
export interface Entry {
  by: 'user' | 'model';
  text: string;
  stats?: AnswerStats;
}

const KEY = 'conversation';

export const entries = signal<Entry[]>([]);

export async function loadConversation(): Promise<void> {
  entries.value = (await get<Entry[]>(KEY)) ?? [];
}

export function saveConversation(): Promise<void> {
  return set(KEY, entries.value);
}

/** Replaces the last entry. */
export function changeLast(change: (entry: Entry) => Entry): void {
  const last = entries.value.at(-1);
  if (last) entries.value = [...entries.value.slice(0, -1), change(last)];
}

/** The whole text that user and model have written together. */
export const plainText = (): string => entries.value.map(({ text }) => text).join('');
