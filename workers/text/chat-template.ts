/**
 * A conversation as the model was trained to see it: the GGUF's own Jinja template, rendered by
 * @huggingface/jinja, an interpreter without access to JavaScript.
 *
 * Texts of the conversation are rendered as placeholders and put in afterwards token by token, so that
 * `</s>` or `<s>` in a user's text stays text and cannot end a turn. A template that looks into its
 * contents (trims them, say) still works: a placeholder is an ordinary word to it.
 */
import { Template } from '@huggingface/jinja';
import type { ChatMessage } from '../../src/contract/engine-api.ts';
import { MixtabError } from '../../src/contract/errors.ts';
import type { TokenId } from '../../src/contract/ids.ts';
import { renderLimited } from './template-limits.ts';
import type { Tokenizer } from './tokenizer.ts';

/** Private-use characters, which no vocabulary of ours has and no user types. */
const OPEN = '\uE000';
const CLOSE = '\uE001';

export interface TemplateTokens {
  bosToken: string;
  eosToken: string;
}

/**
 * Renders a conversation. A template that refuses a system message gets it put before the first user
 * text, two newlines between, which is what Mistral's reference does.
 * @throws MixtabError `chat-template` with the template's own message
 */
export function renderChat(template: string, messages: readonly ChatMessage[], tokens: TemplateTokens): string {
  const compiled = templateErrors(() => new Template(template));
  const render = (conversation: readonly ChatMessage[]): string =>
    templateErrors(() =>
      renderLimited(compiled, {
        messages: conversation.map((message) => ({ ...message })),
        bos_token: tokens.bosToken,
        eos_token: tokens.eosToken,
        add_generation_prompt: true,
      }),
    );
  if (messages[0]?.role !== 'system') return render(messages);
  try {
    const text = render(messages);
    // Some templates skip a system message without a word.
    if (text.includes(messages[0].content.trim())) return text;
  } catch (error) {
    if (messages.length < 2) throw error;
  }
  return render(prependSystem(messages));
}

function prependSystem([system, first, ...rest]: readonly ChatMessage[]): ChatMessage[] {
  if (first?.role !== 'user') {
    throw new MixtabError(
      'chat-template',
      'A system prompt must be followed by a user message.',
      'Send a message first.',
    );
  }
  return [{ role: 'user', content: `${system.content}\n\n${first.content}` }, ...rest];
}

/**
 * The prompt of a conversation, ready for an answer.
 * @param addBos put BOS in front where the template has not; never twice
 */
export function promptTokens(
  tokenizer: Tokenizer,
  template: string,
  messages: readonly ChatMessage[],
  addBos = true,
): TokenId[] {
  const contents = messages.map(({ content }) => stripPlaceholders(content));
  const marked = messages.map(({ role }, i) => ({ role, content: `${OPEN}${i}${CLOSE}` }));
  const rendered = renderChat(template, marked, {
    bosToken: tokenizer.pieceOf(tokenizer.bosId),
    eosToken: tokenizer.pieceOf(tokenizer.eosId),
  });
  const ids = encodeRendered(tokenizer, rendered, contents);
  return ids[0] === tokenizer.bosId || !addBos ? ids : [tokenizer.bosId, ...ids];
}

/** Control tokens are recognized in the template's text only; a stretch between two of them is encoded as one text. */
function encodeRendered(tokenizer: Tokenizer, rendered: string, contents: readonly string[]): TokenId[] {
  const specials = new Set(tokenizer.controlPieces.filter((piece) => rendered.includes(piece)));
  // Longest first, as controlPieces are: `<|im_end|>` before a `<|im` that might be one too.
  const parts =
    specials.size > 0 ? rendered.split(new RegExp(`(${[...specials].map(escapeRegExp).join('|')})`, 'g')) : [rendered];
  return parts.flatMap((part) => {
    if (part === '') return [];
    if (specials.has(part)) return tokenizer.encode(part, { parseSpecial: true });
    const text = part.replaceAll(
      new RegExp(`${OPEN}(\\d+)${CLOSE}`, 'g'),
      (_match, index: string) => contents[Number(index)],
    );
    return tokenizer.encode(text);
  });
}

const stripPlaceholders = (text: string): string => text.replaceAll(OPEN, '').replaceAll(CLOSE, '');

const escapeRegExp = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');

function templateErrors<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new MixtabError(
      'chat-template',
      `The model's chat template refuses this conversation: ${why}`,
      'Start a new conversation.',
    );
  }
}
