/**
 * Splits the Markdown of an answer into sections that can be rendered one by one. While text streams in, only the last
 * section changes. Takes time linear in the length of the text. Pure.
 */

/** A part of an answer that does not depend on the others. */
export type Section =
  /** One or more blocks of Markdown. */
  | { kind: 'prose'; source: string }
  /** A fenced code block. It grows until it is closed. */
  | { kind: 'code'; language: string; code: string; closed: boolean }
  /** Text with a block that is too large to be worth formatting. */
  | { kind: 'plain'; source: string };

/** The sections of an answer, and the link definitions that all of them may use. */
export interface SplitMarkdown {
  sections: Section[];
  /** As Markdown, one per line. */
  definitions: string;
}

/** A section that is at least this long ends at the next block, in UTF-16 code units. */
const ENOUGH = 400;
/** A list or paragraph that is longer is cut between two lines, because some need quadratic time. */
const LONG_BLOCK = 4000;
/** The head of a table that is cut is repeated for the next piece, if it is no longer than this. */
const LONG_HEAD = 400;
/** A table with a longer head, which cannot be cut, or a single line that is longer is shown as plain text. */
const MAX_SECTION = 20_000;
/** A text of 100 kB has a few hundred sections. One with nothing but fences has 12,000. The rest is plain text. */
const MAX_SECTIONS = 2000;
/** Answers have a few definitions. Each is read again for every section with a link. */
const MAX_DEFINITIONS = 50;

const FENCE = /^( {0,3})(`{3,}|~{3,})[ \t]*([^\n]*)$/;
const LIST_ITEM = /^(?:[-*+]|\d{1,9}[.)])(?:[ \t]|$)/;
/** The second line of a table. Its first two lines are its head. */
const UNDER_HEAD = /^\|[-:| \t]+$/;
const DEFINITION = /^ {0,3}\[[^[\]\\\n]{1,200}\]:[ \t]*\S[^\n]{0,2000}$/;

/** Collects lines until a section is complete. */
class Splitter {
  readonly sections: Section[] = [];
  readonly definitions: string[] = [];
  #lines: string[] = [];
  #length = 0;
  /** The latest line that is neither empty nor indented begins a list item. */
  #inList = false;
  /** The fence of a code block that is indented, hence in a list, and not closed. */
  #innerFence = '';
  /** The first two lines of the table whose rows are being collected. */
  #tableHead: string[] = [];

  addLine(line: string): void {
    const previous = this.#lines.at(-1);
    const atMargin = /^\S/.test(line);
    if (this.#innerFence !== '' && closesFence(line, this.#innerFence)) this.#innerFence = '';
    else if (this.#innerFence === '') this.#innerFence = FENCE.exec(line)?.[2] ?? '';
    if (atMargin && this.#inList) this.#innerFence = ''; // the list has ended
    if (this.#innerFence === '' && this.#mayCutBefore(line, previous, atMargin)) this.end();
    this.#cutTable(line, previous);
    if (atMargin) this.#inList = LIST_ITEM.test(line);
    if (DEFINITION.test(line) && this.definitions.length < MAX_DEFINITIONS) this.definitions.push(line);
    this.#lines.push(line);
    this.#length += line.length + 1;
  }

  /** Begins another section before a row of a long table, with the same head, so that only the last rows change. */
  #cutTable(line: string, previous: string | undefined): void {
    if (!line.startsWith('|')) this.#tableHead = [];
    else if (UNDER_HEAD.test(line) && previous?.startsWith('|') && this.#tableHead.length === 0)
      this.#tableHead = [previous, line];
    else if (this.#length >= LONG_BLOCK && this.#tableHead.length > 0) {
      const head = this.#tableHead;
      if (head[0].length + head[1].length > LONG_HEAD) return;
      this.end();
      this.#tableHead = head;
      this.#lines = [...head];
      this.#length = head[0].length + head[1].length + 2;
    }
  }

  #mayCutBefore(line: string, previous: string | undefined, atMargin: boolean): boolean {
    if (previous === undefined) return false;
    const afterBlank = previous.trim() === '';
    const isItem = LIST_ITEM.test(line);
    // After an empty line, a list item continues the list before it.
    if (afterBlank && atMargin && !(isItem && this.#inList)) return this.#length >= ENOUGH;
    return this.#length >= LONG_BLOCK && !line.startsWith('|') && (atMargin || !this.#inList);
  }

  /** Ends the section that is being collected. */
  end(): void {
    const source = this.#lines.join('\n');
    if (source.trim() !== '') this.sections.push({ kind: source.length > MAX_SECTION ? 'plain' : 'prose', source });
    this.#lines = [];
    this.#length = 0;
    this.#inList = false;
    this.#innerFence = '';
    this.#tableHead = [];
  }

  /** Joins the sections that are too many. */
  limit(): void {
    const rest = this.sections.splice(MAX_SECTIONS);
    const texts = rest.map((section) => (section.kind === 'code' ? section.code : section.source));
    if (rest.length > 0) this.sections.push({ kind: 'plain', source: texts.join('\n') });
  }
}

/**
 * Splits an answer. All text is in exactly one section, except for fences, the empty lines between sections, and the
 * head of a long table.
 */
export function splitMarkdown(text: string): SplitMarkdown {
  const lines = text.replaceAll('\r\n', '\n').split('\n');
  const splitter = new Splitter();
  for (let i = 0; i < lines.length; i++) {
    const [, indent, fence, info] = FENCE.exec(lines[i]) ?? [];
    // An indented fence may belong to a list. In the line of a fence of backticks are no others.
    if (fence === undefined || indent !== '' || (fence.startsWith('`') && info.includes('`'))) {
      splitter.addLine(lines[i]);
      continue;
    }
    splitter.end();
    let end = i + 1;
    while (end < lines.length && !closesFence(lines[end], fence)) end++;
    splitter.sections.push({
      kind: 'code',
      language: /^[\w#+-]+/.exec(info)?.[0] ?? '',
      code: lines.slice(i + 1, end).join('\n'),
      closed: end < lines.length,
    });
    i = end;
  }
  splitter.end();
  splitter.limit();
  return { sections: splitter.sections, definitions: splitter.definitions.join('\n') };
}

/** Whether a line ends a code block: the same character, at least as often, and nothing else. */
function closesFence(line: string, fence: string): boolean {
  const text = line.trim();
  return text.length >= fence.length && line.length - line.trimStart().length <= 3 && isRepeated(text, fence[0]);
}

function isRepeated(text: string, character: string): boolean {
  for (const other of text) if (other !== character) return false;
  return true;
}

/** Lines and characters of a piece of code. It is coloured as a whole, again for each token while it grows. */
const PIECE = { lines: 60, characters: 4000 };

/** Splits code into pieces that are coloured one by one. A piece ends with its line break. */
export function codePieces(code: string): string[] {
  const pieces: string[] = [];
  let start = 0;
  let lines = 0;
  for (let at = code.indexOf('\n'); at >= 0; at = code.indexOf('\n', at + 1)) {
    if (++lines < PIECE.lines && at + 1 - start < PIECE.characters) continue;
    pieces.push(code.slice(start, at + 1));
    start = at + 1;
    lines = 0;
  }
  if (start < code.length) pieces.push(code.slice(start));
  return pieces;
}
