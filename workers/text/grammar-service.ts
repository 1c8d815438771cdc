/** What the grammar worker offers to the engine worker: the grammars of one model's answers. */
import { excerpt, MixtabError } from '../../src/contract/errors.ts';
import type { TokenId } from '../../src/contract/ids.ts';
import { transfer } from '../../src/contract/rpc.ts';
import { type GrammarStep, Grammars, loadGrammarLibrary } from './grammar.ts';
import type { GrammarVocabulary } from './grammar-vocabulary.ts';

export class GrammarService {
  #grammars: Grammars | undefined;
  /** What the library printed before it failed; may quote the schema. */
  #explanation = '';

  /**
   * Listens to the console of the worker: the library reports the cause of a failure only there, and then ends.
   * @param console of the worker; its `error` is replaced
   */
  constructor(console: Pick<Console, 'error'>) {
    console.error = (line: unknown): void => {
      const fatal = /^\[FATAL\] \S+:\d+: (?:Check failed: .*? is false: )?(.*)/s.exec(String(line));
      this.#explanation = fatal?.[1] ?? this.#explanation;
    };
  }

  /** Prepares the model's vocabulary; call it first. */
  async setVocabulary(vocabulary: GrammarVocabulary): Promise<void> {
    this.#grammars = new Grammars(await loadGrammarLibrary(), vocabulary);
  }

  /**
   * Begins an answer.
   * @param schema that the answer must conform to; default: any JSON object
   * @throws MixtabError `bad-request` if the schema cannot be used
   */
  begin(schema?: unknown): Promise<GrammarStep> {
    return this.#explained(this.#grammars!.begin(schema));
  }

  /** Continues the answer with a token, and returns which tokens may follow it. */
  next(token: TokenId): Promise<GrammarStep> {
    return this.#explained(this.#grammars!.next(token));
  }

  /** Replaces the library's own errors by a MixtabError with its explanation from the console. */
  async #explained(step: Promise<GrammarStep>): Promise<GrammarStep> {
    try {
      const done = await step;
      return transfer(done, [done.allowed.buffer]);
    } catch (error) {
      if (error instanceof MixtabError) throw error;
      throw new MixtabError(
        'bad-request',
        `The answer's JSON schema cannot be used: ${excerpt(this.#explanation || String(error))}`,
        'Change the schema.',
      );
    }
  }
}
