import { describe, expect, it, vi } from 'vitest';
import { MixtabError } from '../contract/errors.ts';
import { createHost } from './host.ts';
import { createLocal } from './local.ts';
import { isReply, originFrom, type Reply } from './protocol.ts';
import { createRemote } from './remote.ts';
import { type FakeEngine, fakeEngine } from './testing.ts';
import type { Mixtab } from './types.ts';

const messages = [{ role: 'user' as const, content: 'Hi' }];

async function all<T>(chunks: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const chunk of chunks) list.push(chunk);
  return list;
}

/** A client behind the message protocol. Messages are cloned, as they are between windows. */
function overMessages(fake: FakeEngine): Mixtab {
  const remote = createRemote(
    (request) => receive(structuredClone(request)),
    () => fake.close(),
  );
  const receive = createHost(createLocal(fake), (reply: Reply) => remote.receive(structuredClone(reply)));
  return remote.client;
}

const KINDS: [string, (fake: FakeEngine) => Mixtab][] = [
  ['over workers', createLocal],
  ['over messages', overMessages],
];

it('tells other tabs and frames which model it reads, from the beginning of a load to its failure', async () => {
  const used: (string | undefined)[] = [];
  const fake = fakeEngine(['a']);
  const loads: string[] = [];
  const load = fake.engine.load.bind(fake.engine);
  fake.engine.load = async (request, onProgress) => {
    loads.push(`${request.modelId} while ${used.at(-1)} is used`);
    if (request.modelId === 'damaged') throw new MixtabError('record-damaged', 'A record is damaged.', 'Repair it.');
    return load(request, onProgress);
  };
  const client = createLocal({ ...fake, neighbours: { mayLoad: async () => {}, uses: (id) => void used.push(id) } });
  await client.load({ modelId: 'a' });
  await expect(client.load({ modelId: 'damaged' })).rejects.toMatchObject({ code: 'record-damaged' });
  expect(loads).toEqual(['a while a is used', 'damaged while damaged is used']);
  expect(used).toEqual(['a', 'damaged', undefined]);
});

it('tells others that it still reads its model if another one may not be loaded', async () => {
  const used: (string | undefined)[] = [];
  const refused = new MixtabError('loaded-elsewhere', 'Another tab has a model.', 'Close it.');
  const mayLoad = async ({ modelId }: { modelId: string }): Promise<void> => {
    if (modelId === 'large') throw refused;
  };
  const client = createLocal({ ...fakeEngine(['a']), neighbours: { mayLoad, uses: (id) => void used.push(id) } });
  await client.load({ modelId: 'a' });
  await expect(client.load({ modelId: 'large' })).rejects.toBe(refused);
  expect(used).toEqual(['a', 'a']);
});

