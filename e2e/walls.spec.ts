/** What keeps the page apart from other sites: isolation, and the Content-Security-Policy of every page. */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ConsoleMessage, Page } from '@playwright/test';
import { expect, importFrom, openPage, setNumbers, startServer, type TestServer, test } from './fixtures.ts';

// Its responses must have the same headers.
test.use({ serviceWorkers: 'allow' });

/** Another origin: it has models, and pages that embed. */
let other: TestServer;
test.beforeAll(async () => {
  other = await startServer();
});
test.afterAll(() => other.close());

/**
 * Chromium asks for the page's icon again whenever the address or the title changes. Before the
 * service worker controls the page, which is from its second load on, only the network can answer that.
 */
const isIconWithoutNetwork = (message: ConsoleMessage): boolean =>
  message.location().url.endsWith('/icon.svg') && message.text().includes('net::ERR_INTERNET_DISCONNECTED');

/** @returns what the page and its workers log as errors, for example violations of their policies */
function collectErrors(page: Page): string[] {
  const errors: string[] = [];
  page.on('console', (message) => {
    if (message.type() !== 'error' || isIconWithoutNetwork(message)) return;
    errors.push(`${message.text()} ${message.location().url}`);
  });
  page.on('pageerror', (error) => errors.push(error.message));
  return errors;
}

/** @returns whether each worker of the page is isolated, by name */
const isolatedWorkers = async (page: Page): Promise<Record<string, boolean>> =>
  Object.fromEntries(
    await Promise.all(
      page.workers().map((worker) => worker.evaluate(() => [self.name, crossOriginIsolated] as [string, boolean])),
    ),
  );

test('page and workers are isolated, and a model of another origin is imported', async ({ page, server }) => {
  const errors = collectErrors(page);
  await openPage(page, server);
  expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
  expect(await isolatedWorkers(page)).toMatchObject({ engine: true, import: true });

  await importFrom(page, `${other.origin}/chat.gguf`);
  await expect(page.getByRole('heading', { name: 'Ask Tiny Chat' })).toBeVisible();
  expect(errors).toEqual([]);
  expect(server.violations).toEqual([]);

  // From the cache of the service worker.
  await page.evaluate(() => navigator.serviceWorker.ready);
  server.close();
  await page.reload();
  await expect(page.getByRole('heading', { name: 'Ask Tiny Chat' })).toBeVisible();
  expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
  expect(await isolatedWorkers(page)).toMatchObject({ engine: true, import: true, reader: true });
});

for (const as of ['plain', 'require-corp', 'credentialless'] as const) {
  test(`a page of another origin embeds a model: ${as}`, async ({ page, server }) => {
    await page.goto(`${other.origin}/embedder.html?as=${as}`);
    const seen = await page.evaluate(
      async ([library, embedUrl, url]) => {
        const { createMixtab } = (await import(library)) as Module;
        const client = await createMixtab({ embedUrl });
        const { id, name } = await client.models.import({ kind: 'url', url });
        const { usage } = await client.completions.create({ model: id, prompt: 'the first', max_tokens: 3 });
        return { name, tokens: usage.completion_tokens, isolated: crossOriginIsolated };
      },
      [`${server.origin}/mixtab-client.js`, `${server.origin}/embed.html`, `${server.origin}/chat.gguf`] as const,
    );
    expect(seen).toEqual({ name: 'Tiny Chat', tokens: 3, isolated: as !== 'plain' });
    // An isolated page lets the frame share memory as well.
    expect(await page.frames()[1].evaluate(() => crossOriginIsolated)).toBe(as !== 'plain');
    expect(server.violations).toEqual([]);
  });
}

/** What each page is asked to do below, and must not. */
const BLOCKED = ['base-uri', 'connect-src', 'img-src', 'object-src', 'script-src', 'script-src-elem', 'style-src-elem'];

type Module = typeof import('../src/client/mixtab.ts');

/** @returns what `createMixtab` rejects with, on a page of another origin */
const refusal = (page: Page, library: string, embedUrl: string): Promise<{ code: string; text: string }> =>
  page.evaluate(
    async ([address, url]) => {
      const { createMixtab } = (await import(address)) as Module;
      return createMixtab({ embedUrl: url }).then(
        () => ({ code: 'none', text: '' }),
        ({ code, message, remedy }: { code: string; message: string; remedy: string }) => ({
          code,
          text: `${message} ${remedy}`,
        }),
      );
    },
    [library, embedUrl] as const,
  );

