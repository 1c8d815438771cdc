/** The dense weights on the GPU: everything but the experts. There is one buffer per record. */
import { MixtabError } from '../../../../src/contract/errors.ts';
import type { Bytes } from '../../../../src/contract/ids.ts';
import { EMBEDDING_KEY, isDenseLayerKey, isPartOf, OUTPUT_KEY, type RecordInfo } from '../../../format/manifest.ts';
import type { RecordParts } from '../../../format/record-parts.ts';
import type { TensorLayout } from '../../../format/weight-layout.ts';
import type { Slice } from '../dispatch.ts';
import type { Matrix, SplitMatrix } from '../ops/context.ts';
import { piecesOf, type Uploads } from '../uploads/upload-piece.ts';

export interface LayerWeights {
  /** f32[embeddingLength] */
  attnNorm: Slice;
  /** [headCount * headDim, embeddingLength] */
  attnQ: Matrix;
  /** [kvHeadCount * headDim, embeddingLength] */
  attnK: Matrix;
  /** [kvHeadCount * headDim, embeddingLength] */
  attnV: Matrix;
  /** [embeddingLength, headCount * headDim] */
  attnOutput: Matrix;
  /** f32[embeddingLength] */
  ffnNorm: Slice;
  /** [expertCount, embeddingLength] */
  router: Matrix;
}

export interface DenseWeights {
  /** [vocabularySize, embeddingLength] */
  embedding: SplitMatrix;
  layers: LayerWeights[];
  /** f32[embeddingLength] */
  outputNorm: Slice;
  /** [vocabularySize, embeddingLength] */
  output: SplitMatrix;
  /** One per record. */
  buffers: readonly GPUBuffer[];
  /** The bytes of all buffers. */
  bytes: Bytes;
  destroy(): void;
}

/** Reads a record's bytes from the store. */
export type ReadRecord = (record: RecordInfo) => Promise<RecordParts>;

export interface LoadDenseOptions {
  read: ReadRecord;
  /** Copies the records to the GPU; its owner destroys it. */
  uploads: Uploads;
  /** Called with the bytes uploaded so far. */
  onProgress: (bytesDone: Bytes) => void;
}

/**
 * Uploads the dense records to the GPU, one at a time. If that fails, nothing stays allocated.
 * @throws MixtabError `gpu-limit` if a matrix is larger than the adapter can bind, `record-damaged` if a tensor is
 *   missing
 */
export async function loadDenseWeights(
  device: GPUDevice,
  records: readonly RecordInfo[],
  { read, uploads, onProgress }: LoadDenseOptions,
): Promise<DenseWeights> {
  const buffers: GPUBuffer[] = [];
  const destroy = (): void => {
    for (const buffer of buffers) buffer.destroy();
  };
  try {
    const uploaded = new Map<string, Map<string, Matrix>>();
    let bytes = 0;
    for (const record of records) {
      checkLimits(device, record);
      const buffer = device.createBuffer({
        label: record.key,
        size: record.bytes,
        usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST,
      });
      buffers.push(buffer);
      uploads.upload(piecesOf(await read(record), 0, record.bytes, buffer, 0));
      uploaded.set(record.key, new Map(record.tensors.map((layout) => [layout.name, bind(buffer, layout)])));
      bytes += record.bytes;
      onProgress(bytes);
    }
    return { ...arrangeWeights(records, uploaded), buffers, bytes, destroy };
  } catch (error) {
    destroy();
    throw error;
  }
}

/**
 * Finds the matrices of the forward pass.
 * @param uploaded matrices by the key of their record and by their name
 * @throws MixtabError `record-damaged` if one is missing
 */
function arrangeWeights(
  records: readonly RecordInfo[],
  uploaded: ReadonlyMap<string, ReadonlyMap<string, Matrix>>,
): Omit<DenseWeights, 'buffers' | 'bytes' | 'destroy'> {
  const matrix = (key: string, name: string): Matrix => {
    const uploadedMatrix = uploaded.get(key)?.get(name);
    if (!uploadedMatrix)
      throw new MixtabError('record-damaged', `Record ${key} has no tensor ${name}.`, 'Import the model again.');
    return uploadedMatrix;
  };
  const parts = (first: string, name: string): SplitMatrix =>
    records.filter(({ key }) => isPartOf(key, first)).map(({ key }) => matrix(key, name));
  const layer = (key: string): LayerWeights => ({
    attnNorm: matrix(key, 'attn_norm').slice,
    attnQ: matrix(key, 'attn_q'),
    attnK: matrix(key, 'attn_k'),
    attnV: matrix(key, 'attn_v'),
    attnOutput: matrix(key, 'attn_output'),
    ffnNorm: matrix(key, 'ffn_norm').slice,
    router: matrix(key, 'ffn_gate_inp'),
  });
  return {
    embedding: parts(EMBEDDING_KEY, 'token_embd'),
    layers: records.filter(({ key }) => isDenseLayerKey(key)).map(({ key }) => layer(key)),
    outputNorm: matrix(OUTPUT_KEY, 'output_norm').slice,
    output: parts(OUTPUT_KEY, 'output'),
  };
}

function bind(buffer: GPUBuffer, layout: TensorLayout): Matrix {
  return { layout, slice: { buffer, offset: layout.offset, size: layout.bytes } };
}

function checkLimits(device: GPUDevice, record: RecordInfo): void {
  const { maxBufferSize, maxStorageBufferBindingSize } = device.limits;
  const largest = Math.max(...record.tensors.map((tensor) => tensor.bytes));
  if (record.bytes <= maxBufferSize && largest <= maxStorageBufferBindingSize) return;
  throw new MixtabError(
    'gpu-limit',
    `Record ${record.key} has ${record.bytes} bytes, its largest matrix ${largest}, but this adapter allows only ` +
      `${maxBufferSize} bytes per buffer and ${maxStorageBufferBindingSize} per binding.`,
    'Use a file with fewer bits per weight.',
  );
}
