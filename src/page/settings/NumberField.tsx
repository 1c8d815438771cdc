import { useDraft } from '../../ui/use-draft.ts';
import type { Field } from './fields.ts';

interface Props {
  field: Field<string>;
  value: number | undefined;
  onChange: (value: number | undefined) => void;
}

/** Within the limits, and whole if the step is 1. */
const isValid = ({ min, max, step }: Field<string>, value: number): boolean =>
  value >= min && value <= max && (step !== 1 || Number.isInteger(value));

/** A number with a line of explanation. An invalid entry is replaced by the previous value. */
export function NumberField({ field, value, onChange }: Props) {
  const { key, label, help, min, max, step, empty } = field;
  const id = `setting-${key}`;
  const draft = useDraft(String(value ?? ''));
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
        {...draft.field}
        aria-describedby={`${id}-help`}
        onChange={(event) => {
          const { value: text, valueAsNumber } = event.currentTarget;
          draft.drop();
          if (text === '' && empty !== undefined) onChange(undefined);
          else if (isValid(field, valueAsNumber)) onChange(valueAsNumber);
          else event.currentTarget.value = String(value ?? '');
        }}
      />
      <p id={`${id}-help`} class="hint">
        {help}
      </p>
    </div>
  );
}
