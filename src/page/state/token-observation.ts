/**
 * One token of the text that was read, in every layer, as signals. Set by services/token-observation.ts, shown by the
 * experts view. The layer that is looked at is `layer` of text-routing.ts.
 */
import { computed, signal } from '@preact/signals';
import type { Observation } from '../../contract/engine-api.ts';
import { type Reading, reading } from './text-routing.ts';

/** What is known of the tokens of one reading, by their index. */
export interface Observations {
  of: Reading;
  byToken: ReadonlyMap<number, Observation>;
}

export const observations = signal<Observations | undefined>(undefined);
/** Index of the token that the view follows through the layers. */
export const followedToken = signal<number | undefined>(undefined);

/** The observation of that token; undefined until it is there. */
export const followed = computed(() => {
  const known = observations.value;
  if (!known || known.of !== reading.value || followedToken.value === undefined) return undefined;
  return known.byToken.get(followedToken.value);
});
