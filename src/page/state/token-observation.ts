/**
 * One token of the text that was read, in every layer, as signals. Set by services/token-observation.ts, shown by the
 * experts view. Which token and which layer is shown is in the address.
 */
import { computed, signal } from '@preact/signals';
import type { Observation } from '../../contract/engine-api.ts';
import { choices } from './route.ts';
import { type Reading, reading } from './text-routing.ts';
import type { TextPlace } from './token-of-character.ts';

/** What is known of the tokens of one reading, by their index. */
export interface Observations {
  of: Reading;
  byToken: ReadonlyMap<number, Observation>;
}

export const observations = signal<Observations | undefined>(undefined);

/** A place in an answer that was clicked. */
export interface WantedPlace extends TextPlace {
  /** Id of the answer's conversation; undefined if none was shown. */
  conversation: string | undefined;
}

/** The place in an answer that was clicked, until its token is followed or the attempt has ended. */
export const wanted = signal<WantedPlace | undefined>(undefined);

/** Index of the token that the address names; undefined if it names none. */
export const followedToken = computed(() => {
  const { token } = choices.value;
  return token !== undefined && /^\d{1,9}$/.test(token) ? Number(token) : undefined;
});

/** The observation of that token; undefined until it is there. */
export const followed = computed(() => {
  const known = observations.value;
  if (!known || known.of !== reading.value || followedToken.value === undefined) return undefined;
  return known.byToken.get(followedToken.value);
});
