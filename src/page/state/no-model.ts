/**
 * What the page offers while no model is loaded: there is always a button that is a way on. Derived from other signals;
 * `shell/ProblemNotices.tsx` shows it.
 */
import { computed } from '@preact/signals';
import { losesModel } from '../../contract/errors.ts';
import type { ModelSummary } from '../../contract/import-api.ts';
import { computeKind } from './compute.ts';
import { runningImport, unfinished } from './imports.ts';
import { heldBack } from './load-mark.ts';
import { measuring } from './measurement.ts';
import {
  computeProblems,
  lastLoaded,
  loaded,
  loading,
  models,
  modelsAreRead,
  pendingLoads,
  probed,
  requestedId,
} from './models.ts';
import { problem } from './notices.ts';
import { type Remedy, remediesFor } from './remedies.ts';
import { settings } from './settings.ts';

/** Stored models that can be loaded. */
const complete = computed(() => models.value.filter(({ state }) => state === 'complete'));

/**
 * The stored model to load if none is: the one that was requested last, or else used last, or else any. undefined: there
 * is none, so the built-in one has to be imported.
 */
export const modelToLoad = computed<ModelSummary | undefined>(() => {
  const byId = (id: string | undefined): ModelSummary | undefined => complete.value.find((model) => model.id === id);
  return byId(requestedId.value) ?? byId(settings.value.lastModelId) ?? complete.value[0];
});

/** Whether the model that was to be loaded last is still there, perhaps as an import that has not ended. */
const canReload = computed(() => {
  const id = loaded.value?.summary.id ?? requestedId.value ?? settings.value.lastModelId;
  if (id === undefined || problem.value?.code === 'model-not-found') return false;
  return (
    complete.value.some((model) => model.id === id) ||
    unfinished.value.some((model) => model.id === id && model.usable) ||
    runningImport.value?.progress?.usableId === id
  );
});

/** The buttons of the error that is shown. */
export const problemRemedies = computed<Remedy[]>(() => {
  const error = problem.value;
  if (!error) return [];
  const remedies = remediesFor(error.code, {
    settings: settings.value,
    lastLoaded: lastLoaded.value,
    modelId: requestedId.value,
    probed: probed.value,
    ...(heldBack.value && { heldBack: { kind: computeKind.value, megabytes: heldBack.value.megabytes } }),
    nothingLoaded: loaded.value === undefined,
    modelLost: losesModel(error) && loaded.value === undefined,
  });
  return remedies.filter(({ reloadsPage }) => reloadsPage || canReload.value);
});

/**
 * The label of the button that loads a model; undefined if it is not shown: a model is loaded, or will be without the
 * user, or another notice has such a button.
 */
export const loadOffer = computed<string | undefined>(() => {
  if (loaded.value || loading.value || pendingLoads.value > 0 || measuring.value) return undefined;
  if (computeProblems.value.length > 0 || problemRemedies.value.length > 0) return undefined;
  // Only one import runs at a time, and it loads its model at its end.
  if (runningImport.value && !modelToLoad.value) return undefined;
  if (!modelsAreRead.value) return 'Try again';
  return `Load ${modelToLoad.value?.name ?? 'the built-in model'}`;
});
