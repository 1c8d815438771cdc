/** The worker's end of src/contract/site-store.ts: hears of what is lent from its first moment on, whoever asks later. */

import { wrap } from '../../src/contract/rpc.ts';
import { isLending, type LentValues } from '../../src/contract/site-store.ts';

type Taker = (lent: LentValues, others: MessagePort[]) => void;

const takers: Taker[] = [];
let given: Parameters<Taker> | undefined;

addEventListener('message', ({ data }: MessageEvent<unknown>) => {
  if (!isLending(data)) return;
  const [port, ...others] = data.mixtabLent;
  given = [wrap<LentValues>(port), others];
  for (const take of takers) take(...given);
});

/** @param take called with what is lent, and the ports for workers of this worker, once there is something */
export function whenLent(take: Taker): void {
  takers.push(take);
  if (given) take(...given);
}
