import type { Field } from './fields.ts';

interface Props {
  field: Field<string>;
  value: number | undefined;
  onChange: (value: number | undefined) => void;
}

/** A number with a line of explanation. An invalid entry is replaced by the previous value. */
export function NumberField({ field: { key, label, help, min, max, step, empty }, value, onChange }: Props) {
  const id = `setting-${key}`;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        id={id}
        type="number"
        min={min}
        max={max}
        step={step}
        placeholder={empty ?? ''}
        value={value ?? ''}
        aria-describedby={`${id}-help`}
        onChange={(event) => {
          const { value: text, valueAsNumber } = event.currentTarget;
          if (text === '' && empty !== undefined) onChange(undefined);
          else if (valueAsNumber >= min && valueAsNumber <= max) onChange(valueAsNumber);
          else event.currentTarget.value = String(value ?? '');
        }}
      />
      <p id={`${id}-help`} class="hint">
        {help}
      </p>
    </div>
  );
}
