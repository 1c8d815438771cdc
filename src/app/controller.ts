/** What the page does: the only module that talks to the workers and changes the state. */
import { changeLast, entries, loadConversation, plainText, saveConversation } from '../chat/conversation.ts';
import type { ChatMessage, GenerateEvent, GenerateRequest, ModelSource, ModelSummary } from '../contract/engine-api.ts';
import { errorToData } from '../contract/errors.ts';
import { proxy } from '../contract/rpc.ts';
import { createEngineClient, createImportClient } from '../engine-client.ts';
import { changeSettings, loadOptionsOf, loadSettings, samplingOf, settings } from '../settings/settings.ts';
import {
  adapter, canSend, generating, gpuProblem, isChat, loaded, loading, models, prefill, problem, runningImport,
} from './state.ts';

const importer = createImportClient().api;
const engine = createEngineClient().api;

const BUILTIN: ModelSource = { kind: 'builtin', url: new URL('models/builtin.gguf', document.baseURI).href };

/** First open: the built-in model is imported and loaded by itself. Later: the model used last. */
export async function start(): Promise<void> {
  try {
    await Promise.all([loadSettings(), loadConversation(), refreshModels(), probe()]);
  } catch (error) {
    report(error);
    return;
  }
  const complete = models.value.filter(({ state }) => state === 'complete');
  const last = complete.find(({ id }) => id === settings.value.lastModelId) ?? complete[0];
  if (last) await loadModel(last);
  else if (!gpuProblem.value) await importModel(BUILTIN, 'the built-in model');
}

async function probe(): Promise<void> {
  try {
    adapter.value = await engine.probe();
  } catch (error) {
    gpuProblem.value = errorToData(error);
  }
}

async function refreshModels(): Promise<void> {
  models.value = await importer.list();
}

/** Imports a model and loads it. */
export async function importModel(source: ModelSource, name: string): Promise<void> {
  if (runningImport.value) return;
  problem.value = undefined;
  runningImport.value = { name, progress: undefined, startedAt: performance.now() };
  try {
    const summary = await importer.import(
      source,
      proxy((progress) => {
        if (runningImport.value) runningImport.value = { ...runningImport.value, progress };
      }),
    );
    runningImport.value = undefined;
    await refreshModels();
    await loadModel(summary);
  } catch (error) {
    report(error);
  } finally {
    runningImport.value = undefined;
  }
}

export const importBuiltin = (): Promise<void> => importModel(BUILTIN, 'the built-in model');

export function cancelImport(): void {
  void importer.cancel();
}

export async function removeModel(model: ModelSummary): Promise<void> {
  try {
    if (loaded.value?.summary.id === model.id) {
      await stopAndWait();
      await engine.unload();
      loaded.value = undefined;
    }
    await importer.remove(model.id);
    await refreshModels();
  } catch (error) {
    report(error);
  }
}

/** Puts a stored model on the GPU; the one before leaves it. */
export async function loadModel(model: ModelSummary): Promise<void> {
  if (loading.value || gpuProblem.value) return;
  await stopAndWait();
  problem.value = undefined;
  loaded.value = undefined;
  loading.value = { name: model.name, progress: undefined };
  try {
    loaded.value = await engine.load(
      { modelId: model.id, ...loadOptionsOf(settings.value) },
      proxy((progress) => {
        if (loading.value) loading.value = { ...loading.value, progress };
      }),
    );
    changeSettings({ lastModelId: model.id });
  } catch (error) {
    report(error);
  } finally {
    loading.value = undefined;
  }
}

/** Loads the current model again, after its settings changed or the device was lost. */
export async function reloadModel(): Promise<void> {
  const id = loaded.value?.summary.id ?? settings.value.lastModelId;
  const model = models.value.find((candidate) => candidate.id === id);
  if (model) await loadModel(model);
}

/** Adds the user's words and lets the model answer, or continue the text. */
export async function send(text: string): Promise<void> {
  if (!canSend.value) return;
  if (text !== '') entries.value = [...entries.value, { by: 'user', text }];
  await answer();
}

/** Replaces the whole text of a plain-text model by an edited one. */
export function editPlainText(text: string): void {
  entries.value = text === '' ? [] : [{ by: 'user', text }];
  void saveConversation();
}

export async function newConversation(): Promise<void> {
  await stopAndWait();
  entries.value = [];
  problem.value = undefined;
  await saveConversation();
}

export function stop(): void {
  void engine.stop();
}

export function dismissProblem(): void {
  problem.value = undefined;
}

/** Settles when no generation runs. */
let running: Promise<void> = Promise.resolve();

async function stopAndWait(): Promise<void> {
  if (generating.value) stop();
  await running;
}

function answer(): Promise<void> {
  running = generateAnswer();
  return running;
}

async function generateAnswer(): Promise<void> {
  const request: GenerateRequest = {
    input: isChat.value ? { kind: 'chat', messages: messages() } : { kind: 'text', text: plainText() },
    maxTokens: settings.value.maxTokens,
    sampling: samplingOf(settings.value),
  };
  problem.value = undefined;
  generating.value = true;
  entries.value = [...entries.value, { by: 'model', text: '' }];
  const onEvent = (event: GenerateEvent): void => {
    if (event.type === 'prefill') {
      prefill.value = { done: event.tokensDone, total: event.tokensTotal };
      return;
    }
    prefill.value = undefined;
    changeLast((entry) => ({ ...entry, text: entry.text + event.token.text }));
  };
  try {
    const result = await engine.generate(request, proxy(onEvent));
    changeLast((entry) => ({
      ...entry,
      text: result.text, // the same, unless an event is still on its way
      stats: {
        tokens: result.tokens.length,
        tokensPerSecond: result.timings.decodeTokensPerSecond,
        hitRate: result.cache.hitRate,
        finishReason: result.finishReason,
      },
    }));
  } catch (error) {
    report(error);
  } finally {
    // Nothing came: no empty answer is left standing.
    if (entries.value.at(-1)?.text === '') entries.value = entries.value.slice(0, -1);
    generating.value = false;
    prefill.value = undefined;
    await saveConversation();
  }
}

function messages(): ChatMessage[] {
  return entries.value.map(({ by, text }) => ({ role: by === 'user' ? 'user' : 'assistant', content: text }));
}

export function report(error: unknown): void {
  const data = errorToData(error);
  if (data.code === 'aborted') return;
  if (data.code === 'webgpu-device-lost') loaded.value = undefined;
  problem.value = data;
}
