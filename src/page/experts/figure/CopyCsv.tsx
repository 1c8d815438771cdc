import { useState } from 'preact/hooks';
import { copyText } from '../../../ui/copy-text.ts';
import { announcement } from '../../state/notices.ts';
import { type FigureTable, toCsv } from './csv.ts';

interface Props {
  /** Called when the button is pressed. */
  table: () => FigureTable;
  /** What the numbers are, for screen readers. */
  title: string;
}

/** A button that copies a table as CSV, for tables that are not part of a figure. */
export function CopyCsv({ table, title }: Props) {
  const [done, setDone] = useState('');
  const copy = async (): Promise<void> => {
    const text = (await copyText(toCsv(table()))) ? 'CSV copied.' : 'CSV could not be copied.';
    setDone(text);
    announcement.value = text;
  };
  return (
    <div class="figure-tools">
      <button type="button" class="small" aria-label={`Copy CSV: ${title}`} onClick={copy}>
        Copy CSV
      </button>
      <span class="hint">{done}</span>
    </div>
  );
}
