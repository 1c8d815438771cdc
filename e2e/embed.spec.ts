/** The embedded page and the client library on another origin. */
import type { Page } from '@playwright/test';
import { expect, startServer, type TestServer, test } from './fixtures.ts';

/** Serves the embedding page. Its port, and so its origin, differs from the fixture's. */
let other: TestServer;
test.beforeAll(async () => {
  other = await startServer();
});
test.afterAll(() => other.close());

const openExample = async (page: Page, server: TestServer): Promise<void> => {
  await page.goto(`${other.origin}/examples/chat.html?embed=${encodeURIComponent(`${server.origin}/embed.html`)}`);
  await expect(page.getByText('mixtab storyteller is ready.')).toBeVisible();
};

test('a page of another origin runs the model in a frame: streaming, usage, abort', async ({ page, server }) => {
  server.builtin = 'real';
  expect(other.origin).not.toBe(server.origin);
  await openExample(page, server);
  await expect(page.frameLocator('iframe').getByText(`mixtab works here for ${other.origin}`)).toBeVisible();
  const answer = page.getByLabel('Answer');
  await page.getByRole('button', { name: 'Continue' }).click();
  await expect(page.getByText('60 tokens.')).toBeVisible();
  const whole = await answer.innerText();
  expect(whole.startsWith('Once upon a time')).toBe(true);
  expect(whole.length).toBeGreaterThan(80);

  // The same seed gives the same text. A stopped answer is a prefix of it.
  // The page clicks, because the answer can end before Playwright has seen its beginning.
  await page.evaluate(() => {
    const text = document.querySelector('output')!;
    new MutationObserver((_, observer) => {
      if (text.textContent.length < 30 || text.textContent.length > 80) return;
      observer.disconnect();
      document.querySelector<HTMLButtonElement>('#stop')!.click();
    }).observe(text, { childList: true });
  });
  await page.getByRole('button', { name: 'Continue' }).click();
  await expect(page.getByText('Stopped.')).toBeVisible();
  expect(whole.startsWith((await answer.innerText()).trimEnd())).toBe(true);
});

test('the frame answers only the named origin, and the page listens only to the frame', async ({ page, server }) => {
  await page.goto(`${other.origin}/embedder.html`);
  const heard = await page.evaluate(async (origin) => {
    const replies: unknown[] = [];
    addEventListener('message', ({ data }) => replies.push(data));
    const open = (named: string): Promise<HTMLIFrameElement> =>
      new Promise((resolve) => {
        const frame = document.createElement('iframe');
        frame.onload = () => resolve(frame);
        frame.src = `${origin}/embed.html?origin=${encodeURIComponent(named)}`;
        document.body.append(frame);
      });
    const ask = async (frame: HTMLIFrameElement): Promise<void> => {
      frame.contentWindow!.postMessage({ mixtab: 1, id: 1, method: 'models.list', params: {} }, origin);
      await new Promise((resolve) => setTimeout(resolve, 1500));
    };
    await ask(await open('https://example.org'));
    const asStranger = replies.length;
    await ask(await open(location.origin));
    return { asStranger, asNamed: replies };
  }, server.origin);
  expect(heard.asStranger).toBe(0);
  expect(heard.asNamed).toEqual([
    { mixtab: 1, ready: true },
    { mixtab: 1, id: 1, result: [] },
  ]);

  // A reply from another window is ignored.
  await openExample(page, server);
  const list = await page.evaluate(async (embedUrl) => {
    const library = '/mixtab-client.js';
    const { createMixtab } = (await import(library)) as typeof import('../src/client/mixtab.ts');
    const client = await createMixtab({ embedUrl });
    for (let id = 1; id < 5; id++) postMessage({ mixtab: 1, id, result: 'forged' }, '*');
    const models = await client.models.list();
    client.close();
    return models.map(({ name }) => name);
  }, `${server.origin}/embed.html`);
  expect(list).toEqual(['mixtab storyteller']);
});

type Client = import('../src/client/mixtab.ts').Mixtab;

