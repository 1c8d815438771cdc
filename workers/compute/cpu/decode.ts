/** One token after another through all layers. Missing experts are read while the resident ones compute. */
import { throwIfAborted } from '../../../src/contract/errors.ts';
import { type ExpertIndex, type LayerIndex, layerIndex, type TokenId } from '../../../src/contract/ids.ts';
import type { Prediction } from '../../experts/expert-cache.ts';
import { distinctExperts } from '../../experts/grouping.ts';
import { abortable } from '../../store/abortable.ts';
import type { LayerActivations } from '../compute.ts';
import { addWeighted, type CpuModel, type OnSelectedExperts } from './cpu-model.ts';
import { type Route, selectExperts } from './router.ts';

export interface DecodeInputs {
  model: CpuModel;
  /** Ends a token at its next layer, or while it waits for experts. */
  signal: AbortSignal;
  /** Called for each layer; `token` is the position. */
  onSelectedExperts?: OnSelectedExperts;
  /** Called after each layer, before the next one. */
  onLayer?: (layer: DecodedLayer) => Promise<void>;
}

/** One token in one layer, as {@link LayerActivations} describes it. */
export type DecodedLayer = Omit<LayerActivations, 'logits'>;

interface TokenInputs extends DecodeInputs {
  /** Whether experts are missing, so that it pays to predict which ones the next layers will select. */
  predicts: boolean;
}

/**
 * Takes one token through all layers and adds it to the KV cache.
 * @param position how many tokens the cache holds
 * @returns its residual after the last layer, f32[embeddingLength]
 * @throws MixtabError `aborted`, an error of reading an expert, or of a thread
 */
export async function decodeToken(inputs: DecodeInputs, token: TokenId, position: number): Promise<Float32Array> {
  const { model, signal, onSelectedExperts, onLayer } = inputs;
  const { forward, experts, config } = model;
  const residual = forward.embed([token]);
  const input = new Float32Array(residual.length);
  const own: TokenInputs = { ...inputs, predicts: experts.expectedMissedLayers(config.expertsPerToken) > 0 };
  let waited = false;
  try {
    for (let l = 0; l < config.layerCount; l++) {
      await model.messageYield.ifDue();
      throwIfAborted(signal);
      const layer = layerIndex(l);
      const before = onLayer && residual.slice();
      await forward.attend(layer, position, residual, false);
      const attended = onLayer && residual.slice();
      const { normed, logits } = forward.host.route(layer, residual, false);
      model.onRouterLogits?.(layer, logits);
      const route = selectExperts({
        logits,
        layer,
        position,
        expertsPerToken: config.expertsPerToken,
        options: model.routerOptions,
        isResident: (expert) => experts.slotOf(layer, expert as ExpertIndex) !== undefined,
      });
      onSelectedExperts?.(position, layer, route.selectedExperts);
      const routerLogits = onLayer && logits.slice();
      input.set(normed); // predictions overwrite it
      const { missing, outputs } = await runExperts(own, { layer, position }, route, input, residual);
      if (missing > 0) waited = true;
      if (!onLayer) continue;
      await onLayer({
        layer,
        before: before!,
        attended: attended!,
        routerLogits: routerLogits!,
        ...route,
        experts: weightedOutputs(route, outputs, residual.length),
        residual,
      });
    }
  } catch (error) {
    experts.cancel();
    throw error;
  }
  if (waited) experts.countStall();
  return residual;
}

/** The outputs of a token's experts, and which they are. Valid until the next layer. */
interface ExpertOutputs {
  /** f32[experts, embeddingLength], not weighted. */
  rows: Float32Array;
  /** The expert of each row. */
  experts: readonly ExpertIndex[];
}

/** @returns f32[expertsPerToken, embeddingLength]: the weighted outputs in the order of `selectedExperts` */
function weightedOutputs({ selectedExperts, weights }: Route, outputs: ExpertOutputs, length: number): Float32Array {
  const weighted = new Float32Array(selectedExperts.length * length);
  for (const [rank, expert] of selectedExperts.entries()) {
    const row = outputs.experts.indexOf(expert as ExpertIndex);
    addWeighted(weighted, rank * length, outputs.rows, row * length, length, weights[rank]);
  }
  return weighted;
}

/**
 * Adds the weighted outputs of a token's experts to its residual.
 * @returns how many experts had to be read first, and the outputs
 */
async function runExperts(
  { model, signal, predicts }: TokenInputs,
  { layer, position }: { layer: LayerIndex; position: number },
  { selectedExperts, weights }: Route,
  input: Float32Array,
  residual: Float32Array,
): Promise<{ missing: number; outputs: ExpertOutputs }> {
  const { experts, forward } = model;
  const { missing } = experts.recordAccess(layer, selectedExperts);
  const distinct = distinctExperts(selectedExperts);
  const isResident = (expert: ExpertIndex): boolean => experts.slotOf(layer, expert) !== undefined;
  const resident = distinct.filter(isResident);
  const loads = experts.load(layer, distinct);
  // One failure ends the token, and nobody waits for the other loads any more.
  if (resident.length < distinct.length) for (const load of loads) load.catch(() => {});
  if (predicts) experts.prefetch(predictionsAfter(model, { layer, position }, residual));
  const { length } = residual;
  const outputs = model.expertOutputs.take(distinct.length * length);
  /** The experts in the order of their outputs. */
  const done: ExpertIndex[] = [];
  const run = async (some: readonly ExpertIndex[]): Promise<void> => {
    const groups = some.map((expert) => ({ slot: experts.slotOf(layer, expert)!, count: 1 }));
    const target = outputs.subarray(done.length * length, (done.length + some.length) * length);
    await forward.runExperts(groups, input, target, false);
    done.push(...some);
  };
  if (resident.length > 0) await run(resident);
  for (const expert of distinct) {
    if (done.includes(expert)) continue;
    await abortable(signal, loads[distinct.indexOf(expert)]);
    await run([expert]);
  }
  for (const [rank, expert] of selectedExperts.entries()) {
    if (weights[rank] === 0 && rank > 0) continue;
    addWeighted(residual, 0, outputs, done.indexOf(expert as ExpertIndex) * length, length, weights[rank]);
  }
  return { missing, outputs: { rows: outputs, experts: done } };
}

/**
 * The experts that the next layers would select if this layer's experts changed nothing. They depend on the position
 * too, because random experts and noise do.
 */
function predictionsAfter(
  { config, experts, forward, routerOptions }: CpuModel,
  { layer, position }: { layer: LayerIndex; position: number },
  residual: Float32Array,
): Prediction[] {
  const predictions: Prediction[] = [];
  for (let l = layer + 1; l <= layer + experts.predictionDepth && l < config.layerCount; l++) {
    const next = layerIndex(l);
    const { logits } = forward.host.route(next, residual, false);
    const { expertsPerToken } = config;
    const route = selectExperts({ logits, layer: next, position, expertsPerToken, options: routerOptions });
    predictions.push({ layer: next, experts: distinctExperts(route.selectedExperts) });
  }
  return predictions;
}