describe.each(KINDS)('the client %s', (_kind, clientOf) => {
  it('answers in the shape of OpenAI', async () => {
    const fake = fakeEngine(['Hel', 'lo']);
    const answer = await clientOf(fake).chat.completions.create({
      model: 'a',
      messages,
      logprobs: true,
      top_logprobs: 1,
    });
    expect(answer).toMatchObject({
      object: 'chat.completion',
      model: 'a',
      choices: [{ index: 0, message: { role: 'assistant', content: 'Hello' }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 2, completion_tokens: 2, total_tokens: 4 },
    });
    expect(answer.id).toMatch(/^chatcmpl-/);
    expect(answer.choices[0].logprobs?.content[1]).toEqual({
      token: 'lo',
      bytes: [108, 111],
      logprob: -1,
      top_logprobs: [{ token: 'lo', bytes: [108, 111], logprob: -1 }],
    });
    expect(fake.loads).toEqual([{ modelId: 'a' }]);
  });

  it('streams chunks that make up the answer, with the usage if requested', async () => {
    const client = clientOf(fakeEngine(['a', 'b', 'c']));
    const chunks = await all(
      await client.chat.completions.create({
        model: 'a',
        messages,
        stream: true,
        stream_options: { include_usage: true },
      }),
    );
    expect(chunks[0].choices[0].delta.role).toBe('assistant');
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toBe('abc');
    expect(chunks.at(-2)?.choices[0].finish_reason).toBe('stop');
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { total_tokens: 5 } });
    expect(chunks.slice(0, -1).every(({ usage }) => usage === null)).toBe(true);
    const without = await all(await client.chat.completions.create({ model: 'a', messages, stream: true }));
    expect(without.some((chunk) => 'usage' in chunk)).toBe(false);
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
  });

  it('ends an engine that does not stop, and loads its model again for the next call', async () => {
    vi.useFakeTimers();
    try {
      const fake = fakeEngine(['a']);
      const client = clientOf(fake);
      await client.load({ modelId: 'm', context: 10 });
      fake.hangs = true;
      const controller = new AbortController();
      const hanging = client.completions.create({ prompt: 'x' }, { signal: controller.signal });
      const next = client.completions.create({ prompt: 'y' });
      const ended = expect(hanging).rejects.toMatchObject({ code: 'aborted' });
      await vi.advanceTimersByTimeAsync(10);
      controller.abort();
      await vi.advanceTimersByTimeAsync(5000);
      expect(fake.restarts).toBe(0);
      fake.hangs = false;
      await vi.advanceTimersByTimeAsync(60_000);
      await ended;
      expect((await next).choices[0].text).toBe('a');
      expect([fake.restarts, fake.loads.map(({ context }) => context)]).toEqual([1, [10, 10]]);
    } finally {
      vi.useRealTimers();
    }
  });

  it('completes text, with the prompt and the offsets of the tokens', async () => {
    const client = clientOf(fakeEngine([' a', ' time']));
    const { choices } = await client.completions.create({ model: 'a', prompt: 'Once', echo: true, logprobs: 1 });
    expect(choices[0].text).toBe('Once a time');
    expect(choices[0].logprobs).toEqual({
      tokens: [' a', ' time'],
      token_logprobs: [-0, -1],
      top_logprobs: [{ ' a': -0 }, { ' time': -1 }],
      text_offset: [4, 6],
    });
    const chunks = await all(await client.completions.create({ prompt: 'Once', stream: true }));
    expect(chunks.map(({ choices: [choice] }) => choice.text).join('')).toBe(' a time');
  });

  it("streams each token's log-probability once, and none for text that was held back", async () => {
    const fake = fakeEngine(['a', 'b']);
    fake.heldBack = '!';
    const client = clientOf(fake);
    const chunks = await all(
      await client.chat.completions.create({ model: 'a', messages, stream: true, logprobs: true }),
    );
    expect(chunks.map(({ choices }) => choices[0].delta.content ?? '').join('')).toBe('ab!');
    expect(chunks.flatMap(({ choices }) => choices[0].logprobs?.content ?? []).map(({ token }) => token)).toEqual([
      'a',
      'b',
    ]);
    const texts = await all(await client.completions.create({ prompt: '', stream: true, logprobs: 1 }));
    expect(texts.flatMap(({ choices }) => choices[0].logprobs?.tokens ?? [])).toEqual(['a', 'b']);
  });

  it('passes the response format to the engine', async () => {
    const fake = fakeEngine(['{}']);
    const client = clientOf(fake);
    const schema = { type: 'object', properties: { a: { type: 'integer' } } };
    await client.chat.completions.create({
      model: 'a',
      messages,
      response_format: { type: 'json_schema', json_schema: { name: 'x', schema, strict: true } },
    });
    await all(await client.completions.create({ prompt: '', stream: true, response_format: { type: 'json_object' } }));
    await client.completions.create({ prompt: '', response_format: { type: 'text' } });
    expect(fake.requests.map(({ format }) => format)).toEqual([{ type: 'json', schema }, { type: 'json' }, undefined]);
  });

  it('reports the experts that each token of a text selected', async () => {
    const fake = fakeEngine([]);
    const progress: unknown[] = [];
    const routing = await clientOf(fake).routing('ab', {
      model: 'a',
      onProgress: (progressed) => progress.push(progressed),
    });
    expect(routing).toMatchObject({ model: 'a', tokens: 2, nll: 1, paths: 3, pieces: ['', 'a', 'b'] });
    expect(routing.blocks).toEqual([{ tokens: 2, nll: 1 }]);
    expect(routing.choices).toEqual([
      [
        [0, 1],
        [2, 3],
      ],
      [
        [4, 5],
        [6, 7],
      ],
      [
        [0, 2],
        [4, 6],
      ],
    ]);
    expect(progress).toEqual([{ tokensDone: 1, tokensTotal: 3 }]);
    expect(fake.scores).toEqual([{ input: { kind: 'text', text: 'ab' }, context: 10, trace: true }]);
    await expect(clientOf(fake).routing(7 as unknown as string)).rejects.toMatchObject({ code: 'bad-request' });
  });

  it('follows a token through the layers, in the windows of the request', async () => {
    const fake = fakeEngine([]);
    const client = clientOf(fake);
    const progress: unknown[] = [];
    const observed = await client.observe('ab', { token: 1, model: 'a', onProgress: (done) => progress.push(done) });
    expect(observed).toMatchObject({ model: 'a', token: 1, position: 1, piece: 'a', nextPiece: 'b' });
    expect(observed.layers).toMatchObject([{ selectedExperts: [3, 0], weights: [0.75, 0.25], top: [{ text: 'b' }] }]);
    expect(JSON.parse(JSON.stringify(observed))).toEqual(observed);
    expect(progress).toEqual([{ tokensDone: 2, tokensTotal: 2 }]);
    const input = { kind: 'text', text: 'ab' };
    await client.observe('ab', { token: 0, context: 5, top: 2 });
    await client.routing('ab', { context: 5 });
    expect(fake.observed).toEqual([
      { input, context: 10, token: 1 },
      { input, context: 5, token: 0, top: 2 },
    ]);
    expect(fake.scores).toEqual([{ input, context: 5, trace: true }]);
    const ablation = { noise: { amount: 1, seed: 2 }, replaced: [{ by: 1 }] };
    await client.observe('ab', { token: 0, ablation });
    await client.routing('ab', { ablation });
    await client.completions.create({ prompt: 'a', ablation });
    expect([fake.observed.at(-1), fake.scores.at(-1), fake.requests.at(-1)]).toMatchObject(Array(3).fill({ ablation }));
    const misspelt = client.routing('ab', { ablation: { top: 1 } as object });
    await expect(misspelt).rejects.toMatchObject({ code: 'bad-request' });
    const noText = client.observe(7 as unknown as string, { token: 0 });
    await expect(noText).rejects.toMatchObject({ code: 'bad-request' });
  });

  it('reports the expert cache as plain data, or null if no model is loaded', async () => {
    const client = clientOf(fakeEngine([]));
    expect(await client.metrics()).toBeNull();
    await client.load({ modelId: 'a' });
    const metrics = await client.metrics();
    expect(metrics).toEqual({
      model: 'a',
      compute: 'gpu',
      residence: [
        ['gpu', 'ram', 'store'],
        ['store', 'gpu', 'gpu'],
      ],
      uses: [
        [5, 0, 0],
        [1, 2, 3],
      ],
      newest: [
        [true, false, false],
        [false, false, true],
      ],
      cache: { slots: 3 },
      elapsedMs: 1,
      computeMs: 2,
      expertWaitMs: 3,
      memory: { gpuBytes: 4, ramBytes: 5 },
    });
    expect(JSON.parse(JSON.stringify(metrics))).toEqual(metrics);
  });

  it('passes on what computes and its limits, and reports what computes', async () => {
    const fake = fakeEngine([]);
    fake.compute = { kind: 'cpu', reason: 'requested', threads: 2 };
    const client = clientOf(fake);
    const request = { modelId: 'a', compute: 'cpu', threads: 2, ramBudgetBytes: 4e9 } as const;
    expect((await client.load(request)).compute).toEqual(fake.compute);
    expect(fake.loads).toEqual([request]);
    expect(await client.metrics()).toMatchObject({ model: 'a', compute: 'cpu' });
  });

  it.each(['worker-failed', 'out-of-memory', 'webgpu-device-lost', 'gpu-out-of-memory'] as const)(
    'after %s, the next request loads the model again as it was',
    async (code) => {
      const fake = fakeEngine(['x']);
      const client = clientOf(fake);
      const request = { modelId: 'a', compute: 'cpu', ramBudgetBytes: 4e9 } as const;
      await client.load(request);
      fake.failure = new MixtabError(code, 'It is gone.');
      fake.hasModel = false;
      await expect(client.completions.create({ prompt: '' })).rejects.toMatchObject({ code });
      expect(await client.metrics()).toBeNull();
      await expect(client.completions.create({ prompt: '' })).rejects.toMatchObject({ code: 'no-model-loaded' });
      expect((await client.completions.create({ model: 'a', prompt: '' })).choices[0].text).toBe('x');
      expect(fake.loads).toEqual([request, request]);
    },
  );

  it.each(['context-overflow', 'gpu-out-of-memory'] as const)(
    'keeps the model after %s, if the engine does',
    async (code) => {
      const fake = fakeEngine(['x']);
      const client = clientOf(fake);
      await client.load({ modelId: 'a' });
      fake.failure = new MixtabError(code, 'The prompt is too long.');
      await expect(client.completions.create({ prompt: '' })).rejects.toMatchObject({ code });
      await client.completions.create({ prompt: '' });
      expect(fake.loads.length).toBe(1);
    },
  );

  it('an aborted signal ends the generation, before and while it runs', async () => {
    const fake = fakeEngine(Array.from({ length: 1000 }, () => 'x'));
    const client = clientOf(fake);
    await client.load({ modelId: 'a' });
    await expect(client.completions.create({ prompt: '' }, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'aborted',
    });
    const controller = new AbortController();
    const chunks = await client.completions.create({ prompt: '', stream: true }, { signal: controller.signal });
    const seen: string[] = [];
    await expect(
      (async () => {
        for await (const { choices } of chunks) {
          seen.push(choices[0].text);
          if (seen.length === 3) controller.abort();
        }
      })(),
    ).rejects.toMatchObject({ code: 'aborted' });
    expect(seen.length).toBeLessThan(20);
    expect(fake.stops).toBeGreaterThan(0);
  });

  it('an aborted signal ends a load, and a repair without removing what is stored', async () => {
    const fake = fakeEngine([]);
    const client = clientOf(fake);
    const controller = new AbortController();
    const stopped = new MixtabError('aborted', 'Stopped.');
    fake.engine.load = () => new Promise((_, reject) => (fake.engine.stop = async () => reject(stopped)));
    const load = client.load({ modelId: 'a' }, { signal: controller.signal });
    await new Promise((resolve) => setTimeout(resolve));
    controller.abort();
    await expect(load).rejects.toMatchObject({ code: 'aborted' });
    await expect(client.load({ modelId: 'a' }, { signal: controller.signal })).rejects.toMatchObject({
      code: 'aborted',
    });
    const importer = { ...fake.importer };
    fake.importer = importer;
    importer.repair = () => new Promise((_, reject) => (importer.pause = async () => reject(stopped)));
    const second = new AbortController();
    const repair = clientOf(fake).models.repair('a', { signal: second.signal });
    await new Promise((resolve) => setTimeout(resolve));
    second.abort();
    await expect(repair).rejects.toMatchObject({ code: 'aborted' });
  });

  it('leaving the loop ends the generation and lets the next call run', async () => {
    const fake = fakeEngine(Array.from({ length: 300 }, () => 'x'));
    const client = clientOf(fake);
    await client.load({ modelId: 'a' });
    for await (const _chunk of await client.completions.create({ prompt: '', stream: true })) break;
    const next = await client.completions.create({ prompt: 'next' });
    expect(next.usage.completion_tokens).toBe(300);
    expect(fake.stops).toBe(1);
    expect(fake.requests.length).toBe(2);
  });

  it('runs calls one at a time, even after one has failed', async () => {
    const fake = fakeEngine(['x']);
    const client = clientOf(fake);
    const [first, bad, second] = await Promise.allSettled([
      client.completions.create({ model: 'a', prompt: '1' }),
      client.completions.create({ prompt: 3 as unknown as string }),
      client.completions.create({ model: 'b', prompt: '2' }),
    ]);
    expect([first.status, bad.status, second.status]).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(fake.loads.map(({ modelId }) => modelId)).toEqual(['a', 'b']);
  });

  it('rejects a request if no model is loaded', async () => {
    await expect(clientOf(fakeEngine([])).completions.create({ prompt: '' })).rejects.toMatchObject({
      code: 'no-model-loaded',
    });
  });

  it('models: reports progress, and errors with code and remedy', async () => {
    const client = clientOf(fakeEngine([]));
    const progress: number[] = [];
    const summary = await client.models.import(
      { kind: 'url', url: 'x' },
      { onProgress: ({ bytesDone }) => progress.push(bytesDone) },
    );
    expect([summary.id, progress]).toEqual(['b', [1]]);
    expect((await client.models.list()).length).toBe(1);
    expect(await client.models.verify('a')).toEqual(['L0.dense']);
    const repaired = await client.models.repair('a', { onProgress: ({ bytesDone }) => progress.push(bytesDone) });
    expect([repaired.id, progress]).toEqual(['a', [1, 1]]);
    await client.models.remove('a');
    await expect(client.models.remove('zz')).rejects.toMatchObject({ code: 'model-not-found', remedy: 'Import it.' });
  });
});

