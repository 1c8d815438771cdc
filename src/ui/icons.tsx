/** SVG paths in a 20 x 20 box, drawn as lines in the colour of the text. */
const PATHS = {
  menu: 'M3 5h14M3 10h14M3 15h14',
  plus: 'M10 4v12M4 10h12',
  search: 'M9 15a6 6 0 1 0 0-12 6 6 0 0 0 0 12Zm4.500-1.500L17 17',
  more: 'M4.500 10h.01M10 10h.01M15.500 10h.01',
  close: 'm5 5 10 10M15 5 5 15',
  copy: 'M7 7h9v9H7zM13 7V4H4v9h3',
  check: 'm4 10.500 4 4 8-9',
  edit: 'm4 16 .8-3.500L13 4.300l2.700 2.700-8.200 8.200L4 16Z',
  regenerate: 'M15.500 7A6.500 6.500 0 1 0 16.500 11M16 3v4.200h-4.200',
  forward: 'M4 10h11M11 5.500l4.500 4.500-4.500 4.500',
  left: 'M12 5 7 10l5 5',
  right: 'm8 5 5 5-5 5',
  down: 'M10 4v11M5 10.500 10 15.500l5-5',
  settings: 'M4 6h6M14 6h2M4 14h2M10 14h6M12 8a2 2 0 1 0 0-4 2 2 0 0 0 0 4ZM8 16a2 2 0 1 0 0-4 2 2 0 0 0 0 4Z',
  cube: 'm10 3 6.500 3.500v7L10 17l-6.500-3.500v-7L10 3ZM3.500 6.500 10 10l6.500-3.500M10 10v7',
  grid: 'M3.500 3.500h5v5h-5zM11.500 3.500h5v5h-5zM3.500 11.500h5v5h-5zM11.500 11.500h5v5h-5z',
  tokens: 'M3 6h5v8H3zM10 6h3v8h-3zM15 6h2v8h-2z',
  send: 'M10 16V4.500M5 9l5-5 5 5',
  stop: 'M6 6h8v8H6z',
  trash: 'M4 6h12M8 6V4h4v2M6 6l.7 10h6.600L14 6',
  file: 'M6 3h5l4 4v10H6zM11 3v4h4',
} as const;

export type IconName = keyof typeof PATHS;

/** A decorative icon, hidden from screen readers: give its button a label. */
export function Icon({ name }: { name: IconName }) {
  return (
    <svg class={`icon icon-${name}`} viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
