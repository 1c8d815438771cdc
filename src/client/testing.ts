/** An engine for tests of the client: says given words, one a tick, and obeys `stop`. */
import type { GenerateRequest, GenerateResult, GeneratedToken, LoadedModel, LoadRequest, ModelSummary } from '../contract/engine-api.ts';
import { MixtabError } from '../contract/errors.ts';
import { tokenId } from '../contract/ids.ts';
import type { Backend } from './local.ts';

export interface FakeEngine extends Backend {
  requests: GenerateRequest[];
  loads: LoadRequest[];
  /** Generations that run at this moment; more than one would be a fault of the client. */
  running: number;
  stops: number;
  closed: boolean;
}

const summary = (id: string): ModelSummary => ({ id, name: `Model ${id}` }) as ModelSummary;

export function fakeEngine(words: string[]): FakeEngine {
  let stopped = false;
  const fake: FakeEngine = {
    requests: [],
    loads: [],
    running: 0,
    stops: 0,
    closed: false,
    callback: (call) => call,
    close() {
      fake.closed = true;
    },
    importer: {
      list: async () => [summary('a')],
      async import(_source, onProgress) {
        onProgress({ phase: 'records', bytesDone: 1, bytesTotal: 2, recordsDone: 0, recordsTotal: 1 });
        return summary('b');
      },
      cancel: async () => {},
      async remove(id) {
        if (id !== 'a') throw new MixtabError('model-not-found', `No model ${id} is stored.`, 'Import it.');
      },
      verify: async () => ['L0.dense'],
    },
    engine: {
      async load(request) {
        fake.loads.push(request);
        return { summary: summary(request.modelId), context: 10 } as LoadedModel;
      },
      async stop() {
        fake.stops += 1;
        stopped = true;
      },
      async generate(request, onEvent) {
        if (fake.running > 0) throw new MixtabError('busy', 'The engine is busy.');
        fake.running += 1;
        fake.requests.push(request);
        stopped = false;
        const tokens: GeneratedToken[] = [];
        let finishReason: GenerateResult['finishReason'] = 'stop';
        for (const [i, text] of words.entries()) {
          await new Promise((resolve) => setTimeout(resolve));
          if (stopped) {
            finishReason = 'aborted';
            break;
          }
          const token = { id: tokenId(i), text, logprob: -i, top: [{ id: tokenId(i), logprob: -i, text }] };
          tokens.push(token);
          onEvent({ type: 'token', token });
        }
        fake.running -= 1;
        return { promptTokens: [tokenId(7), tokenId(8)], tokens, text: tokens.map(({ text }) => text).join(''), finishReason } as GenerateResult;
      },
    },
  };
  return fake;
}
