/** The access token for Hugging Face: in this tab's memory, on the device only where the user says so, in no file and no error. */
import { signal } from '@preact/signals';
import { del, get, set } from 'idb-keyval';
import { type AccessToken, HUGGING_FACE } from '../../contract/access-token.ts';
import type { ModelSource } from '../../contract/import-api.ts';

const KEY = 'hugging-face-token';

export const token = signal('');
export const remembered = signal(false);
/** A source has asked for a token: the field is shown. */
export const tokenWanted = signal(false);

export async function loadToken(): Promise<void> {
  const stored = await get<unknown>(KEY).catch(() => undefined);
  if (typeof stored !== 'string' || stored === '') return;
  token.value = stored;
  remembered.value = true;
}

export function changeToken(text: string, remember: boolean): void {
  token.value = text.trim();
  remembered.value = remember;
  void (remember && token.value !== '' ? set(KEY, token.value) : del(KEY)).catch(() => {
    remembered.value = false;
  });
}

/** undefined where none was entered. */
export const accessToken = (): AccessToken | undefined =>
  token.value === '' ? undefined : { origin: HUGGING_FACE, token: token.value };

/** An address as a source; only one on Hugging Face takes the token along. */
export function urlSource(url: string): ModelSource & { kind: 'url' } {
  const access = accessToken();
  return { kind: 'url', url, ...(access && new URL(url).origin === access.origin && { access }) };
}
