/**
 * Turns a conversation into the prompt that the model was trained on, with the GGUF's own Jinja template.
 *
 * The template sees the real texts of the messages. The result knows which of its characters come from which message,
 * and control tokens are recognized only in the others. So `</s>` in a user's message stays text and cannot end a turn.
 */
import type { ChatMessage } from '../../src/contract/engine-api.ts';
import { excerpt, MixtabError } from '../../src/contract/errors.ts';
import type { TokenId } from '../../src/contract/ids.ts';
import { Budget } from './jinja/budget.ts';
import { parseTemplate, render } from './jinja/render.ts';
import { Text } from './jinja/text.ts';
import { Dict, List } from './jinja/values.ts';
import type { Tokenizer } from './tokenizer.ts';

/** Texts of the special tokens that a template may write. */
export interface TemplateTokens {
  bosToken: string;
  eosToken: string;
}

/** A message of a conversation, with the origin of its text. */
interface Message {
  role: ChatMessage['role'];
  content: Text;
}

/**
 * Renders a conversation as text. A conversation that the template refuses, or whose system messages it drops, is
 * rendered in a form that every template takes: see {@link folded}.
 * @param budget of all attempts together
 * @throws MixtabError `chat-template` with the template's own message
 */
export function renderConversation(
  template: string,
  messages: readonly ChatMessage[],
  tokens: TemplateTokens,
  budget = new Budget(),
): Text {
  return withTemplateErrors(() => {
    const program = parseTemplate(template);
    const attempt = (conversation: readonly Message[]): Text =>
      render(
        program,
        {
          messages: new List(conversation.map(({ role, content }) => Dict.of({ role: new Text(role), content }))),
          bos_token: new Text(tokens.bosToken),
          eos_token: new Text(tokens.eosToken),
          add_generation_prompt: true,
        },
        budget,
      );
    const given = messages.map(({ role, content }, i) => ({
      role,
      content: Text.ofMessage(content.toWellFormed(), i),
    }));
    const simpler = folded(given);
    try {
      const text = attempt(given);
      if (!simpler || hasSystemMessages(text, given)) return text;
    } catch (error) {
      if (!simpler) throw error;
    }
    return attempt(simpler);
  });
}

/** {@link renderConversation}, as a plain text. */
export function renderChat(template: string, messages: readonly ChatMessage[], tokens: TemplateTokens): string {
  return renderConversation(template, messages, tokens).plain;
}

/** Whether a rendered conversation has something of every system message. Some templates silently skip them. */
function hasSystemMessages(text: Text, messages: readonly Message[]): boolean {
  const written = new Set(text.stretches.map(({ source }) => source));
  return messages.every(({ role, content }, i) => role !== 'system' || content.plain.trim() === '' || written.has(i));
}

/**
 * A conversation in which user and assistant take turns. A system message is put before the next message of the user,
 * as in Mistral's reference implementation, and neighbours of the same role become one message. Their texts are
 * separated by an empty line. Before a conversation that the assistant begins, for example with a greeting, the user has
 * sent an empty message, or the system messages.
 * @returns undefined if that is not possible, or the conversation has this form already
 */
function folded(messages: readonly Message[]): Message[] | undefined {
  const turns: Message[] = [];
  let pending: Text[] = [];
  for (const { role, content } of messages) {
    if (role === 'system') {
      pending.push(content);
      continue;
    }
    if (turns.length === 0 && role === 'assistant') {
      turns.push({ role: 'user', content: pending.length > 0 ? paragraphs(pending) : new Text('') });
      pending = [];
    }
    const last = turns.at(-1);
    const texts = role === 'user' ? [...pending, content] : [content];
    if (role === 'user') pending = [];
    if (last?.role === role) last.content = paragraphs([last.content, ...texts]);
    else turns.push({ role, content: paragraphs(texts) });
  }
  const hasNoNext = pending.length > 0;
  const isUnchanged = turns.length === messages.length && turns.every(({ role }, i) => role === messages[i].role);
  return hasNoNext || isUnchanged ? undefined : turns;
}

function paragraphs(texts: readonly Text[]): Text {
  const separator = new Text('\n\n');
  return Text.concat(texts.flatMap((text, i) => (i === 0 ? [text] : [separator, text])));
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
  const budget = new Budget();
  const tokens = {
    bosToken: tokenizer.pieceOf(tokenizer.bosId),
    eosToken: tokenizer.pieceOf(tokenizer.eosId),
  };
  const rendered = renderConversation(template, messages, tokens, budget);
  const ids = encodeRendered(tokenizer, rendered, budget);
  return ids[0] === tokenizer.bosId || !addBos ? ids : [tokenizer.bosId, ...ids];
}

/** Encodes the prompt. Control tokens are recognized only in the template's own text. */
function encodeRendered(tokenizer: Tokenizer, rendered: Text, budget: Budget): TokenId[] {
  const pieces = rendered.pieces();
  // Most templates write the same few texts again and again.
  const own = new Set(pieces.filter(({ source }) => source === undefined).map(({ plain }) => plain));
  const specials = withTemplateErrors(() => specialsIn([...own], tokenizer.controlPieces, budget));
  // `controlPieces` has the longest first, so `<|im_end|>` is matched before a token `<|im`.
  const pattern = new RegExp(`(${[...specials].map(escapeRegExp).join('|')})`, 'g');
  const ids: TokenId[][] = [];
  let text = '';
  const flush = (): void => {
    if (text !== '') ids.push(tokenizer.encode(text));
    text = '';
  };
  for (const { plain, source } of pieces) {
    // The parts at odd positions are control tokens.
    const parts = source === undefined && specials.size > 0 ? plain.split(pattern) : [plain];
    for (const [i, part] of parts.entries()) {
      if (i % 2 === 0) text += part;
      else {
        flush();
        ids.push(tokenizer.encode(part, { parseSpecial: true }));
      }
    }
  }
  flush();
  return ids.flat();
}

/** The control tokens that occur in these texts. A hostile file may have as many of both as it likes. */
function specialsIn(texts: readonly string[], controlPieces: readonly string[], budget: Budget): Set<string> {
  const length = texts.reduce((sum, text) => sum + text.length, 0);
  budget.scan((length * controlPieces.length) / 8);
  return new Set(controlPieces.filter((special) => texts.some((text) => text.includes(special))));
}

const escapeRegExp = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** Runs the template's code and turns what it throws into a MixtabError. */
function withTemplateErrors<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new MixtabError(
      'chat-template',
      `The model's chat template refuses this conversation: ${excerpt(reasonOf(error))}`,
      'Change the conversation, or choose a chat format for this model.',
    );
  }
}

function reasonOf(error: unknown): string {
  // The stack is full: parentheses in parentheses, thousands of them.
  if (error instanceof RangeError) return 'it is nested too deeply';
  return error instanceof Error ? error.message : String(error);
}