test('a page that cannot embed gets the cause at once', async ({ page, server }) => {
  await page.goto(`${other.origin}/embedder.html?as=require-corp`);
  server.bare = true;
  const isolated = await refusal(page, `${other.origin}/mixtab-client.js`, `${server.origin}/embed.html`);
  expect(isolated).toEqual({
    code: 'source-unreachable',
    text: expect.stringMatching(/This page is isolated.*Cross-Origin-Embedder-Policy: require-corp/),
  });
  await page.goto(`${other.origin}/embedder.html?as=sandboxed`);
  const sandboxed = await refusal(page, `${other.origin}/mixtab-client.js`, `${server.origin}/embed.html`);
  expect(sandboxed).toEqual({ code: 'bad-request', text: expect.stringMatching(/no origin.*allow-same-origin/) });
  await page.goto(`${other.origin}/embedder.html`);
  const wrong = await refusal(page, `${other.origin}/mixtab-client.js`, `${server.origin}/nothing.html`);
  expect(wrong).toEqual({ code: 'source-unreachable', text: expect.stringContaining('Check the address') });
});

test('calls of a frame that is loaded again reject, and later ones are answered', async ({ page, server }) => {
  await page.goto(`${other.origin}/embedder.html`);
  server.slow = true;
  const seen = await page.evaluate(
    async ([library, embedUrl, url]) => {
      const { createMixtab } = (await import(library)) as Module;
      const client = await createMixtab({ embedUrl, container: document.body });
      const pending = client.models
        .import({ kind: 'url', url }, { onProgress: () => frame.setAttribute('src', frame.src) })
        .catch(({ code }: { code: string }) => code);
      const frame = document.querySelector('iframe')!;
      const code = await pending;
      const models = await client.models.list();
      frame.remove();
      const removed = await client.models.list().catch((error: { code: string }) => error.code);
      return { code, models: models.length, removed };
    },
    [`${other.origin}/mixtab-client.js`, `${server.origin}/embed.html`, `${server.origin}/chat.gguf`] as const,
  );
  expect(seen).toEqual({ code: 'worker-failed', models: 0, removed: 'aborted' });
});

test('an embedding page of the same site deletes a model of the user only after a click in the frame', async ({
  page,
  server,
  context,
}) => {
  // Both ports of localhost are one site, so the frame has the user's own models.
  const own = await context.newPage();
  await openPage(own, server);
  await page.goto(`${other.origin}/embedder.html`);
  const remove = (container: boolean): Promise<string> =>
    page.evaluate(
      async ([library, embedUrl, visible]) => {
        const { createMixtab } = (await import(library)) as Module;
        const client = await createMixtab({ embedUrl, ...(visible && { container: document.body }) });
        const [model] = await client.models.list();
        const result = await client.models.remove(model.id).catch(({ code }: { code: string }) => code);
        client.close();
        return String(result ?? 'removed');
      },
      [`${other.origin}/mixtab-client.js`, `${server.origin}/embed.html`, container] as const,
    );
  expect(await remove(true)).toBe('busy'); // a tab has it loaded
  await own.close();
  await expect.poll(() => remove(false)).toBe('not-allowed'); // the frame is hidden
  const frame = page.frameLocator('iframe');
  const kept = remove(true);
  await expect(frame.getByText(`${other.origin} wants to delete the model mixtab storyteller.`)).toBeVisible();
  const allow = frame.getByRole('button', { name: 'Delete it' });
  await expect(allow).toBeEnabled(); // Chromium ignores clicks in a frame that has just appeared
  await frame.getByRole('button', { name: 'Keep it' }).click();
  expect(await kept).toBe('not-allowed');
  const removed = remove(true);
  // The question does not fit in the frame, so the user has to scroll.
  await page.locator('iframe').evaluate((element) => {
    Object.assign(element.style, { width: '200px', height: '80px' });
  });
  await expect(allow).toHaveCount(1);
  await expect(async () => {
    for (const share of [0, 0.5, 1]) {
      await allow.evaluate((_, to) => {
        const { scrollHeight } = document.documentElement;
        scrollTo(0, to * (scrollHeight - innerHeight));
      }, share);
      await page.waitForTimeout(900); // each part has to be visible for 0.7 s
    }
    await expect(allow).toBeEnabled({ timeout: 1000 });
  }).toPass();
  await allow.click();
  expect(await removed).toBe('removed');
});

