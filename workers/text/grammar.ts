/**
 * Says token by token how an answer may continue, so that it becomes JSON that matches a schema. It uses
 * `@mlc-ai/web-xgrammar` with the model's vocabulary. It runs in a worker of its own (grammar.worker.ts), because a
 * schema that the library cannot compile aborts its WebAssembly module.
 */
import { MixtabError } from '../../src/contract/errors.ts';
import { fetchCode } from '../../src/contract/fetch-code.ts';
import { type TokenId, tokenId } from '../../src/contract/ids.ts';
import { BYTE_CHARACTERS } from '../format/pre-tokenizers.ts';
import type { GrammarVocabulary } from './grammar-vocabulary.ts';
import { prepareSchema } from './json-schema.ts';

type Library = typeof import('@mlc-ai/web-xgrammar');
type Matcher = Awaited<ReturnType<Library['GrammarMatcher']['createGrammarMatcher']>>;
type Compiler = Awaited<ReturnType<Library['GrammarCompiler']['createGrammarCompiler']>>;

/**
 * Most white space characters in a row. If more were allowed, small models would fill much of an answer with them, or
 * all of it.
 */
const MAX_WHITESPACE = 1;

/** What may come next. */
export interface GrammarStep {
  /** One bit per token, lowest bit first: 1 if the token may come next. */
  allowed: Uint32Array<ArrayBuffer>;
  /** True if the answer is complete and nothing but its end may come next. */
  complete: boolean;
}

/**
 * First bytes of UTF-8 whose second byte may not be all of 0x80 .. 0xbf, and the range that it may be in. This excludes
 * overlong forms, surrogates and values above U+10FFFF.
 */
const SECOND_BYTES = new Map([
  [0xe0, [0xa0, 0xbf]],
  [0xed, [0x80, 0x9f]],
  [0xf0, [0x90, 0xbf]],
  [0xf4, [0x80, 0x8f]],
]);

/**
 * The grammars of one model's answers. One answer at a time: call {@link begin}, then {@link next} after each token.
 */
export class Grammars {
  readonly #compiler: Promise<Compiler>;
  #matcher: Matcher | undefined;
  /** The tokens that begin within a character (with a byte 0x80 .. 0xbf), by their first byte. */
  readonly #continuing = new Map<number, TokenId[]>();

  /** @param library from {@link loadGrammarLibrary} */
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
   * Begins an answer and ends the previous one.
   * @param schema default: any JSON object
   * @throws MixtabError `bad-request` for a schema that is not supported. Any other error means that the library's
   * module has aborted: it cannot be used again.
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

  /**
   * Adds a token to the answer.
   * @param token one that the previous step allowed
   * @throws MixtabError `bad-request` if no token of the vocabulary can continue the answer
   */
  async next(token: TokenId): Promise<GrammarStep> {
    if (!this.#matcher?.acceptToken(token))
      throw new MixtabError('internal', `The grammar does not allow token ${token} here.`);
    return this.#step(this.#matcher, this.vocabulary.pieces[token]);
  }

  /** @param last the previous token's piece */
  async #step(matcher: Matcher, last: string): Promise<GrammarStep> {
    const allowed = new Uint32Array(await matcher.getNextTokenBitmask());
    const { length } = this.vocabulary.pieces;
    // The library sometimes sets bits beyond the vocabulary.
    if (length % 32 > 0) allowed[allowed.length - 1] &= (1 << (length % 32)) - 1;
    // The library accepts any continuation bytes of the right number, so invalid second bytes are excluded here.
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
        'This model has no token that continues the answer in the requested format.',
        'Use another schema.',
      );
    }
    return { allowed, complete: !more };
  }
}

/** Loads the library. It is fetched when it is first needed. */
export async function loadGrammarLibrary(): Promise<Library> {
  const module: Partial<Library> = await fetchCode(
    'checks the format of answers',
    () => import('@mlc-ai/web-xgrammar'),
  );
  // The package declares an ES module, but its file is UMD, so bundlers treat it differently. Remove this when that is
  // fixed.
  const library = module.GrammarMatcher
    ? (module as Library)
    : (globalThis as unknown as { xgrammar: Library }).xgrammar;
  // The first call starts the WebAssembly module. Two calls at once would start two.
  (await library.TokenizerInfo.createTokenizerInfo([])).dispose();
  return library;
}
