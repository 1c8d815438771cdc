/**
 * Takes one token through the layers as a prompt of one token, and reads back what it is in each layer: three readbacks
 * a layer, and the output head.
 */
import { throwIfAborted } from '../../../src/contract/errors.ts';
import { layerIndex } from '../../../src/contract/ids.ts';
import type { ObserveTokenRequest } from '../compute.ts';
import type { Slice } from './dispatch.ts';
import { logitsOf } from './model/forward.ts';
import type { Model } from './model/model.ts';
import { clearExpertOutputs } from './model/moe-layer.ts';
import type { Activations } from './ops/context.ts';
import { encodePaced } from './pacing.ts';
import { addToResiduals, embedChunks } from './prefill.ts';
import { attendAndRoute, type Chunk } from './prefill-chunk.ts';
import { type LayerExpertsInputs, runLayerExperts } from './prefill-experts.ts';

/** See {@link Compute.observe}. */
export async function observe(
  inputs: Omit<LayerExpertsInputs, 'signal'>,
  { token, position, onLayer, signal }: ObserveTokenRequest,
): Promise<void> {
  const { model, experts, readback } = inputs;
  const { config, buffers, ctx, kvCache } = model;
  const { device } = ctx.pipelines;
  await kvCache.grow(position + 1);
  const chunk: Chunk = { tokens: [token], first: 0, position, buffers };
  try {
    embedChunks(model, [chunk]);
    let [before] = await read(inputs, [residualOf(model)]);
    for (let l = 0; l < config.layerCount; l++) {
      throwIfAborted(signal);
      const layer = layerIndex(l);
      buffers.state.startBatch(1, position);
      const [attended, routerLogits, weights, expertNumbers] = await readback.submit(
        encodePaced(ctx, attendAndRoute(model, chunk, layer)),
        routeSlices(model),
      );
      const selectedExperts = new Uint32Array(expertNumbers);
      await runLayerExperts({ ...inputs, signal }, layer, [chunk], selectedExperts);
      const outputs = await read(inputs, expertRows(model));
      addToResiduals(model, layer, [chunk]);
      const [residual, logits] = await readLogits(inputs);
      onLayer({
        layer,
        before: new Float32Array(before),
        attended: new Float32Array(attended),
        routerLogits: new Float32Array(routerLogits),
        selectedExperts,
        weights: new Float32Array(weights),
        experts: joined(outputs),
        residual: new Float32Array(residual),
        logits: new Float32Array(logits),
      });
      before = residual;
    }
  } catch (error) {
    experts.cancel();
    clearExpertOutputs(device, buffers);
    throw error;
  }
}

type ReadInputs = Omit<LayerExpertsInputs, 'signal'>;

/** Reads slices back after everything that was submitted. */
function read({ model, readback }: ReadInputs, slices: readonly Slice[]): Promise<ArrayBuffer[]> {
  return readback.submit(model.ctx.pipelines.device.createCommandEncoder({ label: 'observe' }), slices);
}

/** The output head on the residual. @returns the residual, f32[embeddingLength], and the logits, f32[vocabularySize] */
function readLogits({ model, readback }: ReadInputs): Promise<ArrayBuffer[]> {
  const { config, ctx, buffers } = model;
  const { residual, headNormed, logits, state } = buffers;
  state.startBatch(1, 0);
  const head = logitsOf(model, { residual, normed: headNormed, logits, maxTokens: 1 });
  return readback.submit(encodePaced(ctx, head), [residualOf(model), row(logits, 0, config.vocabularySize)]);
}

/** What is known after the router: residual, scores, weights, experts. */
function routeSlices(model: Model): Slice[] {
  const { config, buffers } = model;
  const { routerLogits, routingWeights, selectedExperts } = buffers;
  const size = config.expertsPerToken * 4;
  return [
    residualOf(model),
    row(routerLogits, 0, config.expertCount),
    { ...routingWeights, size },
    { ...selectedExperts, size },
  ];
}

const residualOf = ({ config, buffers }: Model): Slice => row(buffers.residual, 0, config.embeddingLength);

/** The weighted outputs of the experts, in the order of the router. */
const expertRows = ({ config, buffers }: Model): Slice[] =>
  Array.from({ length: config.expertsPerToken }, (_, rank) => row(buffers.expertOut, rank, config.embeddingLength));

const row = ({ slice, stride }: Activations, index: number, width: number): Slice => ({
  buffer: slice.buffer,
  offset: slice.offset + index * stride * 4,
  size: width * 4,
});

function joined(rows: readonly ArrayBuffer[]): Float32Array {
  const width = rows[0].byteLength / 4;
  const all = new Float32Array(rows.length * width);
  for (const [index, bytes] of rows.entries()) all.set(new Float32Array(bytes), index * width);
  return all;
}
