/**
 * The access token for Hugging Face. It is kept in this tab's memory, and on the device only if the user asks for that.
 * It is never part of a model, a manifest, a file or an error.
 */
import { signal } from '@preact/signals';
import { del, get, set } from 'idb-keyval';
import { type AccessToken, HUGGING_FACE } from '../../contract/access-token.ts';
import type { ModelSource } from '../../contract/import-api.ts';

const KEY = 'hugging-face-token';

/** Empty: none was entered. */
export const token = signal('');
/** The token is stored on the device. */
export const remembered = signal(false);
/** A source requires a token, so its field is shown. */
export const tokenWanted = signal(false);

/** Reads the token that was stored on the device, if any. */
export async function loadToken(): Promise<void> {
  const stored = await get<unknown>(KEY).catch(() => undefined);
  if (typeof stored !== 'string' || stored === '') return;
  token.value = stored;
  remembered.value = true;
}

/** @param remember store the token on the device; otherwise a stored one is deleted */
export function changeToken(text: string, remember: boolean): void {
  token.value = text.trim();
  remembered.value = remember;
  void (remember && token.value !== '' ? set(KEY, token.value) : del(KEY)).catch(() => {
    remembered.value = false;
  });
}

/** Stores the token again, after the browser has deleted it. Does nothing if it was not to be remembered. */
export function keepToken(): void {
  if (remembered.value) changeToken(token.value, true);
}

/** The token with the origin it is for; undefined if none was entered. */
export const accessToken = (): AccessToken | undefined =>
  token.value === '' ? undefined : { origin: HUGGING_FACE, token: token.value };

/** The import source of an address. The token is attached only if the address is on Hugging Face. */
export function urlSource(url: string): ModelSource & { kind: 'url' } {
  const access = accessToken();
  return { kind: 'url', url, ...(access && new URL(url).origin === access.origin && { access }) };
}
