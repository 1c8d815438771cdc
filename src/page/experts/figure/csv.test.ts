import { expect, it } from 'vitest';
import { cellText, toCsv } from './csv.ts';

it('quotes only texts that need it, and writes numbers in full', () => {
  const table = {
    columns: ['Token', 'Share, in percent'],
    rows: [
      ['a "b"', { value: 1 / 3, text: '33.3%' }],
      ['line\nbreak', 2],
      [' the', 0.1 + 0.2],
    ],
  };
  expect(toCsv(table)).toBe(
    'Token,"Share, in percent"\r\n"a ""b""",0.3333333333333333\r\n"line\nbreak",2\r\n the,0.30000000000000004\r\n',
  );
  expect(table.rows[0].map(cellText)).toEqual(['a "b"', '33.3%']);
});
