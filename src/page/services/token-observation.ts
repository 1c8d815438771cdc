/**
 * Follows one token of the text that was read through all layers. Part of the experts view's code, which is loaded when
 * the view is first opened.
 */
import { throwIfAborted } from '../../contract/errors.ts';
import { proxy } from '../../contract/rpc.ts';
import { experiment } from '../state/generation.ts';
import { loaded } from '../state/models.ts';
import { announcement } from '../state/notices.ts';
import { choose } from '../state/route.ts';
import { reading } from '../state/text-routing.ts';
import { followed, followedToken, observations } from '../state/token-observation.ts';
import { services } from './services.ts';
import { engine } from './workers.ts';

/** Whether the model that read the text is the one that is loaded, with the same windows. */
export const canFollow = (): boolean =>
  reading.value !== undefined &&
  reading.value.modelId === loaded.value?.summary.id &&
  reading.value.context <= (loaded.value?.context ?? 0);

/** Tokens that have to be computed to follow this one: those before it in its window, and itself. */
export const tokensToFollow = (token: number, context: number): number => (token % context) + 1;

/**
 * Follows a token of the reading, unless it is known already. If another one is being followed, this one is next, and
 * tokens that were asked for in between are left out.
 * @param token its index in the reading
 */
export async function followToken(token: number): Promise<void> {
  choose({ token: String(token) });
  if (!canFollow() || unknownToken() === undefined || experiment.value?.kind === 'following') return;
  await services.experiments.run('following', async (onProgress, signal) => {
    for (let next = unknownToken(); next !== undefined; next = unknownToken()) {
      throwIfAborted(signal);
      const of = reading.value!;
      const { input, context } = of;
      const observation = await engine.observe({ input, context, token: next }, proxy(onProgress));
      const known = observations.value?.of === of ? observations.value.byToken : [];
      observations.value = { of, byToken: new Map([...known, [next, observation]]) };
    }
    announcement.value = 'The token is shown in every layer.';
  });
}

/** @returns the token that the address names, if the reading has it and it was not followed yet */
function unknownToken(): number | undefined {
  const token = followedToken.value;
  if (token === undefined || !reading.value || token >= reading.value.trace.pieces.length) return undefined;
  return followed.value ? undefined : token;
}
