/** Short texts of different kinds, loaded when they are first needed. samples/README.md names their sources. */

/** A bundled text. */
export interface Sample {
  /** In addresses. */
  id: string;
  /** What the page calls it. */
  name: string;
  source: string;
  /** Why anybody may use it. */
  rights: string;
  load: () => Promise<string>;
}

const textOf = (module: { default: string }): string => module.default;

export const SAMPLES: readonly Sample[] = [
  {
    id: 'prose',
    name: 'Prose',
    source: 'Herman Melville, Moby-Dick (1851), chapter 1',
    rights: 'public domain',
    load: () => import('./samples/prose.txt?raw').then(textOf),
  },
  {
    id: 'verse',
    name: 'Verse',
    source: 'William Shakespeare, sonnets 18, 29, 55, 73, 116 and 130 (1609)',
    rights: 'public domain',
    load: () => import('./samples/verse.txt?raw').then(textOf),
  },
  {
    id: 'code',
    name: 'Code',
    source: 'a Python module about graphs, written for this page',
    rights: 'MIT, as the rest of mixtab',
    load: () => import('./samples/code.txt?raw').then(textOf),
  },
  {
    id: 'mathematics',
    name: 'Mathematics',
    source: 'Alfred North Whitehead, An Introduction to Mathematics (1911), chapter XIV, in LaTeX',
    rights: 'public domain',
    load: () => import('./samples/mathematics.txt?raw').then(textOf),
  },
  {
    id: 'french',
    name: 'French',
    source: 'Gustave Flaubert, Madame Bovary (1857), chapter 1',
    rights: 'public domain',
    load: () => import('./samples/french.txt?raw').then(textOf),
  },
  {
    id: 'german',
    name: 'German',
    source: 'Franz Kafka, Die Verwandlung (1915), chapter 1',
    rights: 'public domain',
    load: () => import('./samples/german.txt?raw').then(textOf),
  },
];

/** The id of the text that the reader enters. */
export const OWN = 'own';
export const OWN_NAME = 'Own text';
