import { Component } from 'preact';
import { ErrorBoundary } from '../../ui/ErrorBoundary.tsx';
import { CodeBlock, type Colored } from './CodeBlock.tsx';
import { markdownWork, plainWork, QueueEntry } from './drawing-queue.ts';
import { Html } from './Html.tsx';
import type { Section } from './markdown-sections.ts';

/** A group of at least this work is complete. */
const GROUP_WORK = 2000;
/** The frame of a code block. Its lines have their own turns. */
const FRAME_WORK = 200;

const works = new WeakMap<Section, number>();

/** The work of drawing a section, in characters of prose. */
export function sectionWork(section: Section): number {
  let work = works.get(section);
  if (work === undefined) {
    if (section.kind === 'code') work = FRAME_WORK;
    else work = section.kind === 'plain' ? plainWork(section.source) : markdownWork(section.source);
    works.set(section, work);
  }
  return work;
}

/** Sections that are drawn together. */
export interface Group {
  sections: readonly Section[];
  work: number;
}

/** Groups the sections of an answer. While it grows, all groups but the last one stay as they are. */
export function groupsOf(sections: readonly Section[]): Group[] {
  const groups: Group[] = [];
  let from = 0;
  let work = 0;
  sections.forEach((section, i) => {
    work += sectionWork(section);
    if (work < GROUP_WORK && i < sections.length - 1) return;
    groups.push({ sections: sections.slice(from, i + 1), work });
    from = i + 1;
    work = 0;
  });
  return groups;
}

interface GroupProps extends Colored {
  sections: readonly Section[];
  /** Link definitions of the whole answer. */
  definitions: string;
}

/** Some sections of an answer. One that cannot be drawn is shown as it is. */
export class SectionGroup extends Component<GroupProps> {
  override shouldComponentUpdate({ sections, definitions, colors }: GroupProps): boolean {
    return (
      definitions !== this.props.definitions ||
      colors !== this.props.colors ||
      sections.length !== this.props.sections.length ||
      sections.some((section, i) => section !== this.props.sections[i])
    );
  }

  override render({ sections, definitions, colors, renderer }: GroupProps) {
    return sections.map((section, i) =>
      section.kind === 'code' ? (
        <CodeBlock key={i} section={section} colors={colors} renderer={renderer} />
      ) : (
        <ErrorBoundary key={`${i}${section.kind}`} fallback={<div class="block plain">{section.source}</div>}>
          {section.kind === 'plain' ? (
            <div class="block plain">{section.source}</div>
          ) : (
            <Prose
              source={section.source}
              continues={section.continues}
              definitions={definitions}
              colors={colors}
              renderer={renderer}
            />
          )}
        </ErrorBoundary>
      ),
    );
  }
}

interface ProseProps extends Colored {
  source: string;
  /** Its first block continues the one before. */
  continues: boolean | undefined;
  definitions: string;
}

/**
 * One section of Markdown. Its HTML is made again if its source changes. If only a link definition elsewhere changes, or
 * once code in it can be coloured, it is made again when it is its turn.
 */
class Prose extends Component<ProseProps> {
  readonly #entry = new QueueEntry();

  override shouldComponentUpdate({ source, definitions, colors }: ProseProps): boolean {
    if (source !== this.props.source) return true;
    const outdated =
      (definitions !== this.props.definitions && source.includes('[')) ||
      (colors !== this.props.colors && /```|~~~/.test(source));
    if (outdated) this.#entry.await(markdownWork(source), () => this.forceUpdate());
    return false;
  }

  override componentWillUnmount(): void {
    this.#entry.cancel();
  }

  override render({ source, continues, definitions, renderer }: ProseProps) {
    return renderer
      .proseHtml(source, definitions)
      .map((html, i) => <Html key={i} class={continues && i === 0 ? 'block continues' : 'block'} html={html} />);
  }
}
