/** Entry point of the grammar worker: holds answers to JSON schemas. The engine ends it where it fails or takes too long. */
import { MixtabError } from '../src/contract/errors.ts';
import type { TokenId } from '../src/contract/ids.ts';
import { expose, transfer } from '../src/contract/rpc.ts';
import { type GrammarStep, Grammars, loadGrammarLibrary } from './text/grammar.ts';
import type { GrammarVocabulary } from './text/grammar-vocabulary.ts';

// The library says what is wrong on the console only, and ends.
let complaint = '';
console.error = (line: unknown): void => {
  complaint = /^\[FATAL\] \S+:\d+: (?:Check failed: .*? is false: )?(.*)/s.exec(String(line))?.[1] ?? complaint;
};

let grammars: Grammars | undefined;

async function explained(step: Promise<GrammarStep>): Promise<GrammarStep> {
  try {
    const done = await step;
    return transfer(done, [done.allowed.buffer]);
  } catch (error) {
    if (error instanceof MixtabError) throw error;
    throw new MixtabError(
      'bad-request',
      `The answer's JSON schema cannot be used: ${complaint || String(error)}`,
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
