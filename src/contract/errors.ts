/**
 * Every failure a user can meet has a code. Callers switch on `code`; people read `message`, which
 * names the cause, and `remedy`, which says what to do about it.
 */
export type ErrorCode =
  // WebGPU
  | 'webgpu-unsupported' // the browser has no navigator.gpu
  | 'webgpu-insecure-context' // navigator.gpu is hidden because the page is not https or localhost
  | 'webgpu-no-adapter' // navigator.gpu is there, but no adapter is given (blocked, no driver)
  | 'webgpu-device-lost'
  | 'gpu-out-of-memory'
  | 'gpu-budget-too-small'
  | 'gpu-limit' // a tensor is larger than what the adapter can bind
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
  | 'source-gated' // wants a licence to be accepted and a token
  | 'source-unreachable' // network error or HTTP status
  | 'source-no-ranges' // the server answers a range request with the whole file
  | 'source-changed' // size or validator changed in mid-import
  // storage
  | 'storage-full'
  | 'storage-unavailable' // private window, blocked cookies
  | 'record-damaged' // hash does not match
  | 'record-missing'
  | 'model-not-found'
  // use
  | 'context-overflow'
  | 'bad-request'
  | 'busy'
  | 'no-model-loaded'
  | 'chat-template'
  | 'aborted'
  | 'internal';

/** An error that keeps its code across the worker boundary (see rpc.ts). */
export class MixtabError extends Error {
  override readonly name = 'MixtabError';

  /**
   * @param code what callers switch on
   * @param message one sentence that names the cause (the file, the tensor, the number)
   * @param remedy one sentence that says what the user can do; empty where nothing can be done
   */
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly remedy = '',
  ) {
    super(message);
  }
}

/** The error as a structured clone can carry it. */
export interface ErrorData {
  code: ErrorCode;
  message: string;
  remedy: string;
}

/** Turns anything thrown into plain data; inverse of {@link errorFromData}. */
export function errorToData(error: unknown): ErrorData {
  if (error instanceof MixtabError) return { code: error.code, message: error.message, remedy: error.remedy };
  if (error instanceof DOMException && error.name === 'AbortError') {
    return { code: 'aborted', message: 'Stopped.', remedy: '' };
  }
  return { code: 'internal', message: error instanceof Error ? error.message : String(error), remedy: '' };
}

/** Inverse of {@link errorToData}. */
export function errorFromData(data: ErrorData): MixtabError {
  return new MixtabError(data.code, data.message, data.remedy);
}
