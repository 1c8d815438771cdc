/** The numbers of a figure, as a table for readers and as CSV. Pure. */

/** A cell. Numbers keep all their digits in CSV; the page shows `text` if there is one. */
export type Cell = string | number | { value: number; text: string };

/** The numbers of a figure. */
export interface FigureTable {
  columns: string[];
  rows: Cell[][];
}

/** @returns the table as CSV (RFC 4180), with numbers as JavaScript writes them */
export function toCsv({ columns, rows }: FigureTable): string {
  const lines = [
    columns,
    ...rows.map((row) => row.map((cell) => String(typeof cell === 'object' ? cell.value : cell))),
  ];
  return lines.map((line) => `${line.map(quoted).join(',')}\r\n`).join('');
}

const quoted = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

/** @returns a cell as the page shows it */
export const cellText = (cell: Cell): string => String(typeof cell === 'object' ? cell.text : cell);
