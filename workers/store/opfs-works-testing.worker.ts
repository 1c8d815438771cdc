/** Answers whether files work, for a test: synchronous access handles exist in workers only. */
import { opfsWorks } from './opfs-files.ts';

void opfsWorks().then((works) => postMessage(works));
