/** Fetches a part of the program when it is first needed. */
import { excerpt, MixtabError } from './errors.ts';
import { within } from './within.ts';
import { START_LIMIT_MS } from './worker-life.ts';

/**
 * The code may be gone from the server after an update of the page, and a browser does not ask for it again. A connection
 * that stands still has no other end than the limit for the script of a worker.
 * @param task what the code does, for the error message: `computes the model`
 * @param load imports the code
 * @throws MixtabError `worker-unavailable` if it cannot be fetched, or has not arrived after a minute
 */
export async function fetchCode<T>(task: string, load: () => Promise<T>): Promise<T> {
  try {
    return await within(START_LIMIT_MS, load(), () => new Error(`nothing arrived for ${START_LIMIT_MS / 1000} s`));
  } catch (cause) {
    throw new MixtabError(
      'worker-unavailable',
      `The part of mixtab that ${task} could not be loaded (${excerpt(String(cause))}).`,
      'Check the network, then reload the page: it may have been updated.',
    );
  }
}