/** Opens a page of another origin, imports and loads a chat model there, and puts the client on `window.client`. */
async function withChatModel(page: Page, server: TestServer): Promise<void> {
  await page.goto(`${other.origin}/embedder.html`);
  await page.evaluate(
    async ([embedUrl, url]) => {
      const library = '/mixtab-client.js';
      const { createMixtab } = (await import(library)) as typeof import('../src/client/mixtab.ts');
      const mixtab = await createMixtab({ embedUrl });
      const { id } = await mixtab.models.import({ kind: 'url', url });
      await mixtab.load({ modelId: id, context: 1024 });
      (window as unknown as { client: Client }).client = mixtab;
    },
    [`${server.origin}/embed.html`, `${server.origin}/chat.gguf`] as const,
  );
}

test('every option of a request has its effect, from another origin', async ({ page, server }) => {
  await withChatModel(page, server);
  const seen = await page.evaluate(async () => {
    const { completions, chat } = (window as unknown as { client: Client }).client;
    const base = { prompt: 'the first men of that', max_tokens: 12, temperature: 0 };
    const greedy = await completions.create({ ...base, logprobs: 2 });
    const logprobs = greedy.choices[0].logprobs!;
    const textOf = async (more: object): Promise<string> =>
      (await completions.create({ ...base, ...more })).choices[0].text;
    const drawn = (seed: number) => textOf({ temperature: 1.5, seed });
    const messages = [{ role: 'user' as const, content: 'the first' }];
    const whole = await chat.completions.create({
      messages,
      max_tokens: 4,
      temperature: 0,
      logprobs: true,
      top_logprobs: 3,
    });
    const chunks = [];
    for await (const chunk of await chat.completions.create({
      messages,
      max_tokens: 4,
      temperature: 0,
      stream: true,
      logprobs: true,
      stream_options: { include_usage: true },
    }))
      chunks.push(chunk);
    const text = greedy.choices[0].text;
    return {
      greedy,
      logprobs,
      whole,
      chunks,
      again: await textOf({}),
      // The synthetic vocabulary: 259 special tokens and bytes, a space, then the characters from ! on.
      biased: await textOf({ logit_bias: { [260 + 'Q'.charCodeAt(0) - 33]: 100 }, max_tokens: 3 }),
      stopped: await completions.create({ ...base, stop: [text.slice(4, 7)] }),
      stopText: text.slice(4, 7),
      seeds: [await drawn(1), await drawn(1), await drawn(2)],
      presence: await textOf({ presence_penalty: 2, max_tokens: 40 }),
      frequency: await textOf({ frequency_penalty: 2, max_tokens: 40 }),
      plain: await textOf({ max_tokens: 40 }),
    };
  });
  const { greedy, logprobs, whole, chunks } = seen;
  const { text } = greedy.choices[0];
  expect(seen.again).toBe(text);
  expect(greedy.choices[0].finish_reason).toBe('length');
  expect(greedy.usage).toEqual({
    prompt_tokens: greedy.usage.prompt_tokens,
    completion_tokens: 12,
    total_tokens: greedy.usage.prompt_tokens + 12,
  });
  // Greedy: each token is the most likely one.
  expect(logprobs.tokens.join('')).toBe(text);
  for (const [i, top] of logprobs.top_logprobs.entries())
    expect(Math.max(...Object.values(top))).toBeCloseTo(logprobs.token_logprobs[i], 5);
  expect(seen.stopped.choices[0]).toMatchObject({
    text: text.slice(0, text.indexOf(seen.stopText)),
    finish_reason: 'stop',
  });
  expect(seen.seeds[1]).toBe(seen.seeds[0]);
  expect(seen.seeds[2]).not.toBe(seen.seeds[0]);
  expect(seen.biased).toBe('QQQ');
  // With random weights, greedy answers repeat themselves. Penalties prevent that.
  expect(seen.presence).not.toBe(seen.plain);
  expect(seen.frequency).not.toBe(seen.plain);
  // Chat: the whole answer and the streamed one are equal, and so are their log-probabilities.
  const content = whole.choices[0].logprobs!.content;
  expect(content.map(({ token }) => token).join('')).toBe(whole.choices[0].message.content);
  expect(content.every(({ top_logprobs }) => top_logprobs.length === 3)).toBe(true);
  expect(content[0].top_logprobs[0]).toMatchObject({
    token: content[0].token,
    bytes: content[0].bytes,
    logprob: content[0].logprob,
  });
  expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toBe(whole.choices[0].message.content);
  expect(chunks.flatMap(({ choices }) => choices[0]?.logprobs?.content ?? []).map(({ logprob }) => logprob)).toEqual(
    content.map(({ logprob }) => logprob),
  );
  expect(chunks.at(-1)).toMatchObject({ choices: [], usage: whole.usage });
});

