/**
 * What an answer may go on with, token by token, so that it becomes JSON of a schema: `@mlc-ai/web-xgrammar` over a model's
 * vocabulary. Runs in a worker of its own (grammar.worker.ts): what the library cannot compile ends its module.
 */
import { MixtabError } from '../../src/contract/errors.ts';
import { type TokenId, tokenId } from '../../src/contract/ids.ts';
import { BYTE_CHARACTERS } from '../format/pre-tokenizers.ts';
import type { GrammarVocabulary } from './grammar-vocabulary.ts';
import { prepareSchema } from './json-schema.ts';

type Library = typeof import('@mlc-ai/web-xgrammar');
type Matcher = Awaited<ReturnType<Library['GrammarMatcher']['createGrammarMatcher']>>;
type Compiler = Awaited<ReturnType<Library['GrammarCompiler']['createGrammarCompiler']>>;

/** Blanks or line ends in a row: with more of them a small model spends most of its answer, one that has lost its thread all of it. */
const MAX_WHITESPACE = 1;

/** What may come next. */
export interface GrammarStep {
  /** A bit a token, the lowest first. */
  allowed: Uint32Array<ArrayBuffer>;
  /** The answer is complete, and nothing could be added. */
  complete: boolean;
}

/** Bytes whose successor is not any of 0x80 .. 0xbf, with the range it is from: no overlong forms, surrogates, or values past the last. */
const SECOND_BYTES = new Map([
  [0xe0, [0xa0, 0xbf]],
  [0xed, [0x80, 0x9f]],
  [0xf0, [0x90, 0xbf]],
  [0xf4, [0x80, 0x8f]],
]);

/** The grammars of one model. */
export class Grammars {
  readonly #compiler: Promise<Compiler>;
  #matcher: Matcher | undefined;
  /** Tokens by their first byte, where a character may go on with it. */
  readonly #continuing = new Map<number, TokenId[]>();

  /** @param library see `loadGrammarLibrary` */
  constructor(
    private readonly library: Library,
    private readonly vocabulary: GrammarVocabulary,
  ) {
    const { pieces, endIds } = vocabulary;
    for (const [id, piece] of pieces.entries()) {
      const first = BYTE_CHARACTERS.indexOf(piece[0]);
      if (first >> 6 !== 2) continue;
      const others = this.#continuing.get(first);
      if (others) others.push(tokenId(id));
      else this.#continuing.set(first, [tokenId(id)]);
    }
    this.#compiler = library.TokenizerInfo.createTokenizerInfo(pieces, 'byte_level', false, pieces.length, endIds).then(
      (info) => library.GrammarCompiler.createGrammarCompiler(info, false),
    );
  }

  /**
   * Begins an answer; one at a time.
   * @param schema absent: any JSON object
   * @throws MixtabError `bad-request` for a schema that is not understood; anything else is the library's end
   */
  async begin(schema: unknown = { type: 'object' }): Promise<GrammarStep> {
    const prepared = JSON.stringify(prepareSchema(schema));
    const compiler = await this.#compiler;
    this.#matcher?.dispose();
    const compiled = await compiler.compileJSONSchema(prepared, true, undefined, undefined, true, MAX_WHITESPACE);
    this.#matcher = await this.library.GrammarMatcher.createGrammarMatcher(compiled);
    compiled.dispose();
    return this.#step(this.#matcher, '');
  }

  /** @param token one that the step before allowed */
  async next(token: TokenId): Promise<GrammarStep> {
    if (!this.#matcher?.acceptToken(token))
      throw new MixtabError('internal', `Token ${token} does not go on with the answer.`);
    return this.#step(this.#matcher, this.vocabulary.pieces[token]);
  }

  /** @param last the piece before */
  async #step(matcher: Matcher, last: string): Promise<GrammarStep> {
    const allowed = new Uint32Array(await matcher.getNextTokenBitmask());
    const { length } = this.vocabulary.pieces;
    if (length % 32 > 0) allowed[allowed.length - 1] &= (1 << (length % 32)) - 1; // what is past the vocabulary is set at times
    // The library's characters are any bytes of the right length.
    const [least, most] = SECOND_BYTES.get(BYTE_CHARACTERS.indexOf(last.slice(-1))) ?? [0x80, 0xbf];
    for (const [byte, ids] of this.#continuing) {
      if (byte < least || byte > most) for (const id of ids) allowed[id >> 5] &= ~(1 << (id & 31));
    }
    const others = allowed.slice();
    for (const id of this.vocabulary.endIds) others[id >> 5] &= ~(1 << (id & 31));
    const more = others.some((word) => word !== 0);
    const end = this.vocabulary.endIds.some((id) => (allowed[id >> 5] >>> (id & 31)) & 1);
    if (!more && !end) {
      throw new MixtabError(
        'bad-request',
        'This model has no token that the answer could go on with in the format asked for.',
        'Use another schema.',
      );
    }
    return { allowed, complete: !more };
  }
}

/** The library, fetched when it is first needed. */
export async function loadGrammarLibrary(): Promise<Library> {
  const module: Partial<Library> = await import('@mlc-ai/web-xgrammar');
  // Its package says ES module, its file is UMD: as what it is taken depends on the bundler. To be dropped when it is mended.
  const library = module.GrammarMatcher
    ? (module as Library)
    : (globalThis as unknown as { xgrammar: Library }).xgrammar;
  // The first call starts it; of two at once each would start its own.
  (await library.TokenizerInfo.createTokenizerInfo([])).dispose();
  return library;
}
