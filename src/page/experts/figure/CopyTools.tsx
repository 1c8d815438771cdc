import { useState } from 'preact/hooks';
import { copyText } from '../../../ui/copy-text.ts';
import { announcement } from '../../state/notices.ts';
import { choices, linkTo } from '../../state/route.ts';
import { copyImage } from './copy-image.ts';
import { type FigureTable, toCsv } from './csv.ts';

/** A link, and what to know about it. */
export interface CopiedLink {
  href: string;
  note?: string;
}

interface Props {
  /** What is copied, for screen readers and as the title of the image. */
  title: string;
  /** Name of a saved image, without its extension. */
  name: string;
  /** The element that the image shows. */
  shown: { current: HTMLElement | null };
  /** Returns the numbers. */
  table: () => FigureTable;
  /** Returns the link. Default: what the address bar shows. */
  link?: (() => CopiedLink) | undefined;
}

/** Buttons that copy a part of the page as an image, as CSV and as a link. */
export function CopyTools({ title, name, shown, table, link = () => ({ href: linkTo(choices.value) }) }: Props) {
  const [done, setDone] = useState('');
  const say = (text: string): void => {
    setDone(text);
    announcement.value = text;
  };
  const copy = async (text: string, what: string, note = ''): Promise<void> =>
    say((await copyText(text)) ? `${what} copied.${note && ` ${note}`}` : `${what} could not be copied.`);
  const copyLink = (): Promise<void> => {
    const { href, note } = link();
    return copy(href, 'Link', note);
  };
  const image = async (): Promise<void> => {
    if (!shown.current) return;
    const result = await copyImage(shown.current, title, name).catch(() => undefined);
    say(result === 'copied' ? 'Image copied.' : result ? `Image saved as ${name}.png.` : 'No image could be made.');
  };
  return (
    <div class="figure-tools">
      <button type="button" class="small" onClick={image} aria-label={`Copy image: ${title}`}>
        Copy image
      </button>
      <button type="button" class="small" onClick={() => copy(toCsv(table()), 'CSV')} aria-label={`Copy CSV: ${title}`}>
        Copy CSV
      </button>
      <button type="button" class="small" onClick={copyLink} aria-label={`Copy link: ${title}`}>
        Copy link
      </button>
      <span class="hint">{done}</span>
    </div>
  );
}
