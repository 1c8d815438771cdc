/** Constrains answers to a format by asking the grammar worker which tokens may come next. */
import type { AnswerFormat } from '../../src/contract/engine-api.ts';
import { MixtabError } from '../../src/contract/errors.ts';
import type { TokenId } from '../../src/contract/ids.ts';
import type { Remote } from '../../src/contract/rpc.ts';
import { startNestedWorker } from '../../src/contract/worker-life.ts';
import { WorkerLink } from '../../src/contract/worker-link.ts';
import { abortable } from '../store/abortable.ts';
import type { GrammarStep } from '../text/grammar.ts';
import type { GrammarService } from '../text/grammar-service.ts';
import { grammarVocabulary } from '../text/grammar-vocabulary.ts';
import type { Tokenizer } from '../text/tokenizer.ts';

/** An ordinary schema takes about a second. One that takes this long would probably never finish. */
const LIMIT_MS = 30_000;

/**
 * The formats of one loaded model's answers, one answer at a time. Owns the grammar worker, which the first answer
 * starts.
 */
export class AnswerFormats {
  #running: { link: WorkerLink<GrammarService>; api: Promise<Remote<GrammarService>> } | undefined;

  constructor(private readonly tokenizer: Tokenizer) {}

  /**
   * Begins an answer.
   * @returns which tokens may come first
   * @throws MixtabError `bad-request` for an unsupported schema, `worker-unavailable`, `aborted`
   */
  begin({ schema }: AnswerFormat, signal: AbortSignal): Promise<GrammarStep> {
    return this.#ask((api) => api.begin(schema), signal);
  }

  /**
   * Continues an answer after a token.
   * @param token one that the previous step allowed
   * @returns which tokens may follow it
   * @throws MixtabError `bad-request`, `worker-unavailable`, `aborted`
   */
  next(token: TokenId, signal: AbortSignal): Promise<GrammarStep> {
    return this.#ask((api) => api.next(token), signal);
  }

  /** Ends the worker. The next answer with a format starts another one. */
  end(): void {
    this.#running?.link.close();
    this.#running = undefined;
  }

  async #ask(
    question: (api: Remote<GrammarService>) => Promise<GrammarStep>,
    signal: AbortSignal,
  ): Promise<GrammarStep> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const timeout = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(timedOut()), LIMIT_MS);
    });
    try {
      return await abortable(signal, Promise.race([this.#start().then(question), timeout]));
    } catch (error) {
      this.end(); // the grammar library is unusable after one of its own failures
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  #start(): Promise<Remote<GrammarService>> {
    if (!this.#running) {
      const link = new WorkerLink<GrammarService>({
        start: () =>
          startNestedWorker(
            () => new Worker(new URL('../grammar.worker.ts', import.meta.url), { type: 'module', name: 'grammar' }),
          ),
        task: 'checks the format of answers',
        died: { code: 'worker-unavailable', remedy: 'Try again.' },
      });
      const ready = link.api.setVocabulary(grammarVocabulary(this.tokenizer));
      this.#running = { link, api: ready.then(() => link.api) };
    }
    return this.#running.api;
  }
}

const timedOut = (): MixtabError =>
  new MixtabError(
    'bad-request',
    `The answer's JSON schema took longer than ${LIMIT_MS / 1000} s.`,
    'Use a simpler one, with shorter lists and texts and fewer levels.',
  );