test('the app does not run in a frame of another site, with or without our headers', async ({ page, server }) => {
  const show = (target: string): Promise<void> =>
    page.evaluate((src) => {
      document.body.replaceChildren(Object.assign(document.createElement('iframe'), { src }));
    }, target);
  await page.goto(`${other.origin}/embedder.html`);
  server.bare = true;
  await show(`${server.origin}/`);
  const link = page.frameLocator('iframe').getByRole('link', { name: 'Open mixtab' });
  await expect(link).toHaveAttribute('target', '_blank');
  expect(await page.frames()[1].evaluate(() => document.querySelectorAll('button, textarea').length)).toBe(0);
  server.bare = false;
  await show(`${server.origin}/`);
  await expect(link).toBeHidden();
  expect(page.frames()[1].url()).not.toContain(server.origin); // the browser's own page about the refusal
  // Its own origin may frame it.
  await page.goto(`${server.origin}/examples/json.html`);
  await show(`${server.origin}/`);
  await expect(page.frameLocator('iframe').getByRole('textbox').first()).toBeVisible();
});

const PAGES = ['index.html', 'embed.html', 'cli.html', 'examples/json.html'];

for (const bare of [false, true]) {
  test(`every page runs no foreign script and reaches no other site ${bare ? 'without' : 'with'} our headers`, async ({
    page,
    server,
  }) => {
    server.bare = bare;
    for (const path of PAGES) {
      await page.goto(`${server.origin}/${path}`);
      const seen = await page.evaluate(
        async ([foreign, expected]) => {
          const violated = new Set<string>();
          document.addEventListener('securitypolicyviolation', (event) => violated.add(event.effectiveDirective));
          const add = (name: string, attributes: object): void =>
            document.body.append(Object.assign(document.createElement(name), attributes));
          add('script', { textContent: 'window.injected = true' });
          add('script', { src: `${foreign}/mixtab-client.js` });
          add('img', { src: `${foreign}/icon.svg` });
          add('style', { textContent: 'body { color: red }' });
          add('object', { data: `${foreign}/icon.svg` });
          add('base', { href: foreign });
          // Not blocked by the policy: without a policy these would reach the other site.
          const reached = await fetch(`${foreign}/chat.gguf`).then(
            () => true,
            () => false,
          );
          // Playwright lets its own script evaluate a text, but not a timer.
          setTimeout('window.evaluated = true');
          for (let wait = 0; wait < 100 && violated.size < expected; wait++)
            await new Promise((resolve) => setTimeout(resolve, 50));
          return { ran: 'injected' in window || 'evaluated' in window, reached, violated: [...violated].sort() };
        },
        [other.origin, BLOCKED.length] as const,
      );
      expect({ path, ...seen }).toEqual({
        path,
        ran: false,
        reached: false,
        violated: BLOCKED,
      });
    }
  });
}

test('with our headers, workers run no foreign script either; a host without headers cannot prevent it there', async ({
  browser,
  server,
}) => {
  for (const bare of [false, true]) {
    server.bare = bare;
    const page = await browser.newPage({ serviceWorkers: 'block' });
    const headers = await fetchHeaders(server);
    expect(headers.map((all) => all['x-dns-prefetch-control'])).toEqual(headers.map(() => (bare ? undefined : 'off')));
    await openPage(page, server);
    await expect(page.locator('meta[http-equiv="x-dns-prefetch-control"][content="off"]')).toHaveCount(1);
    for (const worker of page.workers()) {
      const seen = await worker.evaluate(async (foreign) => {
        setTimeout('self.evaluated = true');
        const imported = await import(foreign).then(
          () => true,
          () => false,
        );
        await new Promise((resolve) => setTimeout(resolve, 50));
        return { evaluated: 'evaluated' in self, imported };
      }, `${other.origin}/mixtab-client.js`);
      expect({ bare, ...seen }).toEqual({ bare, evaluated: bare, imported: bare });
    }
    await page.close();
  }
});

