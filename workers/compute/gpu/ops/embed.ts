import embedCode from '../../../../shaders/embed.wgsl?raw';
import type { Dispatch, Slice } from '../dispatch.ts';
import { STEP_STATE_WGSL } from '../step-state.ts';
import type { Activations, OpContext, SplitMatrix } from './context.ts';
import { planeOverrides, runsPerRow, weightKernel } from './weight-shader.ts';

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
    const blocks = runsPerRow(layout);
    const overrides = {
      ROWS: layout.rows,
      FIRST_ROW: firstRow,
      VOCABULARY: vocabulary,
      BLOCKS: blocks,
      ...planeOverrides(layout, 'P'),
      OUT_STRIDE: output.stride / 4,
      WORKGROUP,
    };
    firstRow += layout.rows;
    return ctx.pipelines.dispatch(
      weightKernel('embed', layout.type, {}, STEP_STATE_WGSL, embedCode),
      overrides,
      [ctx.state, slice, tokens, output.slice],
      [Math.ceil(blocks / WORKGROUP), maxTokens, 1],
    );
  });
}
