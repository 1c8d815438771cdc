interface Props {
  /** What the colours stand for, for screen readers. */
  label: string;
  /** In the order of the series' colours. */
  names: readonly string[];
  /** What the dashed line shows. */
  expected?: string;
}

/** The colours of the series, and the dashed line. */
export function Legend({ label, names, expected }: Props) {
  return (
    <ul class="figure-legend" aria-label={label}>
      {names.map((name, index) => (
        <li key={name} class={`series-${index % 7}`}>
          <i />
          {name}
        </li>
      ))}
      {expected && (
        <li class="legend-expected">
          <i />
          {expected}
        </li>
      )}
    </ul>
  );
}
