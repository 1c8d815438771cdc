/**
 * Computes the paper's figures: perplexity by context length, and the routing of several texts. Part of the experts
 * view's code, which is loaded when the view is first opened.
 */
import { throwIfAborted } from '../../contract/errors.ts';
import { proxy } from '../../contract/rpc.ts';
import { loaded } from '../state/models.ts';
import { announcement } from '../state/notices.ts';
import { type CurvePoint, comparison, curve, type NamedText, type ReadText } from '../state/paper.ts';
import { services } from './services.ts';
import { scoreWindow } from './text-routing.ts';
import { engine } from './workers.ts';

/** Scores a text once per context length, shortest first, and shows each point as soon as it is known. */
export function measureCurve({ name, text }: NamedText, lengths: number[], textTokens: number): Promise<void> {
  return services.experiments.run('context', async (onProgress, signal) => {
    const { id: modelId, name: model } = loaded.value!.summary;
    let points: CurvePoint[] = [];
    curve.value = { model, modelId, text: name, lengths, points };
    for (const [index, context] of lengths.entries()) {
      throwIfAborted(signal);
      const { tokens, nll, nllError, perplexity, blocks } = await engine.score(
        { input: { kind: 'text', text }, context },
        proxy((done) => onProgress(index * textTokens + done, lengths.length * textTokens)),
      );
      const point = { context, tokens, nll, perplexity, blocks, ...(nllError !== undefined && { nllError }) };
      points = [...points, point];
      curve.value = { model, modelId, text: name, lengths, points };
    }
    announcement.value = `Perplexity at ${lengths.length} context lengths is shown.`;
  });
}

/** Has the model read several texts, and sets `comparison` when it has read them all. */
export function readTexts(texts: readonly NamedText[], totalTokens: number): Promise<void> {
  return services.experiments.run('texts', async (onProgress, signal) => {
    const { id: modelId, name: model, config } = loaded.value!.summary;
    const read: ReadText[] = [];
    let tokensBefore = 0;
    for (const { name, text } of texts) {
      throwIfAborted(signal);
      const { trace, tokens, perplexity, routing } = await engine.score(
        { input: { kind: 'text', text }, context: scoreWindow(), trace: true },
        proxy((done) => onProgress(tokensBefore + done, totalTokens)),
      );
      tokensBefore += tokens;
      read.push({ name, tokens, perplexity, routing, trace: trace! });
    }
    comparison.value = { model, modelId, config, texts: read };
    announcement.value = `The routing of ${texts.length} texts is shown.`;
  });
}