test('answers conform to a JSON schema, whole and streamed, and an unsupported schema is rejected', async ({
  page,
  server,
}) => {
  await withChatModel(page, server);
  const seen = await page.evaluate(async () => {
    const { chat, completions } = (window as unknown as { client: Client }).client;
    const messages = [{ role: 'user' as const, content: 'the first' }];
    const schema = {
      type: 'object',
      required: ['name', 'mood', 'age'],
      additionalProperties: false,
      properties: {
        name: { type: 'string', maxLength: 6 },
        mood: { enum: ['calm', 'cross'] },
        age: { type: 'integer', minimum: 0, maximum: 99 },
      },
    };
    const response_format = { type: 'json_schema' as const, json_schema: { name: 'person', strict: true, schema } };
    const whole = await chat.completions.create({ messages, max_tokens: 300, seed: 5, response_format });
    let streamed = '';
    for await (const { choices } of await chat.completions.create({
      messages,
      max_tokens: 300,
      seed: 5,
      response_format,
      stream: true,
    }))
      streamed += choices[0].delta.content ?? '';
    const cut = await completions.create({
      prompt: 'the',
      max_tokens: 3,
      seed: 5,
      response_format: { type: 'json_object' },
    });
    const refused = await chat.completions
      .create({
        messages,
        response_format: { type: 'json_schema', json_schema: { schema: { type: 'array', uniqueItems: true } } },
      })
      .catch(({ code, message }: { code: string; message: string }) => ({ code, message }));
    return { whole, streamed, cut, refused };
  });
  const [{ message, finish_reason }] = seen.whole.choices;
  expect(finish_reason).toBe('stop');
  expect(JSON.parse(message.content)).toEqual({
    name: expect.any(String),
    mood: expect.stringMatching(/^(calm|cross)$/),
    age: expect.any(Number),
  });
  expect(seen.streamed).toBe(message.content);
  expect(seen.cut.choices[0]).toMatchObject({ text: expect.stringMatching(/^\{/), finish_reason: 'length' });
  expect(seen.refused).toEqual({ code: 'bad-request', message: expect.stringContaining('uniqueItems') });
});

test('routing and metrics arrive as plain data', async ({ page, server }) => {
  await withChatModel(page, server);
  const { routing, metrics } = await page.evaluate(async () => {
    const client = (window as unknown as { client: Client }).client;
    return { routing: await client.routing('the first men of that day'), metrics: await client.metrics() };
  });
  expect(routing.pieces.join('')).toContain('the first men of that day');
  expect(routing.choices.length).toBe(routing.pieces.length);
  expect(routing.layers.length).toBe(2);
  for (const layers of routing.choices) for (const chosen of layers) expect(new Set(chosen).size).toBe(2);
  // `use` is the share of each expert in the selections that were reported.
  const counts = new Array(8).fill(0);
  for (const [first] of routing.choices) for (const expert of first) counts[expert]++;
  const total = counts.reduce((a, b) => a + b);
  for (const [expert, share] of routing.layers[0].use.entries()) expect(share).toBeCloseTo(counts[expert] / total, 5);
  expect(routing.perplexity).toBeCloseTo(Math.exp(routing.nll), 5);
  expect([metrics!.residence.length, metrics!.residence[0].length, metrics!.uses[1].length]).toEqual([2, 8, 8]);
  const { gpuBytes, ramBytes } = metrics!.memory;
  expect(metrics!.compute === 'gpu' ? gpuBytes : ramBytes).toBeGreaterThan(0);
});