describe('imports and repairs of one client', () => {
  it('are stopped one by one, and keep what is stored', async () => {
    const started: string[] = [];
    const paused: (string | undefined)[] = [];
    const importer = {
      import: async (_source: unknown, _onProgress: unknown, options?: { name?: string }) => {
        started.push(String(options?.name));
        await new Promise(() => {});
      },
      repair: async (_id: string, _onProgress: unknown, options?: { name?: string }) => {
        started.push(String(options?.name));
        await new Promise(() => {});
      },
      pause: async (name?: string) => void paused.push(name),
    };
    const client = createLocal({ importer, callback: (call: unknown) => call } as unknown as Parameters<
      typeof createLocal
    >[0]);
    const second = new AbortController();
    void client.models.import({ kind: 'url', url: 'x' });
    void client.models.import({ kind: 'url', url: 'y' }, { signal: second.signal });
    second.abort();
    expect(new Set(started).size).toBe(2);
    expect(paused).toEqual([started[1]]);
    const repair = new AbortController();
    void client.models.repair('x', { signal: repair.signal });
    repair.abort();
    expect(new Set(started).size).toBe(3);
    expect(paused).toEqual([started[1], started[2]]);
  });
});

describe('the message protocol', () => {
  it('accepts only valid origins', () => {
    expect(originFrom('?origin=https://example.org')).toBe('https://example.org');
    expect(originFrom('?origin=http://localhost:8080')).toBe('http://localhost:8080');
    for (const bad of [
      '',
      '?origin=',
      '?origin=*',
      '?origin=null',
      '?origin=https://example.org/',
      '?origin=https://a.org/path',
      '?origin=javascript:1',
    ]) {
      expect(originFrom(bad)).toBeUndefined();
    }
  });

  it('the host answers unknown methods with an error and ignores other messages', async () => {
    const replies: Reply[] = [];
    const receive = createHost(createLocal(fakeEngine([])), (reply) => replies.push(reply));
    for (const noise of [
      undefined,
      'x',
      {},
      { mixtab: 2, id: 1, method: 'models.list', params: {} },
      { mixtab: 1, method: 'models.list', params: {} },
    ])
      receive(noise);
    receive({ mixtab: 1, id: 1, method: 'constructor', params: {} });
    receive({ mixtab: 1, id: 2, method: 'load', params: null });
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(replies.map((reply) => [reply.id, 'error' in reply && reply.error.code])).toEqual([
      [1, 'bad-request'],
      [2, 'bad-request'],
    ]);
    expect(replies.every(isReply)).toBe(true);
  });

  it('rejects pending calls when the client closes', async () => {
    const { client } = createRemote(
      () => {},
      () => {},
    );
    const open = client.models.list();
    client.close();
    await expect(open).rejects.toMatchObject({ code: 'aborted' });
  });
});
