/**
 * Causal grouped-query attention over the KV cache, split into chunks of positions. Chunks have a fixed length, so that
 * the result depends neither on the capacity of the cache nor on the batch that a token is computed in.
 */
import type { Bytes } from '../../../../src/contract/ids.ts';
import type { Dispatch } from '../dispatch.ts';
import type { KernelChoice } from '../variants/kernel-variants.ts';
import type { AttentionArgs, AttentionShape } from './attention-args.ts';
import { flashAttention, flashScratchBytes } from './attention-flash.ts';
import { attentionInSteps, stepsScratchBytes } from './attention-in-steps.ts';
import type { OpContext } from './context.ts';

/** The kernels in steps load keys and values 16 bytes at a time. No known model needs anything else. */
const isFlash = ({ attention }: KernelChoice, headDim: number): boolean => attention === 'flash' || headDim % 8 !== 0;

/** Bytes of scratch memory for {@link attention}. */
export const attentionScratchBytes = (kernels: KernelChoice, shape: AttentionShape): Bytes =>
  isFlash(kernels, shape.headDim) ? flashScratchBytes(shape) : stepsScratchBytes(shape);

/**
 * `output[t, h] = softmax(q[t, h] . K / sqrt(headDim)) V` over positions 0 .. state.position + t.
 * @throws RangeError if the shape is unsupported or the scratch memory is too small for one token
 */
export function attention(ctx: OpContext, args: AttentionArgs): Dispatch[] {
  const { headCount, kvHeadCount, headDim } = args;
  if (headDim % 2 || headDim > 256 || headCount % kvHeadCount) {
    throw new RangeError(`${headCount} heads, ${kvHeadCount} KV heads, head dimension ${headDim}`);
  }
  return isFlash(ctx.kernels, headDim) ? flashAttention(ctx, args) : attentionInSteps(ctx, args);
}
