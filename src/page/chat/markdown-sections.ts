/**
 * Splits the Markdown of an answer into sections that can be rendered one by one. While text streams in, only the last
 * section changes. Takes time linear in the length of what is new.
 */

/** A part of an answer that does not depend on the others. */
export type Section =
  /** One or more blocks of Markdown. It may continue the list or paragraph of the section before. */
  | { kind: 'prose'; source: string; continues?: true }
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
/**
 * A list, paragraph or table that is longer is cut between two lines: some need quadratic time, and all of it would be
 * drawn again for each token.
 */
const LONG_BLOCK = 2000;
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

/** Where a section begins, and what was known there. Splitting can continue from it. */
interface Start {
  /** Offset of its first line. */
  at: number;
  /** The head of the table that the section continues; empty if it continues none. */
  head: readonly string[];
  /** Link definitions before it. */
  definitions: number;
  /** It continues a list or paragraph that was cut. */
  continues: boolean;
}

const BEGINNING: Start = { at: 0, head: [], definitions: 0, continues: false };

/** A code block at the end of the text that is not closed. */
interface OpenCode {
  fence: string;
  language: string;
  /** Offset of its first line of code. */
  from: number;
  /** No line before this offset closes it. */
  searchedTo: number;
}

/**
 * Splits an answer, and continues from the last section when the answer grows. All text is in exactly one section,
 * except for fences, the empty lines between sections, and the head of a long table. Sections that do not change keep
 * their identity.
 */
export class MarkdownSplitter {
  #text = '';
  #sections: Section[] = [];
  /** One per section. */
  #starts: Start[] = [];
  #definitions: string[] = [];
  #openCode: OpenCode | undefined;
  /** Lines that were read since it was created: a measure of the work. */
  linesRead = 0;

  // The section whose lines are being collected.
  #start: Start = BEGINNING;
  /** Offset of the end of its last line; before its start if it has none. */
  #end = -1;
  #previous: string | undefined;
  /** The latest line that is neither empty nor indented begins a list item. */
  #inList = false;
  /** The fence of a code block that is indented, hence in a list, and not closed. */
  #innerFence = '';
  /** The first two lines of the table whose rows are being collected. */
  #tableHead: readonly string[] = [];

  /** @returns the sections of `text` */
  split(text: string): SplitMarkdown {
    const before = this.#text;
    this.#text = text.replaceAll('\r\n', '\n');
    const openCode = this.#goBack(commonLength(before, this.#text));
    if (openCode) this.#scan(this.#readCode(openCode));
    else this.#scan(this.#start.at);
    return { sections: [...this.#sections], definitions: this.#definitions.join('\n') };
  }

  /**
   * Forgets the sections that may differ from the previous text after `common` characters.
   * @returns the code block that continues, if the last section is one
   */
  #goBack(common: number): OpenCode | undefined {
    // Whether a section begins at a line is certain once that line is complete.
    const complete = common > 0 ? this.#text.lastIndexOf('\n', common - 1) : -1;
    const last = this.#starts.findLastIndex(({ at }) => at <= complete);
    const open = this.#openCode;
    const continues = open && last === this.#starts.length - 1 && open.from <= complete + 1;
    this.#begin(this.#starts[last] ?? BEGINNING);
    const kept = Math.max(0, last);
    this.#sections.length = Math.min(this.#sections.length, kept);
    this.#starts.length = Math.min(this.#starts.length, kept);
    this.#definitions.length = this.#start.definitions;
    this.#openCode = undefined;
    return continues ? { ...open, searchedTo: Math.min(open.searchedTo, complete + 1) } : undefined;
  }

  #begin(start: Start): void {
    this.#start = start;
    this.#tableHead = start.head;
    this.#end = -1;
    this.#previous = start.head[1];
    this.#inList = false;
    this.#innerFence = '';
  }

  /** Reads lines from `at` to the end of the text. */
  #scan(from: number): void {
    for (let at = from; at <= this.#text.length; ) {
      if (this.#sections.length >= MAX_SECTIONS) {
        const source = this.#text.slice(this.#start.at);
        if (source.trim() !== '') this.#push({ kind: 'plain', source });
        return;
      }
      const line = this.#lineAt(at);
      const [, indent, fence, info] = FENCE.exec(line) ?? [];
      // An indented fence may belong to a list. In the line of a fence of backticks are no others.
      if (fence === undefined || indent !== '' || (fence.startsWith('`') && info.includes('`'))) {
        this.#addLine(line, at);
        at += line.length + 1;
        continue;
      }
      this.#finish(at);
      const codeFrom = at + line.length + 1;
      const language = /^[\w#+-]+/.exec(info)?.[0] ?? '';
      at = this.#readCode({ fence, language, from: codeFrom, searchedTo: codeFrom });
    }
    this.#finish(this.#text.length + 1);
  }

