/**
 * The parts of one token that decoding submits: the forward pass, cut where experts may be missing (docs/streaming.md).
 */
import { type LayerIndex, layerIndex } from '../../../../src/contract/ids.ts';
import type { Dispatch } from '../dispatch.ts';
import { predictionOf, traceOf } from './buffers.ts';
import { type Head, inOrder, tokenSteps } from './forward.ts';
import type { Model } from './model.ts';
import { routeOneToken } from './moe-layer.ts';

/** One token, recorded once and submitted for every token: its id and position are in GPU memory. */
export interface DecodeProgram {
  /** The whole token at once. A missing expert stalls it at the router of its layer. */
  whole: Dispatch[];
  /** The whole token, and at each layer a prediction of the experts of the next one. */
  withPredictions: Dispatch[];
  /** From the embedding to the selection of the experts of layer 0, with predictions for the next `depth` layers. */
  start(depth: PredictionDepth): Dispatch[];
  /** The experts of a layer that are in `buffers.groups`: some or all of those that the token selects. */
  experts(layer: LayerIndex): Dispatch[];
  /**
   * From the outputs of the experts of a layer, after all of them ran, to the selection of the experts of the next
   * layer, with predictions for the `depth` layers after that.
   */
  untilNextSelection(layer: LayerIndex, depth: PredictionDepth): Dispatch[];
  /** From the outputs of the experts of a layer to the head, with predictions. It may stall. */
  untilEnd(layer: LayerIndex): Dispatch[];
}

/** For how many layers after the current one experts are predicted. */
export type PredictionDepth = 1 | 2;

/**
 * Records all parts of a token.
 * @param head what follows the last layer; default: logits and sampler
 */
export function decodeProgram(model: Model, head?: Head): DecodeProgram {
  const token = tokenSteps(model, head);
  const layers = token.layers.map((steps, l) => ({
    ...steps,
    routeOnly: routeWithoutLookup(model, layerIndex(l)),
    predictNext: predictExperts(model, l + 1),
    predictSecond: predictExperts(model, l + 2),
  }));
  const untilSelection = (l: number, depth: PredictionDepth): Dispatch[] => {
    const { attention, routeOnly, predictNext, predictSecond } = layers[l];
    return [...attention, ...routeOnly, ...predictNext, ...(depth === 2 ? predictSecond : [])];
  };
  // The prediction comes before the router, which may stall and thereby stop everything after it.
  const untilEnd = (l: number): Dispatch[] => [
    ...layers
      .slice(l)
      .flatMap(({ attention, predictNext, route, experts, combine }) => [
        ...attention,
        ...predictNext,
        ...route,
        ...experts,
        ...combine,
      ]),
    ...token.head,
  ];
  return {
    whole: inOrder(token),
    withPredictions: [...token.embedding, ...untilEnd(0)],
    start: (depth) => [...token.embedding, ...untilSelection(0, depth)],
    experts: (l) => layers[l].experts,
    untilNextSelection: (l, depth) => [...layers[l].combine, ...untilSelection(l + 1, depth)],
    untilEnd: (l) => [...layers[l].combine, ...untilEnd(l + 1)],
  };
}

/** Selects experts as in decode, but cannot stall: the CPU looks up the slots and loads the missing experts. */
function routeWithoutLookup(model: Model, layer: LayerIndex): Dispatch[] {
  const selectedExperts = traceOf(model.buffers, layer, model.config.expertsPerToken);
  return routeOneToken(model, layer, { mode: 'select', selectedExperts });
}

/**
 * Predicts which experts layer `l` will select, by running its router on the residual of an earlier layer. That differs
 * from the layer's own input by the contributions of the layers between them. Records nothing if there is no layer `l`.
 */
function predictExperts(model: Model, l: number): Dispatch[] {
  if (l >= model.config.layerCount) return [];
  const layer = layerIndex(l);
  const scratch: Model = { ...model, buffers: { ...model.buffers, ...model.buffers.predictionScratch } };
  const label = `L${layer}.prediction`;
  const selectedExperts = predictionOf(model.buffers, layer, model.config.expertsPerToken);
  return routeOneToken(scratch, layer, { mode: 'select', selectedExperts, label });
}
