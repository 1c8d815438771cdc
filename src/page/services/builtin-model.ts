/** The model that is served with the page: a small story-teller, and presented as such. */
import type { BuiltinSource, ModelSummary } from '../../contract/import-api.ts';

const FILE = 'builtin.gguf';

/** What notices call the built-in model until its header is read. */
export const BUILTIN_NAME = 'the built-in model';

/** Where the page finds the built-in model. */
export const builtinSource = (): BuiltinSource => ({
  kind: 'builtin',
  url: new URL(`models/${FILE}`, document.baseURI).href,
});

/** Whether a stored model is the built-in one. */
export const isBuiltin = ({ origin }: ModelSummary): boolean => origin.endsWith(FILE);
