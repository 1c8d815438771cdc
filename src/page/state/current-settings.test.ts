import { beforeEach, expect, it, vi } from 'vitest';
import type { LoadedModel } from '../../contract/engine-api.ts';
import type { ModelSummary } from '../../contract/import-api.ts';

vi.mock('./database.ts', () => import('./database-testing.ts'));
vi.stubGlobal('document', { documentElement: { style: {} } });

const { changeGeneration, currentGeneration, currentKind } = await import('./current-settings.ts');
const { loaded, models, requestedId } = await import('./models.ts');
const { DEFAULT_SETTINGS, settings } = await import('./settings.ts');

const summary = (id: string, hasChatTemplate: boolean): ModelSummary => ({ id, hasChatTemplate }) as ModelSummary;

beforeEach(() => {
  settings.value = DEFAULT_SETTINGS;
  models.value = [summary('chat', true), summary('base', false)];
  loaded.value = requestedId.value = undefined;
});

it('changes the settings of chats while a model that chats is loaded again', () => {
  loaded.value = { summary: models.value[0] } as LoadedModel;
  requestedId.value = 'chat';
  loaded.value = undefined;
  changeGeneration({ maxTokens: 60 });
  expect(settings.value.chatGeneration.maxTokens).toBe(60);
  expect(settings.value.textGeneration).toEqual(DEFAULT_SETTINGS.textGeneration);
  loaded.value = { summary: models.value[0] } as LoadedModel;
  expect(currentGeneration.value.maxTokens).toBe(60);
});

it('takes the model that is to be loaded, or was used last, for a new conversation', () => {
  expect(currentKind.value).toBe('text');
  settings.value = { ...DEFAULT_SETTINGS, lastModelId: 'chat' };
  expect(currentKind.value).toBe('chat');
  requestedId.value = 'base';
  expect(currentKind.value).toBe('text');
  settings.value = { ...DEFAULT_SETTINGS, chatFormats: { base: 'chatml' } };
  expect(currentKind.value).toBe('chat');
});

it('takes the loaded model rather than the one that is to be loaded', () => {
  requestedId.value = 'chat';
  loaded.value = { summary: models.value[1] } as LoadedModel;
  expect(currentKind.value).toBe('text');
});
