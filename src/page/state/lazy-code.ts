/** Code that is loaded when it is first needed. After an update of the page, the server may no longer have it. */
import { signal } from '@preact/signals';

/** Code could not be loaded: parts of the page do not work until it is loaded again. */
export const codeMissing = signal(false);

/** @returns the module, or undefined if it cannot be loaded; then a notice offers to reload the page */
export async function loadCode<T>(load: () => Promise<T>): Promise<T | undefined> {
  try {
    return await load();
  } catch (error) {
    console.warn('A part of the page could not be loaded:', error);
    codeMissing.value = true;
    return undefined;
  }
}