  #lineAt(at: number): string {
    this.linesRead++;
    const end = this.#text.indexOf('\n', at);
    return this.#text.slice(at, end < 0 ? undefined : end);
  }

  /** Makes a section of a code block. @returns offset of the line after it */
  #readCode(code: OpenCode): number {
    let at = code.searchedTo;
    let searchedTo = at;
    while (at <= this.#text.length) {
      const line = this.#lineAt(at);
      const after = at + line.length + 1;
      if (closesFence(line, code.fence)) {
        const source = this.#text.slice(code.from, Math.max(code.from, at - 1));
        this.#push({ kind: 'code', language: code.language, code: source, closed: true });
        this.#begin({ ...BEGINNING, at: after, definitions: this.#definitions.length });
        return after;
      }
      searchedTo = at; // the last line may grow
      at = after;
    }
    this.#push({ kind: 'code', language: code.language, code: this.#text.slice(code.from), closed: false });
    this.#openCode = { ...code, searchedTo };
    this.#begin({ ...BEGINNING, at, definitions: this.#definitions.length });
    return at;
  }

  #addLine(line: string, at: number): void {
    const previous = this.#previous;
    const atMargin = /^\S/.test(line);
    if (this.#innerFence !== '' && closesFence(line, this.#innerFence)) this.#innerFence = '';
    else if (this.#innerFence === '') this.#innerFence = FENCE.exec(line)?.[2] ?? '';
    if (atMargin && this.#inList) this.#innerFence = ''; // the list has ended
    const afterBlank = previous?.trim() === '';
    if (this.#innerFence === '' && this.#mayCutBefore(line, atMargin, at)) this.#finish(at, { continues: !afterBlank });
    this.#cutTable(line, previous, at);
    if (atMargin) this.#inList = LIST_ITEM.test(line);
    if (DEFINITION.test(line) && this.#definitions.length < MAX_DEFINITIONS) this.#definitions.push(line);
    this.#previous = line;
    this.#end = at + line.length;
  }

  /** Begins another section before a row of a long table, with the same head, so that only the last rows change. */
  #cutTable(line: string, previous: string | undefined, at: number): void {
    if (!line.startsWith('|')) this.#tableHead = [];
    else if (UNDER_HEAD.test(line) && previous?.startsWith('|') && this.#tableHead.length === 0)
      this.#tableHead = [previous, line];
    else if (this.#length(at) >= LONG_BLOCK && this.#tableHead.length > 0) {
      const head = this.#tableHead;
      if (head[0].length + head[1].length <= LONG_HEAD) this.#finish(at, { head });
    }
  }

  /** Length of the section if it ends before offset `at`, with its last line break. */
  #length(at: number): number {
    const head = this.#start.head.reduce((sum, line) => sum + line.length + 1, 0);
    return at - this.#start.at + head;
  }

  #mayCutBefore(line: string, atMargin: boolean, at: number): boolean {
    const previous = this.#previous;
    if (previous === undefined) return false;
    const afterBlank = previous.trim() === '';
    const isItem = LIST_ITEM.test(line);
    // After an empty line, a list item continues the list before it.
    if (afterBlank && atMargin && !(isItem && this.#inList)) return this.#length(at) >= ENOUGH;
    return this.#length(at) >= LONG_BLOCK && !line.startsWith('|') && (atMargin || !this.#inList);
  }

  /** Ends the section that is being collected. The next one begins at `at`. */
  #finish(at: number, next: Partial<Start> = {}): void {
    const lines = this.#end < 0 ? [] : [this.#text.slice(this.#start.at, this.#end)];
    const source = [...this.#start.head, ...lines].join('\n');
    if (source.length > MAX_SECTION) this.#push({ kind: 'plain', source });
    else if (source.trim() !== '')
      this.#push({ kind: 'prose', source, ...(this.#start.continues && { continues: true }) });
    this.#begin({ ...BEGINNING, at, definitions: this.#definitions.length, ...next });
  }

  #push(section: Section): void {
    this.#sections.push(section);
    this.#starts.push(this.#start);
  }
}

/** Splits a text that does not grow. */
export const splitMarkdown = (text: string): SplitMarkdown => new MarkdownSplitter().split(text);

/** @returns how many characters two texts have in common at their beginning */
function commonLength(a: string, b: string): number {
  if (b.startsWith(a)) return a.length; // the usual case: the text grows
  const length = Math.min(a.length, b.length);
  let common = 0;
  for (let step = length; step >= 1; step = Math.floor(step / 2))
    while (common + step <= length && a.slice(common, common + step) === b.slice(common, common + step)) common += step;
  return common;
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

/**
 * Splits code into pieces that are coloured one by one. A piece ends with its line break.
 * @param before pieces of an earlier state of the code, which has grown since. All but the last one are kept.
 */
export function codePieces(code: string, before: readonly string[] = []): string[] {
  const pieces = before.slice(0, -1);
  let start = pieces.reduce((sum, piece) => sum + piece.length, 0);
  let lines = 0;
  for (let at = code.indexOf('\n', start); at >= 0; at = code.indexOf('\n', at + 1)) {
    if (++lines < PIECE.lines && at + 1 - start < PIECE.characters) continue;
    pieces.push(code.slice(start, at + 1));
    start = at + 1;
    lines = 0;
  }
  if (start < code.length) pieces.push(code.slice(start));
  return pieces;
}
