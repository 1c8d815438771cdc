/**
 * Every failure that a user can encounter has a code. Callers switch on `code`. People read `message`, which names the
 * cause, and `remedy`, which says what to do about it.
 */
export type ErrorCode =
  // WebGPU
  | 'webgpu-unsupported' // the browser has no navigator.gpu
  | 'webgpu-insecure-context' // navigator.gpu is hidden because the page is not https or localhost
  | 'webgpu-no-adapter' // navigator.gpu exists but offers no adapter (blocked, no driver)
  | 'webgpu-device-lost'
  | 'gpu-out-of-memory'
  | 'gpu-budget-too-small'
  | 'gpu-wrong-values' // the self-test of its kernels failed
  | 'gpu-limit' // a tensor exceeds the adapter's limits
  // the CPU
  | 'wasm-unsupported' // no WebAssembly SIMD, or a policy blocks WebAssembly
  | 'ram-budget-too-small'
  | 'out-of-memory' // a WebAssembly memory cannot grow
  | 'worker-failed' // the engine's worker or a compute worker died
  | 'worker-unavailable' // a worker's script did not load, or a worker without a model died
  // model files
  | 'gguf-not-gguf'
  | 'gguf-truncated'
  | 'gguf-damaged'
  | 'gguf-unsupported-architecture'
  | 'gguf-unsupported-type'
  | 'gguf-unsupported-feature'
  | 'gguf-missing-tensor'
  | 'gguf-missing-part' // of a split file
  | 'gguf-mixed-parts' // parts of different models
  // sources
  | 'source-gated' // requires an accepted licence and an access token
  | 'source-unreachable' // network error or HTTP status
  | 'source-no-ranges' // the server answers a range request with the whole file
  | 'source-changed' // the size or ETag changed during the import
  // storage
  | 'storage-full'
  | 'insecure-context' // the page was loaded over plain http: no locks, no hashes
  | 'storage-unavailable' // private window, blocked cookies
  | 'record-damaged' // the hash does not match
  | 'record-missing'
  | 'record-unreadable' // the browser cannot read a stored record now; the record itself may be intact
  | 'memory-full' // no main memory to read or build a record
  | 'model-not-found'
  // use
  | 'context-overflow'
  | 'bad-request'
  | 'busy'
  | 'not-allowed' // an embedding page may not do this without the user's click
  | 'no-model-loaded'
  | 'loaded-elsewhere' // another tab has a model in memory, and this one is large
  | 'load-interrupted' // the page ended while this model was loaded or answered first
  | 'chat-template'
  | 'not-finite' // the model computed NaN or infinity
  | 'aborted'
  | 'internal';

/** After one of these errors the engine has no model any more. Loading it again is the way to continue. */
const MODEL_LOST: readonly ErrorCode[] = [
  'webgpu-device-lost',
  'gpu-out-of-memory',
  'out-of-memory',
  'worker-failed',
  'no-model-loaded',
];

/** Whether the loaded model is gone after this error: as the engine says, or by its code if the engine says nothing. */
export const losesModel = ({ code, modelLost }: ErrorData): boolean => modelLost ?? MODEL_LOST.includes(code);

/** An error that keeps its code across the worker boundary (see rpc.ts). */
export class MixtabError extends Error {
  override readonly name = 'MixtabError';
  /** Whether the engine has no model after this error. The engine sets it on the errors of its calls. */
  modelLost?: boolean;

  /**
   * @param code for callers to switch on
   * @param message one sentence that names the cause (the file, the tensor, the number)
   * @param remedy one sentence that says what the user can do; empty if nothing can be done
   */
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly remedy = '',
  ) {
    super(message);
  }
}

/**
 * Text from a file, cut for an error message or a list. Hostile files contain names of megabytes.
 * @param length characters to keep
 */
export const excerpt = (text: string, length = 100): string =>
  text.length > length ? `${text.slice(0, length).toWellFormed()}…` : text;

/** Longest message of an error that is not ours, in UTF-16 code units. It may quote what it failed on. */
const MAX_FOREIGN_MESSAGE = 200;

/** An error as plain data, which survives a structured clone. */
export interface ErrorData {
  code: ErrorCode;
  message: string;
  remedy: string;
  /** See {@link MixtabError.modelLost}. */
  modelLost?: boolean;
}

/** Converts anything thrown to plain data; {@link errorFromData} converts it back. */
export function errorToData(error: unknown): ErrorData {
  if (error instanceof MixtabError) {
    const { code, message, remedy, modelLost } = error;
    return { code, message, remedy, ...(modelLost !== undefined && { modelLost }) };
  }
  if (error instanceof DOMException && error.name === 'AbortError') return errorToData(aborted());
  const message = error instanceof Error ? error.message : String(error);
  return { code: 'internal', message: excerpt(message, MAX_FOREIGN_MESSAGE), remedy: '' };
}

/** Restores an error from the plain data that {@link errorToData} made. */
export function errorFromData(data: ErrorData): MixtabError {
  const error = new MixtabError(data.code, data.message, data.remedy);
  if (data.modelLost !== undefined) error.modelLost = data.modelLost;
  return error;
}

/** The error of work that was cancelled. It is not a failure: callers end quietly. */
export const aborted = (message = 'Stopped.'): MixtabError => new MixtabError('aborted', message);

/**
 * The error to throw once `signal` is aborted: its reason if that is a MixtabError (for example a lost device),
 * otherwise {@link aborted}.
 */
export const abortError = ({ reason }: AbortSignal): MixtabError =>
  reason instanceof MixtabError ? reason : aborted();

/** @throws MixtabError the {@link abortError} of a signal that is aborted */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortError(signal);
}
