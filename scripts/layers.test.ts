import { expect, it } from 'vitest';
import { runLanes } from './layers.mjs';

/** A layer that prints each of its lines after a while, and ends with a status. */
const layer = (name: string, lines: [afterMs: number, text: string][], status = 0) => ({
  name,
  command: process.execPath,
  args: [
    '-e',
    `(async () => {
      for (const [ms, text] of ${JSON.stringify(lines)}) {
        await new Promise((resolve) => setTimeout(resolve, ms));
        console.log(text);
      }
      process.exit(${status});
    })()`,
  ],
});

it('runs lanes side by side, prints one output after the other, and reports which layers failed', async () => {
  let printed = '';
  const results: [string, boolean, string][] = [];
  await runLanes(
    [
      // The second lane ends while the first layer of the first lane still runs.
      [
        layer('a', [
          [0, 'a1'],
          [900, 'a2'],
        ]),
        layer('c', [[0, 'c1']], 3),
      ],
      [
        layer('b', [
          [100, 'b1'],
          [100, 'b2'],
        ]),
      ],
    ],
    {
      order: ['a', 'b', 'c'],
      cwd: import.meta.dirname,
      summary: ({ name }, ok, tail) => {
        results.push([name, ok, tail]);
        return `end of ${name}`;
      },
      write: (text) => {
        printed += text;
      },
    },
  );
  expect(printed).toBe('a1\na2\nend of a\nb1\nb2\nend of b\nc1\nend of c\n');
  expect(results.sort()).toEqual([
    ['a', true, 'a1\na2\n'],
    ['b', true, 'b1\nb2\n'],
    ['c', false, 'c1\n'],
  ]);
});

it('passes the end of a long output to the summary', async () => {
  let end = '';
  await runLanes([[layer('a', [[0, `${'x'.repeat(20_000)}y`]])]], {
    order: ['a'],
    cwd: import.meta.dirname,
    summary: (_layer, _ok, tail) => {
      end = tail;
      return '';
    },
    write: () => {},
  });
  expect(end).toMatch(/^x{7998}y\n$/);
});

it('reports a command that does not exist', async () => {
  let printed = '';
  await runLanes([[{ name: 'x', command: 'no-such-command', args: [] }]], {
    order: ['x'],
    cwd: import.meta.dirname,
    summary: (_layer, ok) => `${ok}`,
    write: (text) => {
      printed += text;
    },
  });
  expect(printed).toMatch(/no-such-command: .*ENOENT/);
  expect(printed).toMatch(/false\n$/);
});
