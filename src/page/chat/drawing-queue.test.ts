import { expect, it } from 'vitest';
import { DrawingQueue, type DrawingView, markdownWork, plainWork, STEP_WORK } from './drawing-queue.ts';

/** A queue whose tasks begin when the test says so, at a time that the test sets. */
function makeQueue(view: Partial<DrawingView> = {}) {
  const clock = { now: 0 };
  const starts: (() => void)[] = [];
  const queue = new DrawingQueue({
    nextTask: () => new Promise((resolve) => starts.push(resolve)),
    now: () => clock.now,
  });
  queue.show({ start: () => true, beforeStep: () => () => {}, end: () => {}, ...view });
  const drawn: string[] = [];
  const part = (name: string, work: number, onDraw = () => {}) => ({
    work,
    draw() {
      drawn.push(name);
      onDraw();
    },
  });
  /** Runs the next task. @returns what it has drawn */
  const task = async (): Promise<string[]> => {
    starts.shift()?.();
    await new Promise((resolve) => setTimeout(resolve));
    return drawn.splice(0);
  };
  return { queue, clock, part, task };
}

const HALF = STEP_WORK / 2;

it('draws the end first, and no more than a step allows in one task', async () => {
  const { queue, part, task } = makeQueue();
  for (const name of ['a', 'b', 'c', 'd', 'e']) queue.add(part(name, HALF));
  expect(await task()).toEqual(['e', 'd']);
  expect(queue.busy.value).toBe(true);
  expect(await task()).toEqual(['c', 'b']);
  expect(await task()).toEqual(['a']);
  expect(queue.busy.value).toBe(false);
  // What is added later waits for its own task, because this one may have drawn something.
  queue.add(part('f', 1));
  expect(await task()).toEqual(['f']);
});

it('draws a part that is larger than a step in a task of its own', async () => {
  const { queue, part, task } = makeQueue();
  queue.add(part('small', 1));
  queue.add(part('large', 5 * STEP_WORK));
  expect(await task()).toEqual(['large']);
  expect(await task()).toEqual(['small']);
});

it('ends a step early if it takes long, but never the first, which the reader waits for', async () => {
  const { queue, clock, part, task } = makeQueue();
  const slowly = (): void => {
    clock.now += 1000;
  };
  for (const name of ['a', 'b', 'c', 'd']) queue.add(part(name, STEP_WORK / 3, slowly));
  expect(await task()).toEqual(['d', 'c', 'b']);
  queue.add(part('e', 1, slowly));
  expect(await task()).toEqual(['e']);
  expect(await task()).toEqual(['a']);
});

it('draws the parts of a part in its place, from either end', async () => {
  for (const atEnd of [true, false]) {
    const { queue, part, task } = makeQueue({ start: () => atEnd });
    const withParts = (name: string) =>
      part(name, 1, () => {
        for (const inner of ['1', '2']) queue.add(part(`${name}${inner}`, HALF - 1));
      });
    for (const name of ['a', 'b']) queue.add(withParts(name));
    const order = [...(await task()), ...(await task()), ...(await task())];
    expect(order).toEqual(atEnd ? ['b', 'b2', 'b1', 'a', 'a2', 'a1'] : ['a', 'a1', 'a2', 'b', 'b1', 'b2']);
  }
});

it('draws what is above the reader from its end, too', async () => {
  const { queue, part, task } = makeQueue({ start: () => false });
  queue.expectAbove();
  for (const name of ['a', 'b', 'c']) queue.add(part(name, STEP_WORK));
  expect([...(await task()), ...(await task()), ...(await task())]).toEqual(['c', 'b', 'a']);
});

it('keeps the order of the page if parts are added above while others wait', async () => {
  const { queue, part, task } = makeQueue();
  for (const name of ['c', 'd', 'e']) queue.add(part(name, STEP_WORK));
  expect(await task()).toEqual(['e']);
  queue.expectAbove(); // clicked while the rest is drawn
  for (const name of ['a', 'b']) queue.add(part(name, STEP_WORK));
  const order = [];
  for (let step = 0; step < 4; step++) order.push(...(await task()));
  expect(order).toEqual(['d', 'c', 'b', 'a']);
  await task();

  const middle = makeQueue({ start: () => false });
  for (const name of ['c', 'd']) middle.queue.add(middle.part(name, STEP_WORK));
  expect(await middle.task()).toEqual(['c']);
  middle.queue.expectAbove();
  middle.queue.add(middle.part('b', STEP_WORK));
  for (let step = 0; step < 3; step++) await middle.task();
  // Later, the reader switches to another version.
  for (const name of ['x', 'y']) middle.queue.add(middle.part(name, STEP_WORK));
  expect([...(await middle.task()), ...(await middle.task())]).toEqual(['x', 'y']);
});

it('draws the first step of another conversation at once, while one is being drawn', async () => {
  const { queue, part, task } = makeQueue();
  const old = ['a', 'b'].map((name) => part(name, STEP_WORK));
  for (const each of old) queue.add(each);
  expect(await task()).toEqual(['b']);
  // Components leave and enter the page before the view changes.
  queue.remove(old[0]);
  const drawn: string[] = [];
  for (const name of ['c', 'd']) queue.add(part(name, STEP_WORK, () => drawn.push(name)));
  queue.show();
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  expect(drawn).toEqual(['d']);
  await task();
  expect(drawn).toEqual(['d']); // the drawing of the old one has ended
  await task();
  expect(drawn).toEqual(['d', 'c']);
});

it('draws nothing that was removed, and tells the view when it begins and ends', async () => {
  const calls: string[] = [];
  const view: DrawingView = {
    start: () => calls.push('start') > 0,
    beforeStep: () => {
      calls.push('before');
      return () => calls.push('after');
    },
    end: () => calls.push('end'),
  };
  const { queue, part, task } = makeQueue(view);
  const parts = ['a', 'b', 'c'].map((name) => part(name, STEP_WORK));
  for (const each of parts) queue.add(each);
  expect(await task()).toEqual(['c']);
  // Another conversation is opened.
  for (const each of parts) queue.remove(each);
  queue.show(view);
  queue.add(part('other', 1));
  expect(await task()).toEqual(['other']);
  expect(calls).toEqual(['start', 'before', 'after', 'end', 'start', 'before', 'after', 'end']);
});

it('is no longer busy if everything that waited was removed', async () => {
  const { queue, part, task } = makeQueue();
  const parts = [part('a', STEP_WORK), part('b', STEP_WORK)];
  for (const each of parts) queue.add(each);
  await task();
  queue.remove(parts[0]);
  expect(await task()).toEqual([]);
  expect(queue.busy.value).toBe(false);
});

it('is no longer busy if a conversation without parts is opened while one is being drawn', async () => {
  const { queue, part, task } = makeQueue();
  const parts = [part('a', STEP_WORK), part('b', STEP_WORK)];
  for (const each of parts) queue.add(each);
  await task();
  queue.remove(parts[0]);
  queue.show();
  expect(queue.busy.value).toBe(false);
  expect(await task()).toEqual([]);
});

it('draws everything in one task for printing', async () => {
  const { queue, part, task } = makeQueue();
  for (const name of ['a', 'b', 'c']) queue.add(part(name, STEP_WORK));
  await task();
  await queue.drawAll();
  expect(await task()).toEqual(['b', 'a']);
});

it('counts the characters of Markdown, its lines and cells, and less for plain text', () => {
  expect(markdownWork('abc')).toBe(3);
  expect(markdownWork('|a|b|\n')).toBe(6 + 4 * 20);
  expect(plainWork('a'.repeat(1000))).toBe(50);
});
