/**
 * A text that knows which of its characters come from the messages of a conversation. Every operation of a template
 * keeps that, so control tokens are recognized only in what the template itself wrote.
 */

/** A part of a text that comes from a message. */
export interface Stretch {
  /** UTF-16 code units. */
  start: number;
  end: number;
  /** Index of the message. */
  source: number;
}

/** A part of a text with one origin. */
export interface Piece {
  plain: string;
  /** Index of the message that it comes from; undefined: the template. */
  source: number | undefined;
}

/** A text with the origin of its characters. Immutable. Positions are UTF-16 code units. */
export class Text {
  static readonly EMPTY = new Text('');

  /** @param stretches the parts that come from messages, in order, without overlaps */
  constructor(
    readonly plain: string,
    readonly stretches: readonly Stretch[] = [],
  ) {}

  /** The text of a message. */
  static ofMessage(plain: string, source: number): Text {
    return plain === '' ? Text.EMPTY : new Text(plain, [{ start: 0, end: plain.length, source }]);
  }

  /** The texts one after the other. */
  static concat(texts: readonly Text[]): Text {
    if (texts.length === 1) return texts[0];
    const stretches: Stretch[] = [];
    let length = 0;
    for (const text of texts) {
      for (const { start, end, source } of text.stretches) {
        const last = stretches.at(-1);
        if (last?.end === length + start && last.source === source) last.end = length + end;
        else stretches.push({ start: length + start, end: length + end, source });
      }
      length += text.plain.length;
    }
    return new Text(texts.map(({ plain }) => plain).join(''), stretches);
  }

  /** The memory it takes, and about the work of copying it, in characters. */
  get cost(): number {
    return this.plain.length + this.stretches.length * 16;
  }

  slice(start: number, end = this.plain.length): Text {
    if (start >= end) return Text.EMPTY;
    if (start === 0 && end === this.plain.length) return this;
    const stretches = this.stretches
      .filter((stretch) => stretch.start < end && stretch.end > start)
      .map((stretch) => ({
        start: Math.max(stretch.start, start) - start,
        end: Math.min(stretch.end, end) - start,
        source: stretch.source,
      }));
    return new Text(this.plain.slice(start, end), stretches);
  }

  /** The parts of one origin each, in order. */
  pieces(): Piece[] {
    const pieces: Piece[] = [];
    let at = 0;
    const add = (end: number, source: number | undefined): void => {
      if (end > at) pieces.push({ plain: this.plain.slice(at, end), source });
      at = end;
    };
    for (const { start, end, source } of this.stretches) {
      add(start, undefined);
      add(end, source);
    }
    add(this.plain.length, undefined);
    return pieces;
  }

  /** Replaces each part of one origin, e.g. by its upper case. */
  map(change: (plain: string) => string): Text {
    return Text.concat(
      this.pieces().map(({ plain, source }) => {
        const changed = change(plain);
        return source === undefined ? new Text(changed) : Text.ofMessage(changed, source);
      }),
    );
  }
}
