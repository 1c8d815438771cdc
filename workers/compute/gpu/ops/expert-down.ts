import type { Dispatch, Slice } from '../dispatch.ts';
import type { Activations, OpContext } from './context.ts';
import { type ExpertWork, expertMatmul } from './expert-matmul.ts';

export interface ExpertDownArgs extends ExpertWork {
  /** f32[tokens * expertsPerToken, feedForwardLength] */
  activations: Activations;
  /** f32[tokens * expertsPerToken] */
  routingWeights: Slice;
  /** f32[tokens * expertsPerToken, embeddingLength], row p for assignment p */
  output: Activations;
}

/**
 * `output[p] = routingWeights[p] * (down activations[p])` for each assignment p of every group whose slot is in this
 * bank. The output is zero if the routing weight is zero.
 */
export function expertDown(ctx: OpContext, args: ExpertDownArgs): Dispatch[] {
  const { bank, activations } = args;
  return [
    expertMatmul(ctx, {
      ...args,
      layout: bank.downLayout,
      base: 0,
      weights: bank.down,
      slotStride: bank.downStride,
      input: activations,
      assignmentsPerInput: 1,
      gated: false,
    }),
  ];
}
