/**
 * Follows one token of the text that was read through all layers. Part of the experts view's code, which is loaded when
 * the view is first opened.
 */
import { proxy } from '../../contract/rpc.ts';
import { loaded } from '../state/models.ts';
import { announcement } from '../state/notices.ts';
import { reading } from '../state/text-routing.ts';
import { followedToken, observations } from '../state/token-observation.ts';
import { services } from './services.ts';
import { engine } from './workers.ts';

/** Whether the model that read the text is the one that is loaded, with the same windows. */
export const canFollow = (): boolean =>
  reading.value !== undefined &&
  reading.value.modelId === loaded.value?.summary.id &&
  reading.value.context <= (loaded.value?.context ?? 0);

/** Tokens that have to be computed to follow this one: those before it in its window, and itself. */
export const tokensToFollow = (token: number, context: number): number => (token % context) + 1;

/** Follows a token of the reading, unless it is known already. @param token its index in the reading */
export async function followToken(token: number): Promise<void> {
  const of = reading.value;
  if (!of || !canFollow()) return;
  followedToken.value = token;
  const known = observations.value?.of === of ? observations.value.byToken : new Map<number, never>();
  if (known.has(token)) return;
  await services.experiments.run('following', async (onProgress) => {
    const { input, context } = of;
    const observation = await engine.observe({ input, context, token }, proxy(onProgress));
    observations.value = { of, byToken: new Map([...known, [token, observation]]) };
    announcement.value = 'The token is shown in every layer.';
  });
}
