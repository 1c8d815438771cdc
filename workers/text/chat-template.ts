/**
 * Turns a conversation into the prompt that the model was trained on. The GGUF's own Jinja template is rendered by
 * @huggingface/jinja, an interpreter without access to JavaScript.
 *
 * The template renders placeholders instead of the messages' contents. The contents are inserted afterwards and encoded
 * without special tokens, so `</s>` in a user's message stays text and cannot end a turn. For templates that process
 * contents, e.g. trim them, a placeholder is an ordinary word.
 */
import { Template } from '@huggingface/jinja';
import type { ChatMessage } from '../../src/contract/engine-api.ts';
import { excerpt, MixtabError } from '../../src/contract/errors.ts';
import type { TokenId } from '../../src/contract/ids.ts';
import { renderLimited } from './template-limits.ts';
import type { Tokenizer } from './tokenizer.ts';

/** Delimiters of a placeholder: private-use characters. They are removed from contents. */
const OPEN = '\uE000';
const CLOSE = '\uE001';

/** Texts of the special tokens that a template may write. */
export interface TemplateTokens {
  bosToken: string;
  eosToken: string;
}

/**
 * Renders a conversation as text. If the template refuses or drops a system message, the message is put before the
 * first user message, separated by an empty line, as in Mistral's reference implementation.
 * @throws MixtabError `chat-template` with the template's own message
 */
export function renderChat(template: string, messages: readonly ChatMessage[], tokens: TemplateTokens): string {
  const compiled = withTemplateErrors(() => new Template(template));
  const render = (conversation: readonly ChatMessage[]): string =>
    withTemplateErrors(() =>
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
    // Some templates silently skip a system message.
    if (text.includes(messages[0].content.trim())) return text;
  } catch (error) {
    if (messages.length < 2) throw error;
  }
  return render(prependSystem(messages));
}

/** Joins the system message and the first user message. */
function prependSystem([system, first, ...rest]: readonly ChatMessage[]): ChatMessage[] {
  if (first?.role !== 'user') {
    throw new MixtabError(
      'chat-template',
      'A system prompt must be followed by a user message.',
      'Add a user message.',
    );
  }
  return [{ role: 'user', content: `${system.content}\n\n${first.content}` }, ...rest];
}

/**
 * The tokens of a conversation, up to the point where the answer begins.
 * @param addBos whether to put BOS in front if the template does not write it
 * @throws MixtabError `chat-template` with the template's own message
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

/** Inserts the contents and encodes the prompt. Control tokens are recognized only in the template's own text. */
function encodeRendered(tokenizer: Tokenizer, rendered: string, contents: readonly string[]): TokenId[] {
  const specials = new Set(tokenizer.controlPieces.filter((piece) => rendered.includes(piece)));
  // `controlPieces` has the longest first, so `<|im_end|>` is matched before a token `<|im`.
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

/** Runs the template's code and turns what it throws into a MixtabError. */
function withTemplateErrors<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    const reason = excerpt(error instanceof Error ? error.message : String(error));
    throw new MixtabError(
      'chat-template',
      `The model's chat template refuses this conversation: ${reason}`,
      'Start a new conversation.',
    );
  }
}
