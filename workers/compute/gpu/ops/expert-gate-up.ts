import rowsCode from '../../../../shaders/expert_gate_up_rows.wgsl?raw';
import productCode from '../../../../shaders/lib/product_gate_up.wgsl?raw';
import type { Dispatch } from '../dispatch.ts';
import type { Activations, OpContext } from './context.ts';
import { type ExpertWork, expertMatmul, expertProduct } from './expert-matmul.ts';

export interface ExpertGateUpArgs extends ExpertWork {
  expertsPerToken: number;
  /** f32[tokens, embeddingLength] */
  input: Activations;
  /** f32[tokens * expertsPerToken, feedForwardLength], row p for assignment p */
  activations: Activations;
}

/**
 * `activations[p] = silu(gate x) * (up x)` with `x = input[p / expertsPerToken]`, for each assignment p of every group
 * whose slot is in this bank.
 */
export function expertGateUp(ctx: OpContext, args: ExpertGateUpArgs): Dispatch[] {
  const { gate, up } = args.bank;
  return gate.type === up.type ? [gateAndUp(ctx, args)] : gateThenUp(ctx, args);
}

function gateAndUp(ctx: OpContext, args: ExpertGateUpArgs): Dispatch {
  const { bank, expertsPerToken, input, activations } = args;
  const { gate, up } = bank;
  return expertProduct(ctx, {
    ...args,
    product: {
      name: 'expert gate+up',
      matrices: [
        { layout: gate, base: gate.offset, prefix: 'G' },
        { layout: up, base: up.offset, prefix: 'U' },
      ],
      rowsCode,
      lib: productCode,
      slotStride: bank.gateUpStride,
      assignmentsPerInput: expertsPerToken,
      input,
      output: activations,
    },
    weights: bank.gateUp,
  });
}

/** A kernel reads one weight type, so matrices of different types need two dispatches: gate, then up. */
function gateThenUp(ctx: OpContext, args: ExpertGateUpArgs): Dispatch[] {
  const { bank, expertsPerToken, activations } = args;
  return [bank.gate, bank.up].map((layout) =>
    expertMatmul(ctx, {
      ...args,
      layout,
      base: layout.offset,
      weights: bank.gateUp,
      slotStride: bank.gateUpStride,
      output: activations,
      assignmentsPerInput: expertsPerToken,
      gated: layout === bank.up,
    }),
  );
}
