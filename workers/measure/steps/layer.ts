/** Everything of a token, and of a prompt, that is no matrix product: attention, norms, router, sampler. */
import type { Dispatch } from '../../compute/gpu/dispatch.ts';
import type { Buffers } from '../buffers.ts';
import { type Measurement, variantField } from '../measurement.ts';
import { attentionCall, CHAT_SAMPLING, layerCalls, type Operation, sampleCall } from '../operations.ts';

/** The rest of a token: attention at several positions, each kernel of it at one, and everything with a fixed size. */
export async function measureTokenOperations(measurement: Measurement): Promise<void> {
  const { shapes } = measurement;
  for (const position of shapes.positions) {
    const batch = { tokens: 1, position: position - 1 };
    await timeOperation(measurement, `attention at ${position}`, batch, (buffers) =>
      attentionCall(buffers, shapes, batch),
    );
  }
  const batch = { tokens: 1, position: 500 };
  const names = ['rms norm', 'rope and store', 'router', 'combine'];
  for (const name of [...names, 'norm, router matrix and router', 'combine and next norm']) {
    await timeOperation(measurement, name, batch, (buffers) => layerCalls(buffers, shapes, batch)[name]);
  }
  for (const [name, options] of Object.entries({ greedy: { temperature: 0 }, 'default chat': CHAT_SAMPLING })) {
    await timeOperation(measurement, `sampler, ${name}`, { tokens: 1, position: 0 }, (buffers) =>
      sampleCall(buffers, shapes, options),
    );
  }
}

/** Attention of batches of a prompt. */
export async function measurePromptAttention(measurement: Measurement): Promise<void> {
  const { shapes } = measurement;
  for (const [tokens, position] of shapes.promptAttention) {
    await timeOperation(measurement, `attention of ${tokens} tokens at ${position}`, { tokens, position }, (buffers) =>
      attentionCall(buffers, shapes, { tokens, position }),
    );
  }
}

async function timeOperation(
  measurement: Measurement,
  name: string,
  { tokens, position }: { tokens: number; position: number },
  build: (buffers: Buffers) => Operation,
): Promise<void> {
  if (measurement.isOver) return;
  await measurement.withBuffers(async (buffers) => {
    const operation = build(buffers);
    const state = buffers.state({ tokenCount: tokens, position });
    for (const { variant, dispatches } of measurement.variantsOf(state, operation)) {
      if (measurement.isOver) return;
      const add = async (what: string, of: readonly Dispatch[]): Promise<void> =>
        measurement.add({
          name: what,
          ...variantField(variant),
          value: (await measurement.time([of])) * 1000,
          unit: 'us',
        });
      await add(name, dispatches);
      if (tokens === 1) await eachKernel(name, dispatches, add);
    }
  });
}

/** Each kernel of an operation that has several. */
async function eachKernel(
  name: string,
  dispatches: readonly Dispatch[],
  add: (what: string, of: readonly Dispatch[]) => Promise<void>,
): Promise<void> {
  const labels = [...new Set(dispatches.map(({ label }) => label))];
  if (labels.length === 1) return;
  for (const label of labels) {
    const kernel = label.replace(/ ?measure$/, '');
    await add(
      `${name}: ${kernel}`,
      dispatches.filter((dispatch) => dispatch.label === label),
    );
  }
}