/** @returns the headers of every page and of one worker's script */
async function fetchHeaders({ origin }: TestServer): Promise<Record<string, string>[]> {
  const paths = [...PAGES, `assets/${readdirSync('dist/assets').find((name) => name.startsWith('engine.worker-'))}`];
  const responses = await Promise.all(paths.map((path) => fetch(`${origin}/${path}`)));
  return responses.map((response) => Object.fromEntries(response.headers));
}

test("a whole session asks only the page's own origin and the source of the model", async ({
  page,
  server,
  context,
}) => {
  const errors = collectErrors(page);
  const requests: string[] = [];
  context.on('request', (request) => requests.push(request.url()));
  const unanswered = (): string[] => requests.filter((url) => !url.startsWith(`${server.origin}/`));

  await openPage(page, server);
  await page.getByRole('button', { name: 'Once upon a time' }).click();
  await expect(page.getByText(/tokens\/s|\d+ tokens ·/)).toBeVisible();
  expect(unanswered()).toEqual([]);

  await importFrom(page, `${other.origin}/chat.gguf`);
  await expect(page.getByRole('heading', { name: 'Ask Tiny Chat' })).toBeVisible();
  await setNumbers(page, { 'Max answer length': '20' });
  await page.getByRole('textbox', { name: 'Message' }).fill('See https://example.com and `code`\n\n```js\n1\n```');
  await page.getByRole('textbox', { name: 'Message' }).press('Enter');
  await expect(page.getByText(/tokens\/s/)).toBeVisible();
  await page.getByRole('link', { name: 'Experts', exact: true }).click();
  await expect(page.getByRole('navigation', { name: 'Experts' })).toBeVisible();
  await page.getByRole('button', { name: 'Back to chat' }).click();

  await page.evaluate(() => navigator.serviceWorker.ready);
  const online = requests.length;
  await context.setOffline(true);
  await page.reload();
  await expect(page.getByRole('textbox', { name: 'Message' })).toBeEnabled();
  await context.setOffline(false);

  expect(online).toBeGreaterThan(10); // the recorder works
  expect([...new Set(unanswered())]).toEqual([`${other.origin}/chat.gguf`]);
  expect(errors).toEqual([]);
  expect(server.violations).toEqual([]);
});

/** What keeps a page and its workers apart. The rest of a response's headers depends on the server. */
const WALLS = [
  'content-security-policy',
  'cross-origin-opener-policy',
  'cross-origin-embedder-policy',
  'cross-origin-resource-policy',
];

test('npm start sends the headers of the server in which these journeys run', async ({ server }) => {
  const root = join(import.meta.dirname, '..');
  const start = spawn(process.execPath, ['scripts/start.mjs', '--port', '0'], { cwd: root });
  try {
    let output = '';
    start.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    const address = (): string | undefined => /^mixtab is at (\S+)$/m.exec(output)?.[1];
    await expect.poll(address).toBeDefined();
    const worker = readdirSync(join(root, 'dist/assets')).find((name) => name.startsWith('engine.worker-'))!;
    const examples = readdirSync(join(root, 'dist/examples')).filter((name) => name.endsWith('.html'));
    const paths = ['', 'index.html', 'embed.html', 'cli.html', 'mixtab-client.js', `assets/${worker}`];
    for (const path of [...paths, ...examples.map((name) => `examples/${name}`)]) {
      const [started, own] = await Promise.all([fetch(address()! + path), fetch(`${server.origin}/${path}`)]);
      expect(started.status).toBe(200);
      const wallsOf = ({ headers }: Response) =>
        // Only the server of these journeys asks for reports.
        Object.fromEntries(WALLS.map((name) => [name, headers.get(name)?.replace(/; report-uri \S+/, '')]));
      expect(wallsOf(started), path).toEqual(wallsOf(own));
      if (path !== 'mixtab-client.js')
        expect(wallsOf(started)['content-security-policy']).toContain("default-src 'none'");
    }
  } finally {
    start.kill();
  }
});
