/** A choice between a few options, with a line of explanation. */
interface Props<T> {
  /** Of the radio buttons, and part of the id of the explanation. */
  name: string;
  legend: string;
  options: readonly T[];
  /** The option that is selected, if any. */
  selected: T | undefined;
  labelOf: (option: T) => string;
  onSelect: (option: T) => void;
  /** Explains the selected option. */
  help: string | undefined;
}

export function RadioField<T extends { help: string }>(props: Props<T>) {
  const { name, legend, options, selected, labelOf, onSelect, help } = props;
  const helpId = `setting-${name}-help`;
  return (
    <fieldset class="presets" aria-describedby={helpId}>
      <legend>{legend}</legend>
      {options.map((option) => (
        <label key={labelOf(option)} title={option.help}>
          <input type="radio" name={name} checked={option === selected} onChange={() => onSelect(option)} />
          <span>{labelOf(option)}</span>
        </label>
      ))}
      <p id={helpId} class="hint">
        {help}
      </p>
    </fieldset>
  );
}
