import embedCode from '../../../../shaders/embed.wgsl?raw';
import type { Dispatch, Slice } from '../dispatch.ts';
import { STEP_STATE_WGSL } from '../step-state.ts';
import { constants } from './constants.ts';
import type { Activations, OpContext, SplitMatrix } from './context.ts';
import { planeStarts, runsPerRow, weightKernel } from './weight-shader.ts';

const WORKGROUP = 32;

export interface EmbedArgs {
  /** [vocabulary, width] */
  matrix: SplitMatrix;
  /** u32[maxTokens] */
  tokens: Slice;
  /** f32[maxTokens, width] */
  output: Activations;
  maxTokens: number;
}

/** `output[t] = matrix[tokens[t]]`, dequantized. Each part of the matrix writes the tokens whose rows it has. */
export function embed(ctx: OpContext, { matrix, tokens, output, maxTokens }: EmbedArgs): Dispatch[] {
  const vocabulary = matrix.reduce((sum, { layout }) => sum + layout.rows, 0);
  let firstRow = 0;
  return matrix.map(({ layout, slice }) => {
    const runs = runsPerRow(layout);
    const shape = [layout.rows, firstRow, vocabulary, runs, ...planeStarts(layout).slice(1), output.stride / 4];
    firstRow += layout.rows;
    return ctx.pipelines.dispatch(
      weightKernel('embed', layout.type, {}, STEP_STATE_WGSL, embedCode),
      { WORKGROUP },
      [ctx.state, slice, tokens, output.slice, constants(ctx.pipelines.device, ...shape)],
      [Math.ceil(runs / WORKGROUP), maxTokens, 1],
    );
  });
}
