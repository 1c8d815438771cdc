/** Holds answers to a format: asks the grammar worker what may come next. One for each loaded model. */
import type { AnswerFormat } from '../../src/contract/engine-api.ts';
import { MixtabError } from '../../src/contract/errors.ts';
import type { TokenId } from '../../src/contract/ids.ts';
import { type Remote, wrap } from '../../src/contract/rpc.ts';
import type { GrammarApi } from '../grammar.worker.ts';
import type { GrammarStep } from '../text/grammar.ts';
import { grammarVocabulary } from '../text/grammar-vocabulary.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { abortable } from './abortable.ts';

/** A schema whose grammar is not ready, or does not tell the next token, after so long never will; an ordinary one takes a second. */
const LIMIT_MS = 30_000;

export class AnswerFormats {
  #running: { worker: Worker; api: Promise<Remote<GrammarApi>> } | undefined;

  constructor(private readonly tokenizer: Tokenizer) {}

  /**
   * Begins an answer; returns what its first token may be.
   * @throws MixtabError `bad-request` for a schema that answers cannot be held to, `aborted`
   */
  begin({ schema }: AnswerFormat, stopped: () => boolean): Promise<GrammarStep> {
    return this.#ask((api) => api.begin(schema), stopped);
  }

  /** What may follow `token`, which was one of those allowed. */
  next(token: TokenId, stopped: () => boolean): Promise<GrammarStep> {
    return this.#ask((api) => api.next(token), stopped);
  }

  /** Ends the worker; the next answer starts another one. */
  end(): void {
    this.#running?.worker.terminate();
    this.#running = undefined;
  }

  async #ask(
    question: (api: Remote<GrammarApi>) => Promise<GrammarStep>,
    stopped: () => boolean,
  ): Promise<GrammarStep> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(tooLate()), LIMIT_MS);
    });
    try {
      return await abortable(Promise.race([this.#start().then(question), late]), stopped);
    } catch (error) {
      this.end(); // the library does not survive its own failures
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  #start(): Promise<Remote<GrammarApi>> {
    if (!this.#running) {
      const worker = new Worker(new URL('../grammar.worker.ts', import.meta.url), { type: 'module', name: 'grammar' });
      const api = wrap<GrammarApi>(worker);
      const failed = new Promise<never>((_, reject) => {
        worker.onerror = () =>
          reject(
            new MixtabError(
              'source-unreachable',
              'The code for formats of answers could not be loaded.',
              'Check the network and try again.',
            ),
          );
      });
      const ready = Promise.race([api.setVocabulary(grammarVocabulary(this.tokenizer)), failed]);
      this.#running = { worker, api: ready.then(() => api) };
    }
    return this.#running.api;
  }
}

const tooLate = (): MixtabError =>
  new MixtabError(
    'bad-request',
    `The answer's JSON schema took longer than ${LIMIT_MS / 1000} s.`,
    'Use a simpler one: shorter lists and texts, fewer levels.',
  );
