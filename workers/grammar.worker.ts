/**
 * Entry point of the grammar worker, which constrains answers to JSON schemas. The engine ends it if it fails or hangs.
 */
import { MixtabError } from '../src/contract/errors.ts';
import type { TokenId } from '../src/contract/ids.ts';
import { expose, transfer } from '../src/contract/rpc.ts';
import { type GrammarStep, Grammars, loadGrammarLibrary } from './text/grammar.ts';
import type { GrammarVocabulary } from './text/grammar-vocabulary.ts';

/** Length of the library's explanation in an error: it may quote the schema. */
const MAX_EXPLANATION = 100;

// The library reports the cause of a failure only on the console, and then ends.
let explanation = '';
console.error = (line: unknown): void => {
  explanation = /^\[FATAL\] \S+:\d+: (?:Check failed: .*? is false: )?(.*)/s.exec(String(line))?.[1] ?? explanation;
};

let grammars: Grammars | undefined;

/** Replaces the library's own errors by a MixtabError with its explanation from the console. */
async function explained(step: Promise<GrammarStep>): Promise<GrammarStep> {
  try {
    const done = await step;
    return transfer(done, [done.allowed.buffer]);
  } catch (error) {
    if (error instanceof MixtabError) throw error;
    throw new MixtabError(
      'bad-request',
      `The answer's JSON schema cannot be used: ${(explanation || String(error)).slice(0, MAX_EXPLANATION)}`,
      'Change the schema.',
    );
  }
}

const api = {
  async setVocabulary(vocabulary: GrammarVocabulary): Promise<void> {
    grammars = new Grammars(await loadGrammarLibrary(), vocabulary);
  },
  begin: (schema?: unknown): Promise<GrammarStep> => explained(grammars!.begin(schema)),
  next: (token: TokenId): Promise<GrammarStep> => explained(grammars!.next(token)),
};

export type GrammarApi = typeof api;
expose(api);
