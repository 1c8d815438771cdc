/** The text of an answer while it streams: it is shown several times per second, and stored every few seconds. */
import type { GeneratedToken, GenerateEvent } from '../../contract/engine-api.ts';
import { changeTurn } from '../state/conversation-tree.ts';
import { streaming, updateConversation } from '../state/conversations.ts';
import { prefill } from '../state/generation.ts';

/** Tokens arrive faster than the page needs to show them. If drawing takes longer, it is drawn as often as that. */
const SHOW_EVERY_MS = 40;
/**
 * Words of an answer are stored after this time, even if no more of them arrive. Writing takes a moment, too: if the
 * browser is killed, less than two seconds are lost.
 */
const STORE_AFTER_MS = 1000;

/** Options of {@link StreamedTurn}. */
export interface StreamedTurnOptions {
  conversationId: string;
  turnId: string;
  /** Text that the turn had before; the answer is appended to it. */
  textBefore: string;
  kind: 'chat' | 'text';
  /** Once aborted, no more text is shown. */
  signal: AbortSignal;
  /** Tokens of a resumed answer that the turn shows already. */
  tokens?: readonly GeneratedToken[];
}

/** Collects the tokens of one answer, and shows and stores the text at intervals. */
export class StreamedTurn {
  readonly #options: StreamedTurnOptions;
  /** The tokens so far, from which the engine can resume the answer. */
  readonly tokens: GeneratedToken[];
  /** Text of the tokens so far. */
  #added: string;
  #text: string;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #storeTimer: ReturnType<typeof setTimeout> | undefined;
  #ended = false;
  /** How long the last drawing took. */
  #drawMs = 0;

  constructor(options: StreamedTurnOptions) {
    this.#options = options;
    this.tokens = [...(options.tokens ?? [])];
    this.#added = this.tokens.map(({ text }) => text).join('');
    this.#text = this.textWith(this.#added);
    this.#show();
  }

  /** The turn's whole text so far. */
  get text(): string {
    return this.#text;
  }

  /** The turn's text after the model added `added`. A new message loses the leading space of its first token. */
  textWith(added: string): string {
    const { kind, textBefore } = this.#options;
    return kind === 'chat' && textBefore === '' ? added.trimStart() : textBefore + added;
  }

  /** Receives the events of the generation. */
  readonly onEvent = (event: GenerateEvent): void => {
    if (this.#ended) return;
    if (event.type === 'prefill') {
      prefill.value = { done: event.tokensDone, total: event.tokensTotal };
      return;
    }
    prefill.value = undefined;
    if (!event.rest) this.tokens.push(event.token);
    this.#added += event.token.text;
    this.#text = this.textWith(this.#added);
    if (this.#options.signal.aborted) return;
    this.#timer ??= setTimeout(() => this.#show(), Math.max(SHOW_EVERY_MS, this.#drawMs));
    this.#storeTimer ??= setTimeout(() => this.#store(), STORE_AFTER_MS);
  };

  /** Shows and stores nothing more, even if a token arrives late. */
  end(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#storeTimer);
  }

  #show(): void {
    const { conversationId, turnId } = this.#options;
    const text = this.#text;
    this.#timer = undefined;
    streaming.value = { conversationId, turnId, text };
    const startedAt = performance.now();
    // Preact renders before the next task.
    setTimeout(() => {
      this.#drawMs = performance.now() - startedAt;
    });
  }

  #store(): void {
    const { conversationId, turnId } = this.#options;
    const text = this.#text;
    this.#storeTimer = undefined;
    updateConversation(conversationId, (conversation) => changeTurn(conversation, turnId, { text }));
  }
}
