/**
 * Compares the kernels that a model uses with float64: a driver or a browser may compile a shader into wrong code without
 * any error, and a model would then write fluent nonsense (docs/engine.md).
 */
import { type Bytes, layerIndex } from '../../../../src/contract/ids.ts';
import type { ModelConfig } from '../../../../src/contract/import-api.ts';
import type { TensorLayout, WeightTypeName } from '../../../format/weight-layout.ts';
import type { Slice } from '../dispatch.ts';
import { isOutOfMemory, withAllocations } from '../errors.ts';
import { withFirefoxPoll } from '../firefox-poll.ts';
import { freeDestroyed } from '../free-destroyed.ts';
import type { Model } from '../model/model.ts';
import type { ExpertBank, OpContext } from '../ops/context.ts';
import { encodePaced, type PacedContext } from '../pacing.ts';
import { type Check, CheckBuffers, type WrongKernel } from './check.ts';
import { type DenseUse, denseChecks, embedChecks, expertChecks, MAX_MATRIX_BYTES } from './matrix-checks.ts';
import { attentionChecks, combineChecks, promptChecks, routerChecks, samplerChecks } from './other-checks.ts';

/** What a model needs of the kernels. */
export interface SelfTestSubject {
  ctx: OpContext;
  config: ModelConfig;
  /** One matrix of each weight type. */
  dense: readonly DenseUse[];
  router: TensorLayout;
  /** The embedding, or its first part. */
  embedding: TensorLayout;
  /** One bank of each combination of weight types. The first slots are overwritten. */
  banks: readonly ExpertBank[];
}

/** What a model needs of the kernels, whose experts are not loaded yet. */
export function subjectOf({ ctx, config, weights, banks }: Model): SelfTestSubject {
  const dense = new Map<WeightTypeName, DenseUse>();
  const add = (layout: TensorLayout, accumulate: boolean, oneToken: boolean): void => {
    const { type, bytes } = layout;
    const known = dense.get(type);
    if (!known || known.layout.bytes > bytes) dense.set(type, { layout, accumulate, oneToken });
  };
  for (const { attnQ, attnK, attnV, attnOutput } of weights.layers) {
    for (const { layout } of [attnQ, attnK, attnV]) add(layout, false, false);
    add(attnOutput.layout, true, false);
  }
  const layerTypes = new Set(dense.keys());
  for (const { layout } of weights.output) if (!layerTypes.has(layout.type)) add(layout, false, true);
  const kinds = new Map<string, ExpertBank>();
  for (const bank of weights.layers.flatMap((_, l) => banks(layerIndex(l)))) {
    const kind = [bank.gate, bank.up, bank.downLayout].map(({ type }) => type).join();
    if (!kinds.has(kind)) kinds.set(kind, bank);
  }
  return {
    ctx,
    config,
    dense: [...dense.values()],
    router: weights.layers[0].router.layout,
    embedding: weights.embedding[0].layout,
    banks: [...kinds.values()],
  };
}

/** Creates some checks, which run together. */
export type CreateChecks = (buffers: CheckBuffers) => Check[];

/** All checks. Banks may share their memory, so those of each bank run by themselves. */
export function checkGroups(subject: SelfTestSubject): CreateChecks[] {
  const groups = operationGroups(subject);
  return [(buffers) => groups.flatMap((createChecks) => createChecks(buffers)), ...bankGroups(subject)];
}

/** The same checks in little memory, of some MB: the operations one after the other, of matrices a few rows. */
export function smallCheckGroups(subject: SelfTestSubject): CreateChecks[] {
  return [...operationGroups(subject, 0), ...bankGroups(subject)];
}

