/** The model that is served with the page: a small story-teller, and presented as such. */
import type { ModelSource, ModelSummary } from '../../contract/import-api.ts';

const FILE = 'builtin.gguf';

export const BUILTIN_NAME = 'the built-in model';

/** Where the page finds the built-in model. */
export const builtinSource = (): ModelSource => ({
  kind: 'builtin',
  url: new URL(`models/${FILE}`, document.baseURI).href,
});

export const isBuiltin = ({ origin }: ModelSummary): boolean => origin.endsWith(FILE);
