import { choose } from '../../state/route.ts';
import { OWN, OWN_NAME, SAMPLES } from './samples.ts';

/** Chooses one of the bundled texts, or the reader's own. The choice is in the address, as `text`. */
export function TextSelect({ id }: { id: string }) {
  return (
    <label>
      <span>Text</span>
      <select value={id} onChange={(event) => choose({ text: event.currentTarget.value })}>
        {SAMPLES.map((sample) => (
          <option key={sample.id} value={sample.id}>
            {sample.name}: {sample.source}
          </option>
        ))}
        <option value={OWN}>{OWN_NAME}</option>
      </select>
    </label>
  );
}
