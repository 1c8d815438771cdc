/** What the page offers to do about an error of the model, besides its text. Pure. */
import type { ComputeKind, LoadedModel, ProbeReport } from '../../contract/engine-api.ts';
import type { ErrorCode } from '../../contract/errors.ts';
import { MODEL_BUDGET, type Settings } from './settings.ts';

/** A button that loads the model again, or the page. */
export interface Remedy {
  label: string;
  /** Settings that are changed before the model is loaded. */
  changes: Partial<Settings>;
  /** It loads the page again. */
  reloadsPage?: true;
}

/** What {@link remediesFor} depends on. */
export interface RemedyContext {
  settings: Settings;
  /** The model that was loaded last, even if the error ended it. */
  lastLoaded: LoadedModel | undefined;
  /** Id of the model that would be loaded again. Its memory is unknown if it is not the one that was loaded last. */
  modelId: string | undefined;
  probed: ProbeReport | undefined;
  /** Whether no model is loaded. */
  nothingLoaded?: boolean;
  /** Whether that is because of the error. Then there is always a way to load it again. */
  modelLost?: boolean;
  /** What will compute, and the megabytes that the model had when it ended the page, if they are known. */
  heldBack?: { kind: ComputeKind; megabytes?: number | undefined };
}

/** What remains of a budget that turned out to be too large. */
const SMALLER_SHARE = 0.75;

const RELOAD: Remedy = { label: 'Reload model', changes: {} };
const RELOAD_PAGE: Remedy = { label: 'Reload the page', changes: {}, reloadsPage: true };

const orReload = (remedies: Remedy[]): Remedy[] => (remedies.length > 0 ? remedies : [RELOAD]);

/** @returns what can be done about the error with one click, best first */
export function remediesFor(code: ErrorCode, context: RemedyContext): Remedy[] {
  const remedies = specificRemedies(code, context);
  if (!context.modelLost) return remedies;
  // What is missing may be there at the next attempt.
  return code === 'webgpu-no-adapter' || code === 'worker-unavailable' ? [...remedies, RELOAD] : orReload(remedies);
}

/**
 * Where a page that was loaded over http may be found over https. Another port has another server, so it is not known.
 * @returns undefined if it is not known
 */
export const secureAddress = ({ protocol, port, href }: Pick<Location, 'protocol' | 'port' | 'href'>) =>
  protocol === 'http:' && port === '' ? href.replace('http:', 'https:') : undefined;

function specificRemedies(code: ErrorCode, context: RemedyContext): Remedy[] {
  switch (code) {
    case 'webgpu-device-lost':
      return [RELOAD, ...withLessMemory('gpu', context)];
    case 'load-interrupted':
      return [RELOAD, ...withLessMemory(context.heldBack?.kind ?? 'gpu', context, context.heldBack?.megabytes)];
    case 'loaded-elsewhere':
      return [{ label: 'Load it here too', changes: {} }];
    case 'worker-failed':
      return [RELOAD, ...withLessMemory('cpu', context)];
    case 'gpu-out-of-memory':
      return orReload(withLessMemory('gpu', context));
    case 'out-of-memory':
      return orReload(withLessMemory('cpu', context));
    case 'gpu-budget-too-small':
      return withAutomaticMemory('gpu', context);
    case 'ram-budget-too-small':
      return withAutomaticMemory('cpu', context);
    case 'worker-unavailable':
      return [RELOAD_PAGE];
    case 'storage-unavailable':
      return context.nothingLoaded && !context.modelLost ? [RELOAD_PAGE] : [];
    case 'webgpu-unsupported':
    case 'webgpu-insecure-context':
    case 'webgpu-no-adapter':
    case 'wasm-unsupported':
      return withWhatWorks(context);
    default:
      return [];
  }
}

/**
 * Three quarters of the budget, or of the memory that the model had if the budget is automatic.
 * @param megabytes that the model had, if that is known from before
 */
function withLessMemory(
  kind: ComputeKind,
  { settings, lastLoaded, modelId }: RemedyContext,
  megabytesBefore?: number,
): Remedy[] {
  const isSame = lastLoaded?.summary.id === modelId && lastLoaded?.compute.kind === kind;
  const had = isSame && lastLoaded ? lastLoaded.memory[kind === 'gpu' ? 'gpuBytes' : 'ramBytes'] : 0;
  const before = settings[MODEL_BUDGET[kind]] ?? megabytesBefore ?? had / 1e6;
  const megabytes = Math.floor(SMALLER_SHARE * before);
  if (megabytes < 1) return [];
  return [{ label: `Reload with ${megabytes} MB`, changes: { [MODEL_BUDGET[kind]]: megabytes } }];
}

function withAutomaticMemory(kind: ComputeKind, { settings }: RemedyContext): Remedy[] {
  const key = MODEL_BUDGET[kind];
  return settings[key] === undefined ? [] : [{ label: 'Use automatic memory', changes: { [key]: undefined } }];
}

/** If the user insisted on one of the two and it cannot compute here, offers the other. */
function withWhatWorks({ settings, probed }: RemedyContext): Remedy[] {
  const works = probed?.automatic?.kind;
  if (!works || settings.compute === 'auto' || works === settings.compute) return [];
  return [{ label: `Use the ${works.toUpperCase()}`, changes: { compute: 'auto' } }];
}