/** @param mostMatrixBytes larger matrices are checked with fewer rows */
function operationGroups(
  { ctx, config, dense, router, embedding }: SelfTestSubject,
  mostMatrixBytes: Bytes = MAX_MATRIX_BYTES,
): CreateChecks[] {
  return [
    ...[...dense, { layout: router, accumulate: false, oneToken: false }].map(
      (use): CreateChecks =>
        (buffers) =>
          denseChecks(ctx, buffers, use, mostMatrixBytes),
    ),
    (buffers) => embedChecks(ctx, buffers, embedding, mostMatrixBytes),
    (buffers) => attentionChecks(ctx, buffers, config),
    (buffers) => routerChecks(ctx, buffers, config, router),
    (buffers) => combineChecks(ctx, buffers, config),
    (buffers) => promptChecks(ctx, buffers, config),
    (buffers) => samplerChecks(ctx, buffers, config.vocabularySize),
  ];
}

const bankGroups = ({ ctx, config, banks }: SelfTestSubject): CreateChecks[] =>
  banks.map(
    (bank): CreateChecks =>
      (buffers) =>
        expertChecks(ctx, buffers, bank, config.expertsPerToken),
  );

/**
 * Compares the kernels of a model with float64. Must run before its experts are loaded. If there is too little memory
 * for all checks together, they run one after the other, with smaller matrices.
 * @returns the first one that is wrong; undefined if all are right
 * @throws MixtabError `gpu-out-of-memory` if there is not even memory for that
 * @throws Error if a kernel does not compile, or the device is lost
 */
export async function findWrongKernel(model: Model): Promise<WrongKernel | undefined> {
  const { ctx } = model;
  const subject = subjectOf(model);
  try {
    return await findWrongInGroups(ctx, checkGroups(subject));
  } catch (error) {
    if (!isOutOfMemory(error)) throw error;
    await freeDestroyed(ctx.pipelines.device);
    return findWrongInGroups(ctx, smallCheckGroups(subject));
  }
}

async function findWrongInGroups(ctx: OpContext, groups: readonly CreateChecks[]): Promise<WrongKernel | undefined> {
  for (const createChecks of groups) {
    const wrong = await findWrong(ctx, createChecks);
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

/**
 * Runs checks together: in one submission, unless the GPU is slow.
 * @returns the first one whose result is wrong
 * @throws MixtabError `gpu-out-of-memory`
 */
export async function findWrong(
  ctx: Pick<OpContext, 'pipelines' | 'pacing'>,
  createChecks: CreateChecks,
): Promise<WrongKernel | undefined> {
  const { pipelines } = ctx;
  const { device } = pipelines;
  const buffers = new CheckBuffers(device);
  try {
    const checks = await withAllocations(
      device,
      async () => createChecks(buffers),
      () => {},
    );
    await pipelines.compile(() => {
      for (const { record } of checks) record();
    });
    const results = await runChecks(ctx, checks);
    return checks.find(({ isRight }, index) => !isRight(results[index]));
  } finally {
    buffers.destroy();
  }
}

/** @returns the outputs of each check */
async function runChecks(ctx: PacedContext, checks: readonly Check[]): Promise<ArrayBuffer[][]> {
  const { device } = ctx.pipelines;
  const slices = checks.flatMap(({ outputs }) => outputs);
  const size = slices.reduce((sum, slice) => sum + slice.size, 0);
  const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
  const staging = await withAllocations(
    device,
    async () => device.createBuffer({ label: 'self-test', size, usage }),
    (buffer) => buffer.destroy(),
  );
  try {
    const encoder = encodePaced(
      ctx,
      checks.flatMap(({ record }) => record()),
      'self-test',
    );
    let at = 0;
    const offsets = new Map<Slice, number>();
    for (const slice of slices) {
      encoder.copyBufferToBuffer(slice.buffer, slice.offset, staging, at, slice.size);
      offsets.set(slice, at);
      at += slice.size;
    }
    device.queue.submit([encoder.finish()]);
    await withFirefoxPoll(device.queue, staging.mapAsync(GPUMapMode.READ));
    const bytes = staging.getMappedRange().slice(0);
    return checks.map(({ outputs }) =>
      outputs.map((slice) => bytes.slice(offsets.get(slice)!, offsets.get(slice)! + slice.size)),
    );
  } finally {
    staging.destroy();
  }
}
