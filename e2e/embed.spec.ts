import type { Page } from '@playwright/test';
import { expect, startServer, type TestServer, test } from './fixtures.ts';

/** The embedding page; its origin differs from the fixture's by the port. */
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
  expect(other.origin).not.toBe(server.origin);
  await openExample(page, server);
  await expect(page.frameLocator('iframe').getByText(`mixtab works here for ${other.origin}`)).toBeVisible();
  const answer = page.getByLabel('Answer');
  await page.getByRole('button', { name: 'Go on' }).click();
  await expect(page.getByText('60 tokens.')).toBeVisible();
  const whole = await answer.innerText();
  expect(whole.startsWith('Once upon a time')).toBe(true);
  expect(whole.length).toBeGreaterThan(80);

  // The same seed gives the same text; stopped, it is a beginning of it.
  await page.getByRole('button', { name: 'Go on' }).click();
  await expect.poll(async () => (await answer.innerText()).length).toBeGreaterThan(30);
  await page.getByRole('button', { name: 'Stop' }).click();
  await expect(page.getByText(/^Stopped\.$|^60 tokens\.$/)).toBeVisible();
  expect(whole.startsWith((await answer.innerText()).trimEnd())).toBe(true);
});

test('the frame answers no origin but the one that was named, and the page hears no other window', async ({ page, server }) => {
  await page.goto(`${other.origin}/cli.html`);
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
  expect(heard.asNamed).toEqual([{ mixtab: 1, ready: true }, { mixtab: 1, id: 1, result: [] }]);

  // A reply that another window sends is not taken for the frame's.
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
